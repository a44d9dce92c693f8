import IR
import Reference
import Tensors
import Testing

/// Adapters by numbers worked out by hand.
@Suite struct AdapterTests {
    private static let weights: [String: Tensor] = [
        "q.lora_A.0": matrix([1, 0, 2]), "q.lora_B.0": matrix([1], [-1]),
        "v.lora_A.0": matrix([0, 1, 0], [1, 1, 1]), "v.lora_B.0": matrix([1, 10]),
        "q.lora_A.2": matrix([1, 1, 1]), "q.lora_B.2": matrix([0.5], [0]), "v.lora_A.2": Tensor([], [0, 3]), "v.lora_B.2": Tensor([], [1, 0]),
    ]

    private func run(_ numbers: [Int32]) throws -> Tensor {
        let module = ModuleBuilder()
        let count = numbers.count
        try module.graph("g") { b in
            let rows = Dim.fixed(count)
            let y = b.input("y", TensorType(.f32, [rows, 3])), x = b.input("x", TensorType(.f32, [rows, 3]))
            return [b.adapt(y, x, b.input("n", TensorType(.i32, [rows])), layers: ["q", "v"], widths: [2, 1])]
        }
        let evaluator = Evaluator { name throws(EvaluationError) in
            guard let tensor = Self.weights[name] else { throw EvaluationError("there is no weight @\(name)") }
            return tensor
        }
        let inputs = [
            "y": Tensor(Array(repeating: 100, count: 3 * count), [count, 3]),
            "x": Tensor((0..<count).flatMap { [Float($0 + 1), 2, 3] }, [count, 3]), "n": Tensor(ints: numbers, [count]),
        ]
        return try evaluator.run(module.finish().graphs[0], inputs: inputs).results[0]
    }

    @Test func eachRowIsChangedByItsAdapter() throws {
        // x is [1, 2, 3], [2, 2, 3], [3, 2, 3].
        #expect(try run([0, -1, 2]).floats == [107, 93, 162, 100, 100, 100, 104, 100, 100])
        #expect(try run([2]).floats == [103, 100, 100])
    }

    @Test func anAdapterThatIsNotThereIsNamed() {
        let error = #expect(throws: EvaluationError.self) { try run([1]) }
        #expect(error?.reason == "there is no weight @q.lora_A.1")
    }

    @Test func layersAreTheColumns() {
        for (layers, widths) in [([], []), (["q"], [2]), (["q", "v"], [2, 2]), (["q", ""], [2, 1]), (["q", "v"], [3, 0]), (["q", "v"], [.max, 4])] {
            let module = ModuleBuilder()
            #expect(throws: TypeError.self) {
                try module.graph("g") { b in
                    let y = b.input("y", TensorType(.f32, [2, 3]))
                    return [b.adapt(y, y, b.input("n", TensorType(.i32, [2])), layers: layers, widths: widths)]
                }
            }
        }
    }
}
