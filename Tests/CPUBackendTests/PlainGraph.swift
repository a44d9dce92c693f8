import CPUBackend
import Compiler
import Execution
import IR
import Passes
import Plan
import Reference
import Tensors
import Testing

/// A graph of plain ops, compiled as models are and run on the backend, beside what Reference says of it.
struct PlainGraph {
    static let values = ["T": 3, "N": 2]
    let module: Module

    /// - Parameter body: writes the graph; symbols `T` and `N` are declared with larger bounds than they have.
    init(_ body: (GraphBuilder) -> [Value]) throws {
        let builder = ModuleBuilder()
        builder.symbol("T", bound: 5)
        builder.symbol("N", bound: 3)
        try builder.graph("vision", body)
        module = builder.finish()
    }

    /// Compiles, runs on two threads and compares; returns the names of the kernels.
    func check(_ inputs: [String: Tensor], _ what: String) throws -> [String] {
        let graph = module.graphs[0]
        let expected = try Evaluator().run(graph, inputs: inputs, bindings: Self.values).results
        var planned = module
        let passes = pipeline(gears: [1], policy: KernelPolicy(isExact: true, features: [], arithmetic: .f32))
        _ = try passes.run(on: &planned, options: .init(verifies: true))
        let compiled = try StandalonePlan(planned, graph: "vision")
        let runner = try PlanRunner(compiled.plan, weights: compiled.weights, target: .cpu, threads: 2)
        for (name, offset) in compiled.inputs {
            let bytes = try #require(inputs[name]).bytes
            (runner.arena + offset).copyMemory(from: bytes, byteCount: bytes.count)
        }
        try runner.run(Self.values)
        for ((offset, result), theirs) in zip(zip(compiled.results, graph.results), expected) {
            let element = graph.type(of: result).element
            let bytes = UnsafeRawBufferPointer(start: runner.arena + offset, count: theirs.count * element.byteCount)
            let ours = try #require(Tensor(element, theirs.shape, bytes: bytes))
            expectClose(ours, theirs, "\(what)\n\(graph)")
        }
        return compiled.plan.steps.map(\.kernel.name)
    }

    private func expectClose(_ ours: Tensor, _ theirs: Tensor, _ what: String) {
        if case .ints = theirs.storage {
            #expect(ours.ints == theirs.ints, "\(what)")
            return
        }
        let scale = theirs.floats.reduce(1) { $1.isFinite ? max($0, abs($1)) : $0 }
        let isClose = zip(ours.floats, theirs.floats).allSatisfy { a, b in
            a == b || (a.isNaN && b.isNaN) || abs(a - b) <= 1e-5 * scale
        }
        #expect(isClose, "\(what)\n\(ours.floats)\n\(theirs.floats)")
    }
}
