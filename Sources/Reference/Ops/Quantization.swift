package import IR
import Tensors

/// AutoAWQ's GEMM layout.
private enum AWQ {
    /// The nibble, counted from the lowest, that holds column `8j + i`.
    private static let nibbles: [Int32] = [0, 4, 1, 5, 2, 6, 3, 7]

    /// The weights as f32 `[out, in]`.
    static func dequantize(_ weight: Tensor, _ zeros: Tensor, _ scales: Tensor, group: Int) -> [Float] {
        let (inputs, packed) = (weight.shape[0], weight.shape[1])
        let (q, z, s) = (weight.ints, zeros.ints, scales.floats)
        let isPacked = zeros.element == .i32
        let outputs = packed * 8
        var result = Array(repeating: Float(0), count: inputs * outputs)
        for i in 0..<inputs {
            let block = i / group
            for o in 0..<outputs {
                let shift = 4 * nibbles[o % 8]
                let level = (q[i * packed + o / 8] >> shift) & 15
                let zero = isPacked ? (z[block * packed + o / 8] >> shift) & 15 : z[block * outputs + o]
                result[o * inputs + i] = Float(level - zero) * s[block * outputs + o]
            }
        }
        return result
    }
}

extension DequantizeAWQ: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] { call.result(AWQ.dequantize(call[0], call[1], call[2], group: group)) }
}

extension PackAWQ: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] { call.result(AWQ.dequantize(call[0], call[1], call[2], group: group)) }
}

extension QuantizedLinearAWQ: Evaluable {
    package func evaluate(_ call: Call) throws(EvaluationError) -> [Tensor] {
        let weight = AWQ.dequantize(call[1], call[2], call[3], group: group)
        return try layer(call, weight, inputs: call[1].shape[0], outputs: call[1].shape[1] * 8, bias: hasBias ? call[4] : nil)
    }
}

extension PackFloat8: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] { call.result(SmallFloat.float8(call[0], call[1], group: group)) }
}

extension PackFloat4: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] { call.result(SmallFloat.float4(call[0], call[1], call[2], group: group)) }
}

extension QuantizedLinearFloat8: Evaluable {
    package func evaluate(_ call: Call) throws(EvaluationError) -> [Tensor] {
        let weight = SmallFloat.float8(call[1], call[2], group: group)
        return try layer(call, weight, inputs: call[1].shape[1], outputs: call[1].shape[0], bias: hasBias ? call[3] : nil)
    }
}

extension QuantizedLinearFloat4: Evaluable {
    package func evaluate(_ call: Call) throws(EvaluationError) -> [Tensor] {
        let weight = SmallFloat.float4(call[1], call[2], call[3], group: group)
        return try layer(call, weight, inputs: call[1].shape[1] * 2, outputs: call[1].shape[0], bias: hasBias ? call[4] : nil)
    }
}

extension PackInt8: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] { call.result(EightBits.dequantize(call[0], call[1], call[2], group: group)) }
}

extension QuantizedLinearInt8: Evaluable {
    package func evaluate(_ call: Call) throws(EvaluationError) -> [Tensor] {
        let weight = EightBits.dequantize(call[1], call[2], call[3], group: group)
        return try layer(call, weight, inputs: call[1].shape[1], outputs: call[1].shape[0], bias: hasBias ? call[4] : nil)
    }
}

/// Codes of eight bits.
private enum EightBits {
    /// The weights as f32 `[out, in]`.
    static func dequantize(_ codes: Tensor, _ scales: Tensor, _ zeros: Tensor, group: Int) -> [Float] {
        let (scales, zeros) = (scales.floats, zeros.ints)
        // Groups of all outputs lie one after another, as inputs do.
        return codes.ints.enumerated().map { Float($1 - zeros[$0 / group]) * scales[$0 / group] }
    }
}

extension QuantizedLayer {
    fileprivate func layer(_ call: Call, _ weight: [Float], inputs: Int, outputs: Int, bias: Tensor?) throws(EvaluationError) -> [Tensor] {
        var y = try Gemm.linear(call[0].floats, weight, inputs: inputs, outputs: outputs)
        Epilogue.add(bias, to: &y)
        if activation != .none { y = y.map { Functions.apply(activation, $0) } }
        return call.result(y)
    }
}
