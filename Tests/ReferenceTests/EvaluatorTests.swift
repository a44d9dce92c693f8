import IR
import Reference
import Tensors
import Testing

@Suite struct EvaluatorTests {
    @Test func everyOpHasAnEvaluator() {
        let missing = OpTable.all.filter { !($0 is any Evaluable.Type) }.map { $0.schema.name }
        #expect(missing.isEmpty)
    }

    /// The fixture that holds every op runs, in finite numbers.
    @Test func everyOpRuns() throws {
        let module = try Parser.parse(Fixture.text("IRTests/Fixtures/every-op.vir"))
        let graph = module.graphs[0]
        let sizes = ["T": 3, "S": 5, "M": 2, "I": 2, "R": 2]
        var tensors: [String: Tensor] = [:]
        for (name, value) in graph.inputs.map({ ($0.name, $0.value) }) + graph.states.map({ ($0.name, $0.value) }) {
            let type = graph.type(of: value)
            let shape = try #require(type.shape.values(sizes))
            let count = shape.reduce(1, *)
            tensors[name] = type.element.isFloat ? noise(shape, seed: 3, type.element)
                : Tensor(ints: (0..<count).map { Int32($0 % 2) }, shape, type.element)
        }
        let evaluator = Evaluator { name throws(EvaluationError) in
            guard let type = module.weight(name)?.type, let shape = type.shape.fixed else { throw EvaluationError("no weight \(name)") }
            return type.element.isFloat ? noise(shape, seed: 5, type.element)
                : Tensor(ints: (0..<shape.reduce(1, *)).map { Int32($0) }, shape, type.element)
        }
        var count = 0
        let outcome = try evaluator.run(graph, inputs: tensors, states: tensors) { _, _ in count += 1 }
        #expect(count == graph.nodeCount)
        #expect(outcome.results.map(\.shape) == [[3, 8], [8, 8], [3, 1], [3, 2, 2]])
        #expect(outcome.results.allSatisfy { $0.floats.allSatisfy(\.isFinite) })
        #expect(outcome.states["kv.0.k"]?.shape == [5, 1, 4])
        #expect(outcome.states["kv.0.k"] != tensors["kv.0.k"])
    }

    private static let text = """
        // vir 1 · stage: traced
        weight @w : bf16[2]
        graph @g(%x: f32[4*T, 2], %y: f32[T, 2], state %s: f32[S]) -> f32[2, T, 4] {
          %0 = weight @w : bf16[2]
          %1 = cast %0 {to = f32} : f32[2]  // model.norm
          %2 = mul %x, %1 : f32[4*T, 2]
          %3 = reshape %2 {dims = [2, T, 4]} : f32[2, T, 4]
          %4 = neg %s : f32[S]
          update %s = %4
          return %3
        }
        """

    private static func evaluator(_ weight: Tensor) -> Evaluator { Evaluator { _ in weight } }

    @Test func inputsBindSymbols() throws {
        let graph = try Parser.parse(Self.text).graphs[0]
        let evaluator = Self.evaluator(Tensor([2, -1], [2], .bf16))
        let (x, y) = (noise([8, 2], seed: 1), noise([2, 2], seed: 1))
        let outcome = try evaluator.run(graph, inputs: ["x": x, "y": y], states: ["s": vector(1, 2)])
        #expect(outcome.results[0].shape == [2, 2, 4])
        #expect(outcome.results[0].floats[1] == -x.floats[1])
        #expect(outcome.states == ["s": vector(-1, -2)])
        #expect(try evaluator.constant(graph.nodes[1].result, in: graph) == vector(2, -1))
    }

    @Test func errorsNameThePlace() throws {
        let graph = try Parser.parse(Self.text).graphs[0]
        let evaluator = Self.evaluator(Tensor([2, -1], [2], .f32))
        func message(_ x: Tensor?, _ y: Tensor) -> String? {
            var inputs = ["y": y]
            inputs["x"] = x
            let error = #expect(throws: EvaluationError.self) { try evaluator.run(graph, inputs: inputs, states: ["s": vector(1)]) }
            return error?.description
        }
        let y = noise([2, 2], seed: 1)
        #expect(message(nil, y) == "no tensor is given for %x: f32[4*T, 2]")
        #expect(message(noise([6, 2], seed: 1), y) == "%x is f32[4*T, 2], the tensor given is f32[6, 2]")
        #expect(message(noise([4, 2], seed: 1), y) == "%y is f32[T, 2], the tensor given is f32[2, 2]")
        #expect(message(noise([8, 2], seed: 1), y) == "weight: weight @w is bf16[2], the tensor given is f32[2]")
    }

    @Test(arguments: DType.allCases) func bytesComeBack(element: DType) throws {
        let values: [Int32] = [0, 1, 1, 0, 1, 0]
        let tensor = element.isFloat ? Tensor(values.map { Float($0) * 1.5 }, [2, 3], element) : Tensor(ints: values, [2, 3], element)
        #expect(tensor.bytes.count == 6 * element.byteCount)
        let again = tensor.bytes.withUnsafeBytes { Tensor(element, [2, 3], bytes: $0) }
        #expect(again == tensor)
        #expect(tensor.bytes.withUnsafeBytes { Tensor(element, [2, 4], bytes: $0) } == nil)
        #expect(tensor.bytes.withUnsafeBytes { Tensor(element, [.max, 4], bytes: $0) } == nil)
    }

    @Test func bigNumbersAreRefused() throws {
        let large = [Int64.max].withUnsafeBytes { Tensor(.i64, [1], bytes: $0) }
        #expect(large == nil)
        let builder = ModuleBuilder()
        try builder.graph("g") { b in [b.expand(b.input("x", .init(.f32, ["T"])), [4, "T"])] }
        try builder.graph("h") { b in [b.expand(b.literal(1), [1_000_000, 1_000_000])] }
        #expect(throws: EvaluationError.self) { try Evaluator().run(builder.finish().graphs[1]) }
    }
}
