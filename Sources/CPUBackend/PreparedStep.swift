import CKernels
import Execution
import Plan

/// A step with its weights found and its scratch reserved.
///
/// `bind` looks up the batch's addresses and extents; the team then runs the phases.
class PreparedStep: TeamWork {
    /// The HuggingFace module that the step computes.
    let origin: String
    fileprivate(set) var context: RunContext!

    init(origin: String) { self.origin = origin }

    /// Fills the kernel's arguments for the batch at hand.
    func bind(_ context: RunContext) { self.context = context }

    /// Floating-point operations for the bound batch, roughly; 0 where they are few. Tells how much of it fits a time.
    var operations: Double { 0 }

    var phaseCount: Int { 1 }
    func itemCount(_ phase: Int) -> Int { 0 }
    func run(_ phase: Int, _ items: Range<Int>, thread: Int) {}
    func grain(_ phase: Int) -> Int { 1 }
}

/// What preparing a step needs to know of the model being loaded.
struct StepEnvironment {
    let isa: vlm_isa
    /// Threads that compute.
    let threads: Int
    /// Grows while steps are prepared.
    let scratch: Scratch
    let kv: KVStorage
    let states: StateStorage
    let symbols: SymbolTable
    /// Those that rows name by number.
    var adapters: [Adapter] = []
}

/// Memory that kernels use inside one call.
final class Scratch {
    private(set) var threadBytes = 0, sharedBytes = 0
    private var memory: Arena
    private var base: UnsafeMutableRawPointer
    private let threads: Int

    init(threads: Int) throws(BackendError) {
        self.threads = threads
        memory = try Arena(byteCount: 0, for: Self.purpose)
        base = memory.base
    }

    private static let purpose = "the scratch of kernels"

    /// Asks for at least this much per thread; before `allocate`.
    func reserve(thread bytes: Int) { threadBytes = max(threadBytes, (bytes + 4095) & ~4095) }

    /// Asks for at least so much that all threads share while a step runs; before `allocate`. Not for steps of images: others run between their items.
    func reserve(shared bytes: Int) { sharedBytes = max(sharedBytes, bytes) }

    /// Makes the memory; once, after all steps are prepared.
    func allocate() throws(BackendError) {
        memory = try Arena(byteCount: threads * threadBytes + sharedBytes, for: Self.purpose)
        base = memory.base
    }

    func thread(_ index: Int) -> UnsafeMutableRawPointer { base + index * threadBytes }

    var shared: UnsafeMutableRawPointer { base + threads * threadBytes }
}
