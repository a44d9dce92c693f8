import IR
import Tensors

/// The numbers of small floats.
enum SmallFloat {
    /// Bias 7, no infinity, all ones is NaN.
    static func f8e4m3(_ bits: Int32) -> Float {
        let (exponent, mantissa) = (Int(bits >> 3) & 15, Float(bits & 7))
        if bits & 127 == 127 { return .nan }
        let size = exponent == 0 ? mantissa * 0x1p-9 : Float(sign: .plus, exponent: exponent - 7, significand: 1 + mantissa / 8)
        return bits & 128 == 0 ? size : -size
    }

    static func e2m1(_ bits: Int32) -> Float {
        let size: Float = [0, 0.5, 1, 1.5, 2, 3, 4, 6][Int(bits & 7)]
        return bits & 8 == 0 ? size : -size
    }

    static func e8m0(_ bits: Int32) -> Float {
        bits == 255 ? .nan : Float(Double(sign: .plus, exponent: Int(bits) - 127, significand: 1))
    }

    /// The weight `[outputs, inputs]` of e4m3 codes and a scale for each output and group.
    static func float8(_ codes: Tensor, _ scales: Tensor, group: Int) -> [Float] {
        let (width, groups, bytes, scales) = (codes.shape[1], scales.shape[1], codes.ints, scales.floats)
        return bytes.indices.map { f8e4m3(bytes[$0]) * scales[$0 / width * groups + $0 % width / group] }
    }

    /// The weight `[outputs, inputs]` of e2m1 codes, a scale for each output and group, and one for each output.
    static func float4(_ codes: Tensor, _ scales: Tensor, _ outputScales: Tensor, group: Int) -> [Float] {
        let (width, groups, bytes, outputs) = (codes.shape[1] * 2, scales.shape[1], codes.ints, outputScales.floats)
        let products = scales.ints.indices.map { (group == 16 ? f8e4m3(scales.ints[$0]) : e8m0(scales.ints[$0])) * outputs[$0 / groups] }
        return (0..<bytes.count * 2).map { index in
            e2m1(bytes[index / 2] >> Int32(4 * (index % 2)) & 15) * products[index / width * groups + index % width / group]
        }
    }
}

extension Unpack: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] {
        let (x, source) = (call[0], call[0].ints)
        let inner = x.shape[(axis + 1)...].reduce(1, *)
        let (count, width) = (element.count, 32 / (element == .u8 ? 4 : 8))
        var codes: [Int32] = []
        codes.reserveCapacity(source.count * count)
        // One word of the packed axis after the other, and the numbers of each beside those of the words in its row.
        for outer in stride(from: 0, to: source.count, by: max(inner, 1)) {
            for lane in 0..<count {
                for word in source[outer..<outer + inner] {
                    codes.append(count == 1 ? word : (word >> Int32(lane * width)) & Int32(1 << width - 1))
                }
            }
        }
        switch element {
        case .u4, .u8: return [Tensor(ints: codes.map { $0 + Int32(offset) }, call.shape, .i32)]
        case .f8e4m3: return call.result(codes.map(SmallFloat.f8e4m3))
        case .e2m1: return call.result(codes.map(SmallFloat.e2m1))
        case .e8m0: return call.result(codes.map(SmallFloat.e8m0))
        }
    }
}

extension Dequantize: Evaluable {
    package func evaluate(_ call: Call) throws(EvaluationError) -> [Tensor] {
        let (outputs, inputs) = (call.shape[0], call.shape[1])
        let (codes, scales) = (call[0].floats, call[1].floats)
        let zeros = hasZeros ? call[2].floats : nil
        let width = call[1].shape[1]
        var group = (0..<inputs).map { $0 / columns }
        if hasOrder {
            let order = call[hasZeros ? 3 : 2]
            group = order.ints.map(Int.init)
            guard group.allSatisfy((0..<width).contains) else { throw EvaluationError("an input belongs to none of the \(width) groups") }
        }
        var result: [Float] = []
        result.reserveCapacity(codes.count)
        for o in 0..<outputs {
            let row = o / rows * width
            for i in 0..<inputs { result.append((codes[o * inputs + i] - (zeros?[row + group[i]] ?? 0)) * scales[row + group[i]]) }
        }
        return call.result(result)
    }
}

extension Int4Words: Evaluable {
    package func evaluate(_ call: Call) throws(EvaluationError) -> [Tensor] {
        let codes = call[0].ints
        if let wrong = codes.first(where: { !(0...15).contains($0) }) { throw EvaluationError("\(wrong) is no code 0 … 15") }
        let shifts: [UInt32] = [0, 16, 4, 20, 8, 24, 12, 28]
        var words: [Int32] = []
        words.reserveCapacity(codes.count / 8)
        for start in stride(from: 0, to: codes.count, by: 8) {
            var word: UInt32 = 0
            for lane in 0..<8 { word |= UInt32(codes[start + lane]) << shifts[lane] }
            words.append(Int32(bitPattern: word))
        }
        return [Tensor(ints: words, call.shape, .i32)]
    }
}

extension GroupOrder: Evaluable {
    package func evaluate(_ call: Call) throws(EvaluationError) -> [Tensor] {
        var members = Array(repeating: [Int32](), count: call[0].count / group)
        for (input, number) in call[0].ints.enumerated() {
            guard members.indices.contains(Int(number)) else { throw EvaluationError("an input belongs to none of the \(members.count) groups") }
            members[Int(number)].append(Int32(input))
        }
        guard members.allSatisfy({ $0.count == group }) else { throw EvaluationError("not every group has \(group) inputs") }
        return [Tensor(ints: members.flatMap { $0 }, call.shape, .i32)]
    }
}
