import CKernels
package import Execution
package import Plan
import Synchronization
import Tensors

/// Runs one plan over an arena of its own, without an artifact: what lies in the arena before a run is what steps read.
package final class PlanRunner {
    private let steps: [PreparedStep]
    private let context: RunContext
    private let symbols: SymbolTable
    private let team: ThreadTeam
    private let memory: Arena
    private let weights: HeldWeights

    /// - Parameter weights: packed, in the order of the slots' numbers.
    package init(
        _ plan: ExecutionPlan, weights: [(entry: WeightEntry, bytes: [UInt8])], target: Target, threads: Int
    ) throws(BackendError) {
        memory = try Arena(byteCount: plan.arenaBytes, for: "the arena of a plan")
        symbols = SymbolTable([plan])
        context = RunContext(arena: memory.base, symbols: symbols)
        team = ThreadTeam(count: threads)
        self.weights = try HeldWeights(weights)
        let scratch = try Scratch(threads: threads)
        let kv = KVStorage(KVLayout(layers: 1, heads: 1, headDim: 1, element: .f32))
        let environment = StepEnvironment(
            isa: target.isa, threads: threads, scratch: scratch, kv: kv, states: try StateStorage([], sequences: 0), symbols: symbols)
        steps = try StepPreparer(weights: self.weights, environment: environment, bounds: plan.bounds).prepare(plan)
        try scratch.allocate()
    }

    /// The arena's first byte.
    package var arena: UnsafeMutableRawPointer { memory.base }

    /// Runs every step; symbols that are not named are 0.
    package func run(_ values: [String: Int]) throws(BackendError) {
        for (index, name) in symbols.names.enumerated() { context.extents[index] = values[name] ?? 0 }
        for step in steps {
            step.bind(context)
            team.run(step)
        }
        let status = context.failure.exchange(0, ordering: .relaxed)
        guard status == VLM_OK.rawValue else { throw .malformed("a kernel refused its arguments with status \(status)") }
    }
}

/// Packed weights in memory of their own.
private struct HeldWeights: WeightMemory {
    let entries: [WeightEntry]
    private let memory: [(arena: Arena, count: Int)]

    init(_ weights: [(entry: WeightEntry, bytes: [UInt8])]) throws(BackendError) {
        entries = weights.map(\.entry)
        var memory: [(arena: Arena, count: Int)] = []
        for (_, bytes) in weights {
            let arena = try Arena(byteCount: bytes.count, for: "a packed weight")
            arena.base.copyMemory(from: bytes, byteCount: bytes.count)
            memory.append((arena, bytes.count))
        }
        self.memory = memory
    }

    func bytes(_ index: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: memory[index].arena.base, count: memory[index].count)
    }

    func table(_ index: Int) throws(BackendError) -> UnsafeBufferPointer<Int32> {
        let count = entries[index].shape.reduce(1, *)
        guard memory[index].count >= 4 * count else { throw .malformed("index table \(index) is too short") }
        return UnsafeBufferPointer(start: UnsafePointer(memory[index].arena.base.assumingMemoryBound(to: Int32.self)), count: count)
    }
}
