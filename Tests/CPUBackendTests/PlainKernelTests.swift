import IR
import Plan
import Reference
import Seeded
import Tensors
import Testing

/// Whatever plain ops a family traces compiles and runs, on fallbacks where no kernel is made for it.
@Suite struct PlainKernelTests {
    private static func noise(_ name: String, _ shape: [Int], _ range: ClosedRange<Float> = -2...2) -> Tensor {
        var random = Dice(name.utf8.reduce(11) { $0 &* 31 &+ UInt64($1) })
        return Tensor((0..<shape.reduce(1, *)).map { _ in Float.random(in: range, using: &random) }, shape)
    }

    /// An op over `x` f32 `[T, 2, 4]`, `y` f32 `[T, 1, 4]`, `p` positive f32 `[T, 2, 4]`, `i` i32 `[T]`.
    struct Case: Sendable, CustomTestStringConvertible {
        var op: PlainOp
        var build: @Sendable (GraphBuilder, _ x: Value, _ y: Value, _ p: Value, _ i: Value) -> [Value]

        init(_ op: PlainOp, _ build: @escaping @Sendable (GraphBuilder, Value, Value, Value, Value) -> [Value]) {
            (self.op, self.build) = (op, build)
        }

        var testDescription: String { op.rawValue }
    }

    static let maps: [Case] = [
        Case(.neg) { b, x, _, _, _ in [b.neg(x)] }, Case(.square) { b, x, _, _, _ in [b.square(x)] },
        Case(.sqrt) { b, _, _, p, _ in [b.sqrt(p)] }, Case(.rsqrt) { b, _, _, p, _ in [b.rsqrt(p)] },
        Case(.exp) { b, x, _, _, _ in [b.exp(x)] }, Case(.log) { b, _, _, p, _ in [b.log(p)] },
        Case(.cos) { b, x, _, _, _ in [b.cos(x)] }, Case(.sin) { b, x, _, _, _ in [b.sin(x)] },
        Case(.sigmoid) { b, x, _, _, _ in [b.sigmoid(x)] }, Case(.tanh) { b, x, _, _, _ in [b.tanh(x)] },
        Case(.erf) { b, x, _, _, _ in [b.erf(x)] },
        Case(.softplus) { b, x, _, _, _ in [b.softplus(b.mul(x, b.literal(20)))] },
        Case(.reciprocal) { b, _, _, p, _ in [b.reciprocal(p)] },
        Case(.cast) { b, x, _, _, i in
            let casts = DType.allCases.filter(\.hasPlainKernel).map { b.cast(b.cast(b.mul(x, b.literal(100)), to: $0), to: .f32) }
            return casts + [b.cast(i, to: .f32), b.cast(b.cast(i, to: .bool), to: .i32)]
        },
        Case(.add) { b, x, y, _, i in [b.add(x, y), b.add(y, b.literal(1)), b.add(i, i)] },
        Case(.sub) { b, x, y, _, i in [b.sub(y, x), b.sub(b.literal(1), x), b.sub(i, b.one(Literal(7, TensorType(.i32, []))))] },
        Case(.mul) { b, x, y, _, i in [b.mul(x, y), b.mul(i, i)] },
        Case(.div) { b, x, _, p, i in [b.div(x, p), b.div(i, b.one(Literal(2, TensorType(.i32, []))))] },
        Case(.maximum) { b, x, y, _, i in [b.maximum(x, y), b.maximum(i, b.one(Literal(1, TensorType(.i32, []))))] },
        Case(.minimum) { b, x, y, _, _ in [b.minimum(x, y)] },
        Case(.choose) { b, x, y, p, _ in [b.where(b.cast(b.maximum(x, b.literal(0)), to: .bool), y, p)] },
    ]

    static let movements: [Case] = [
        Case(.reshape) { b, x, _, _, _ in
            let (floats, halves) = (b.exp(x), b.cast(x, to: .bf16))
            let apart = [floats, halves].map { b.reshape(b.slice($0, axis: 1, 0..<1), [Dim(2, times: "T"), 2]) }
            return [b.tanh(apart[0]), b.cast(apart[1], to: .f32)]
        },
        Case(.transpose) { b, x, _, _, _ in [b.transpose(x, [2, 0, 1]), b.transpose(b.transpose(x, [1, 0, 2]), [0, 2, 1])] },
        Case(.slice) { b, x, _, _, _ in [b.slice(x, axis: 2, 1..<3), b.slice(b.transpose(x, [2, 1, 0]), axis: 0, 1..<4)] },
        Case(.concat) { b, x, y, p, _ in [b.concat([x, y, p], axis: 1), b.concat([x, p], axis: 2), b.concat([x, y, x].map { b.slice($0, axis: 1, 0..<1) }, axis: 0)] },
        Case(.expand) { b, _, y, _, _ in [b.expand(y, ["T", 3, 4]), b.expand(y, [2, "T", 1, 4])] },
        Case(.repeats) { b, x, _, _, _ in [b.repeat(x, axis: 1, count: 3), b.repeat(x, axis: 0, count: 2), b.repeat(x, axis: 2, count: 2)] },
        Case(.copy) { b, x, _, _, _ in
            let columns = b.exp(b.reshape(x, ["T", 8]))
            let (left, right) = (b.slice(columns, axis: 1, 0..<4), b.slice(columns, axis: 1, 4..<8))
            return [b.add(left, right)]
        },
    ]

    static let others: [Case] = [
        Case(.sum) { b, x, _, _, _ in [b.sum(x), b.sum(x, axis: 0), b.sum(x, axis: 1)] },
        Case(.mean) { b, x, _, _, _ in [b.mean(x), b.mean(b.transpose(x, [1, 0, 2]), axis: 1)] },
        Case(.max) { b, x, _, _, _ in [b.max(x), b.max(x, axis: 0)] },
        Case(.argmax) { b, x, _, _, _ in [b.argmax(x), b.argmax(x, axis: 0)] },
        Case(.softmax) { b, x, _, _, _ in [b.softmax(x), b.softmax(x, axis: 0)] },
        Case(.cumsum) { b, x, _, _, _ in [b.cumulativeSum(x), b.cumulativeSum(x, axis: 0)] },
        Case(.topK) { b, x, _, _, _ in
            let (first, second) = (b.topK(x, count: 3), b.topK(x, axis: 1, count: 1))
            return [first.values, first.indices, second.values, second.indices]
        },
        Case(.matmul) { b, x, y, p, _ in
            let heads = [x, p].map { b.transpose($0, [1, 0, 2]) }
            let scores = b.matmul(heads[0], heads[1], transposeB: true)
            return [scores, b.matmul(scores, heads[1]), b.matmul(x, p, transposeB: true), b.matmul(y, b.transpose(x, [0, 2, 1]))]
        },
        Case(.gather) { b, x, _, _, i in
            let table = b.constant([5, 6, 7, 8])
            let pairs = b.concat([b.reshape(i, ["T", 1]), b.reshape(b.minimum(i, b.one(Literal(1, TensorType(.i32, [])))), ["T", 1])], axis: 1)
            return [b.gather(x, i), b.gather(b.transpose(x, [2, 0, 1]), i), b.gather(table, i), b.gather(x, pairs), b.gather(b.cast(x, to: .bf16), i)]
        },
        Case(.selectRows) { b, x, _, p, i in
            let rows = [x, p].map { b.cast(b.reshape($0, ["T", 8]), to: .bf16) }
            return [b.cast(b.selectRows(rows[0], rows[1], b.sub(i, b.one(Literal(1, TensorType(.i32, []))))), to: .f32)]
        },
    ]

    @Test(arguments: maps + movements + others) func equalsReference(_ item: Case) throws {
        let graph = try PlainGraph { b in
            item.build(
                b, b.input("x", TensorType(.f32, ["T", 2, 4])), b.input("y", TensorType(.f32, ["T", 1, 4])),
                b.input("p", TensorType(.f32, ["T", 2, 4])), b.input("i", TensorType(.i32, ["T"])))
        }
        let inputs = [
            "x": Self.noise("x", [3, 2, 4]), "y": Self.noise("y", [3, 1, 4]), "p": Self.noise("p", [3, 2, 4], 0.1...3),
            "i": Tensor(ints: [2, 0, 1], [3]),
        ]
        let kernels = try graph.check(inputs, item.op.rawValue)
        #expect(kernels.contains("plain_\(item.op.rawValue)"), "\(kernels)")
    }

    /// Kernels of layers over three axes, also where heads are columns of a wider value.
    @Test func layersGoOverHeads() throws {
        func numbers(_ shape: [Int]) -> Constant {
            Constant(Self.noise("w\(shape)", shape).floats.map(Double.init), TensorType(.f32, Shape(shape.map(Dim.fixed))))
        }
        let graph = try PlainGraph { b in
            let wide = b.exp(b.input("x", TensorType(.f32, ["T", 16])))
            let heads = b.reshape(b.slice(wide, axis: 1, 8..<16), ["T", 2, 4])
            let (w, bias) = (b.one(numbers([4])), b.one(numbers([2])))
            let scaled = b.mul(b.mul(heads, b.rsqrt(b.add(b.mean(b.square(heads)), b.literal(1e-6)))), w)
            let centered = b.sub(heads, b.mean(heads))
            let normed = b.mul(b.mul(centered, b.rsqrt(b.add(b.mean(b.square(centered)), b.literal(1e-6)))), w)
            let (gate, up) = (b.slice(heads, axis: 2, 0..<2), b.slice(heads, axis: 2, 2..<4))
            let pairs = b.input("i", TensorType(.i32, ["T", 2]))
            return [
                scaled, b.add(normed, b.one(numbers([4]))), b.mul(b.activate(.silu, gate) { b.literal($0) }, up),
                b.add(b.matmul(heads, b.one(numbers([2, 4])), transposeB: true), bias), b.gather(b.one(numbers([3, 4])), pairs),
            ]
        }
        let kernels = try graph.check(["x": Self.noise("x", [3, 16]), "i": Tensor(ints: [2, 0, 1, 1, 0, 2], [3, 2])], "heads")
        for kernel in ["rms_norm", "layer_norm", "gated_activation", "linear_f32_f32", "embed"] {
            #expect(kernels.contains(kernel), "no \(kernel) in \(kernels)")
        }
    }

    @Test func everyFallbackIsTried() {
        let tried = Set((Self.maps + Self.movements + Self.others).map(\.op))
        #expect(PlainOp.allCases.filter { !tried.contains($0) }.isEmpty)
    }

    @Test(arguments: 0..<150) func randomGraphsEqualReference(seed: Int) throws {
        var random = RandomPlainGraph(seed: UInt64(seed))
        let (graph, inputs) = try random.make()
        _ = try graph.check(inputs, "seed \(seed)")
    }
}
