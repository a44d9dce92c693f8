import IR
import Reference
import Tensors
import Testing

/// Fused ops against the plain mathematics that they stand for.
@Suite struct FusedOpTests {
    private let x = noise([5, 8], seed: 1)
    private let w = noise([8], seed: 2, .bf16)
    private let bias = noise([8], seed: 3)

    private static func rms(_ b: GraphBuilder, _ x: Value, _ w: Value, eps: Double) -> Value {
        b.mul(b.mul(x, b.rsqrt(b.add(b.mean(b.square(x)), b.literal(eps)))), b.cast(w, to: .f32))
    }

    private static func layer(_ b: GraphBuilder, _ x: Value, _ w: Value, _ bias: Value, eps: Double) -> Value {
        let centered = b.sub(x, b.mean(x))
        let scale = b.rsqrt(b.add(b.mean(b.square(centered)), b.literal(eps)))
        return b.add(b.mul(b.mul(centered, scale), b.cast(w, to: .f32)), bias)
    }

    private func agree(_ operands: [Tensor], _ body: (GraphBuilder, [Value]) -> [Value]) throws {
        let results = try evaluate(operands, body)
        for index in 0..<results.count / 2 {
            #expect(distance(results[index], results[index + results.count / 2]) < 2e-6)
        }
    }

    @Test func norms() throws {
        try agree([x, w]) { b, v in [b.rmsNorm(v[0], v[1], eps: 1e-2), Self.rms(b, v[0], v[1], eps: 1e-2)] }
        try agree([x, w, bias]) { b, v in
            [b.layerNorm(v[0], v[1], v[2], eps: 1e-2), Self.layer(b, v[0], v[1], v[2], eps: 1e-2)]
        }
    }

    @Test func residualNorms() throws {
        try agree([x, noise([5, 8], seed: 9), w]) { b, v in
            let fused = b.addRMSNorm(v[0], v[1], v[2], eps: 1e-6)
            let sum = b.add(v[0], v[1])
            return [fused.sum, fused.y, sum, Self.rms(b, sum, v[2], eps: 1e-6)]
        }
        try agree([x, noise([5, 8], seed: 9), w, bias]) { b, v in
            let fused = b.addLayerNorm(v[0], v[1], v[2], v[3], eps: 1e-6)
            let sum = b.add(v[0], v[1])
            return [fused.sum, fused.y, sum, Self.layer(b, sum, v[2], v[3], eps: 1e-6)]
        }
    }

    private static func activate(_ b: GraphBuilder, _ activation: Activation, _ x: Value) -> Value {
        switch activation {
        case .none: x
        case .silu: b.mul(x, b.sigmoid(x))
        case .relu: b.where(b.cast(b.add(x, b.maximum(x, b.neg(x))), to: .bool), x, b.mul(x, b.literal(0)))
        case .quickGelu: b.mul(x, b.sigmoid(b.mul(x, b.literal(1.702))))
        case .gelu: b.mul(b.mul(x, b.literal(0.5)), b.add(b.literal(1), b.erf(b.mul(x, b.literal(0.5.squareRoot())))))
        case .geluTanh:
            b.mul(
                b.mul(x, b.literal(0.5)),
                b.add(
                    b.literal(1),
                    b.tanh(b.mul(b.literal((2 / Double.pi).squareRoot()), b.add(x, b.mul(b.literal(0.044715), b.mul(x, b.square(x))))))))
        }
    }

    @Test(arguments: Activation.allCases) func linears(activation: Activation) throws {
        try agree([x, noise([6, 8], seed: 4, .f16), noise([6], seed: 5)]) { b, v in
            let product = b.matmul(v[0], b.cast(v[1], to: .f32), transposeB: true)
            let plain = Self.activate(b, activation, product)
            let biased = Self.activate(b, activation, b.add(product, v[2]))
            return [
                b.linear(v[0], v[1], activation: activation), b.linear(v[0], v[1], bias: v[2], activation: activation),
                plain, biased,
            ]
        }
    }

    @Test func screenedLayers() throws {
        try agree([x, noise([6, 8], seed: 4, .f16)]) { b, v in
            [b.screenedLinear(v[0], v[1], v[1]), b.matmul(v[0], b.cast(v[1], to: .f32), transposeB: true)]
        }
    }

    @Test(arguments: Activation.allCases) func gatedActivations(activation: Activation) throws {
        try agree([x]) { b, v in
            let (gate, up) = (b.slice(v[0], axis: 1, 0..<4), b.slice(v[0], axis: 1, 4..<8))
            return [b.gatedActivation(v[0], activation), b.mul(Self.activate(b, activation, gate), up)]
        }
    }

    /// The form that models write and passes look for.
    @Test(arguments: Activation.functions) func plainForms(activation: Activation) throws {
        try agree([x]) { b, v in [b.activate(activation, v[0]) { b.literal($0) }, Self.activate(b, activation, v[0])] }
    }

    @Test func gatheredColumns() throws {
        try agree([x, Tensor(ints: [7, 0, 3, 3], [4])]) { b, v in
            [b.gatherColumns(v[0], v[1]), b.transpose(b.gather(b.transpose(v[0], [1, 0]), v[1]), [1, 0])]
        }
    }

    @Test func packedWeights() throws {
        let w = noise([4, 3], seed: 7)
        let results = try evaluate([w]) { b, v in
            [b.pack(v[0], .plain), b.pack(v[0], .f32Panels), b.pack(v[0], .bf16Panels), b.cast(v[0], to: .bf16), b.pack(v[0], .int8Panels)]
        }
        #expect(results[0].floats == w.floats && results[1].floats == w.floats)
        #expect(results[2].floats == results[3].floats && results[2].floats != w.floats && results[2].element == .f32)
        for row in 0..<4 {
            let (exact, coarse) = (results[2].floats[row * 3..<row * 3 + 3], results[4].floats[row * 3..<row * 3 + 3])
            let step = exact.reduce(0) { max($0, abs($1)) } / 127
            #expect(zip(exact, coarse).allSatisfy { abs($0 - $1) <= 0.51 * step } && exact != coarse)
        }
    }

    /// HuggingFace's M-RoPE: `cat(freqs, freqs)`, sections taken axis by axis, `rotate_half`.
    @Test func rotaryEmbeddings() throws {
        let positions = Tensor(ints: [0, 1, 2, 3, 4, 0, 1, 1, 7, 9, 0, 1, 5, 3, 8], [3, 5])
        try agree([positions, vector(1, 0.1, 0.01, 0.001), noise([5, 2, 8], seed: 10)]) { b, v in
            let table = b.rotaryTable(v[0], v[1], axes: [0, 1, 1, 2])
            let angles = b.mul(b.reshape(b.cast(v[0], to: .f32), [3, 5, 1]), v[1])
            func section(_ axis: Int, _ columns: Range<Int>) -> Value {
                b.reshape(b.slice(b.slice(angles, axis: 0, axis..<axis + 1), axis: 2, columns), [5, .fixed(columns.count)])
            }
            let half = b.concat([section(0, 0..<1), section(1, 1..<3), section(2, 3..<4)], axis: 1)
            let full = b.reshape(b.concat([half, half], axis: 1), [5, 1, 8])
            let (first, second) = (b.slice(v[2], axis: 2, 0..<4), b.slice(v[2], axis: 2, 4..<8))
            let rotated = b.concat([b.neg(second), first], axis: -1)
            return [
                table.cos, table.sin, b.rotary(v[2], cos: table.cos, sin: table.sin),
                b.cos(half), b.sin(half), b.add(b.mul(v[2], b.cos(full)), b.mul(rotated, b.sin(full))),
            ]
        }
    }

    /// Positions on either axis, whose frequencies differ.
    @Test func rotaryTableOfSets() throws {
        let positions = Tensor(ints: [0, 1, 2, 0, 0, 0, 0, 0, 3, 9], [2, 5])
        try agree([positions, noise([2, 4], seed: 23)]) { b, v in
            let table = b.rotaryTable(v[0], b.reshape(v[1], [8]), axes: [0, 0, 0, 0, 1, 1, 1, 1], sets: 2)
            let angles = b.matmul(b.cast(b.transpose(v[0], [1, 0]), to: .f32), v[1])
            return [table.cos, table.sin, b.cos(angles), b.sin(angles)]
        }
    }

    /// Two parts of a head, each half against half; and as many as pairs, which are neighbours.
    @Test(arguments: [2, 4]) func rotaryInParts(parts: Int) throws {
        let angles = noise([5, 4], seed: 21)
        try agree([angles, noise([5, 2, 8], seed: 22)]) { b, v in
            let (cos, sin) = (b.cos(v[0]), b.sin(v[0]))
            let each = (0..<parts).map { part in
                let (start, half) = (part * 8 / parts, 4 / parts)
                let first = b.slice(v[1], axis: 2, start..<start + half), second = b.slice(v[1], axis: 2, start + half..<start + 2 * half)
                func angle(_ x: Value) -> Value { b.reshape(b.slice(x, axis: 1, part * half..<(part + 1) * half), [5, 1, .fixed(half)]) }
                let (c, s) = (angle(cos), angle(sin))
                return [b.sub(b.mul(first, c), b.mul(second, s)), b.add(b.mul(second, c), b.mul(first, s))]
            }
            return [b.rotary(v[1], cos: cos, sin: sin, parts: parts), b.concat(each.flatMap { $0 }, axis: 2)]
        }
    }

    /// Token 3 sees nothing, and gets zeros on both sides.
    @Test(arguments: [0, 0.4]) func groupedAttention(softcap: Double) throws {
        let visible = Tensor(ints: [1, 0, 0, 1, 1, 0, 1, 1, 1, 0, 0, 0], [4, 3], .bool)
        try agree([noise([4, 6, 8], seed: 11), noise([3, 2, 8], seed: 12), noise([3, 2, 4], seed: 13), visible]) { b, v in
            let q = b.transpose(v[0], [1, 0, 2])
            let k = b.transpose(b.repeat(v[1], axis: 1, count: 3), [1, 0, 2])
            let values = b.transpose(b.repeat(v[2], axis: 1, count: 3), [1, 0, 2])
            var scores = b.mul(b.matmul(q, k, transposeB: true), b.literal(0.35))
            if softcap > 0 { scores = b.mul(b.tanh(b.div(scores, b.literal(softcap))), b.literal(softcap)) }
            let weights = b.softmax(b.where(v[3], scores, b.literal(-.infinity)))
            return [
                b.attention(v[0], v[1], v[2], visible: v[3], scale: 0.35, softcap: softcap),
                b.transpose(b.matmul(weights, values), [1, 0, 2]),
            ]
        }
    }

    @Test(arguments: Activation.allCases) func quantizedLinears(activation: Activation) throws {
        func words(_ shape: [Int], _ seed: UInt64) -> Tensor {
            Tensor(ints: noise(shape, seed: seed).floats.map { Int32(bitPattern: $0.bitPattern &* 2_654_435_761) }, shape)
        }
        try agree([noise([3, 64], seed: 14), words([64, 2], 15), words([2, 2], 16), noise([2, 16], seed: 17, .f16), noise([16], seed: 18)]) { b, v in
            let dense = b.matmul(v[0], b.dequantizeAWQ(v[1], v[2], v[3], group: 32), transposeB: true)
            return [
                b.quantizedLinearAWQ(v[0], v[1], v[2], v[3], group: 32),
                b.quantizedLinearAWQ(v[0], v[1], v[2], v[3], bias: v[4], group: 32, activation: activation),
                dense, Self.activate(b, activation, b.add(dense, v[4])),
            ]
        }
    }

    /// Bytes without the codes that are no number.
    private func bytes(_ shape: [Int], seed: UInt64) -> Tensor {
        Tensor(ints: noise(shape, seed: seed).floats.map { Int32(bitPattern: $0.bitPattern &* 2_654_435_761) >> 24 & 0xBF }, shape, .u8)
    }

    @Test func layersOfFloat8() throws {
        try agree([noise([3, 40], seed: 20), bytes([8, 40], seed: 19), noise([8, 3], seed: 21), noise([8], seed: 22)]) { b, v in
            let dense = b.matmul(v[0], b.dequantize(b.unpack(v[1], .f8e4m3), v[2], columns: 16), transposeB: true)
            return [
                b.quantizedLinearFloat8(v[0], v[1], v[2], group: 16),
                b.quantizedLinearFloat8(v[0], v[1], v[2], bias: v[3], group: 16, activation: .silu),
                b.linear(v[0], b.one(PackFloat8(group: 16), v[1], v[2])),
                dense, Self.activate(b, .silu, b.add(dense, v[3])), dense,
            ]
        }
    }

    @Test(arguments: [16, 32]) func layersOfFloat4(group: Int) throws {
        let scales = Tensor(ints: (0..<8 * 64 / group).map { Int32($0 % 9 + (group == 16 ? 0x30 : 120)) }, [8, 64 / group], .u8)
        try agree([noise([3, 64], seed: 20), bytes([8, 32], seed: 19), scales, noise([8], seed: 23), noise([8], seed: 22)]) { b, v in
            let products = b.mul(b.unpack(v[2], group == 16 ? .f8e4m3 : .e8m0), b.reshape(v[3], [8, 1]))
            let dense = b.matmul(v[0], b.dequantize(b.unpack(v[1], .e2m1), products, columns: group), transposeB: true)
            return [
                b.quantizedLinearFloat4(v[0], v[1], v[2], outputScales: v[3], group: group),
                b.quantizedLinearFloat4(v[0], v[1], v[2], outputScales: v[3], bias: v[4], group: group, activation: .silu),
                b.linear(v[0], b.one(PackFloat4(group: group), v[1], v[2], v[3])),
                dense, Self.activate(b, .silu, b.add(dense, v[4])), dense,
            ]
        }
    }

    @Test(arguments: [DType.i8, .i32]) func layersOfEightBits(element: DType) throws {
        let numbers = noise([8, 64], seed: 23).floats.map { Int32(bitPattern: $0.bitPattern &* 2_654_435_761) >> 24 + (element == .i8 ? 0 : 128) }
        let codes = Tensor(ints: numbers, [8, 64], element)
        let zeros = Tensor(ints: (0..<16).map { Int32($0 - 3) + (element == .i8 ? 0 : 128) }, [8, 2])
        try agree([noise([3, 64], seed: 24), codes, noise([8, 2], seed: 25), zeros, noise([8], seed: 26)]) { b, v in
            let dense = b.matmul(v[0], b.dequantize(v[1], v[2], zeros: v[3], columns: 32), transposeB: true)
            return [
                b.quantizedLinearInt8(v[0], v[1], v[2], v[3], group: 32),
                b.quantizedLinearInt8(v[0], v[1], v[2], v[3], bias: v[4], group: 32, activation: .silu),
                b.linear(v[0], b.one(PackInt8(group: 32), v[1], v[2], v[3])),
                dense, Self.activate(b, .silu, b.add(dense, v[4])), dense,
            ]
        }
    }
}
