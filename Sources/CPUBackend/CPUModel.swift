import ArtifactFormat
import CKernels
import Execution
import Plan
import Synchronization
import Tensors

/// A loaded model on the CPU: prepared plans over two arenas, one for the decoder's entries and one for images.
final class CPUModel: LoadedModel {
    let program: Program
    private let artifact: Artifact
    private let team: ThreadTeam
    private let rowItems = RowItems()
    private let kv: KVStorage
    private let indices = IndexTables()
    private let decoderContext, visionContext: RunContext
    private let arenas: [Arena]
    private var extend = PreparedPlan()
    private var decode: [Int: PreparedPlan] = [:]
    private var vision: [PreparedStep] = []
    private var visionBuffers: VisionBuffers?
    private var visionNext = 0
    private let symbols: SymbolTable

    init(_ artifact: Artifact, isa: vlm_isa, threads: Int) throws(BackendError) {
        self.artifact = artifact
        let program = artifact.program
        self.program = program
        team = ThreadTeam(count: threads)
        kv = KVStorage(program.kv)
        let decoderBytes = program.plans.filter { $0.entry != .vision }.map(\.arenaBytes).max() ?? 0
        let visionPlan = program.plans.first { $0.entry == .vision }
        let decoderArena = try Arena(byteCount: decoderBytes, for: "the decoder's arena")
        let visionArena = try Arena(byteCount: visionPlan?.arenaBytes ?? 0, for: "the vision arena")
        arenas = [decoderArena, visionArena]
        symbols = SymbolTable(program.plans)
        decoderContext = RunContext(arena: decoderArena.base, symbols: symbols)
        visionContext = RunContext(arena: visionArena.base, symbols: symbols)

        let scratch = try Scratch(threads: threads)
        let states = try StateStorage(program.states, sequences: program.limits.maxSequences)
        let environment = StepEnvironment(isa: isa, threads: threads, scratch: scratch, kv: kv, states: states, symbols: symbols)
        let weights = ArtifactWeights(artifact: artifact, indices: indices)
        for plan in program.plans {
            let steps = try StepPreparer(weights: weights, environment: environment, bounds: plan.bounds).prepare(plan)
            switch plan.entry {
            case .vision: vision = steps
            case .extend: extend = PreparedPlan(steps: steps, bounds: BatchBounds(plan))
            case .decode(let gear): decode[gear] = PreparedPlan(steps: steps, bounds: BatchBounds(plan))
            }
        }
        try scratch.allocate()
        if let visionPlan {
            visionBuffers = try VisionBuffers(visionPlan, maxPatches: program.limits.maxPatches)
            visionContext.vision = visionBuffers
        }
    }

    func reserveKV(blockSize: Int, blockCount: Int) throws(BackendError) {
        guard kv.reserve(blockSize: blockSize, blockCount: blockCount) else {
            let (bytes, overflow) = program.kv.blockBytes(size: blockSize).multipliedReportingOverflow(by: blockCount)
            throw .outOfMemory(what: "the KV cache", bytes: overflow ? .max : bytes)
        }
    }

    func makeStepIO(maxBlocks: Int) throws(BackendError) -> StepIO {
        try StepIO(
            maxTokens: max(program.limits.maxBatchedTokens, program.limits.maxSequences),
            maxSequences: program.limits.maxSequences, maxBlocks: maxBlocks, positionAxes: program.positionAxes,
            hiddenSize: program.imageWidth, vocabularySize: program.vocabularySize)
    }

    func run(_ entry: Entry, _ io: StepIO) throws(BackendError) {
        let plan = try prepared(entry)
        try run(plan.steps, within: plan.bounds, io)
    }

    /// Of steps that differ only in their weights and operands, the first runs for all.
    func warm(_ entry: Entry, _ io: StepIO) throws(BackendError) {
        guard let plan = program.plans.first(where: { $0.entry == entry }) else { return }
        var seen: Set<Kernel> = []
        func first(_ steps: [PreparedStep]) -> [PreparedStep] {
            zip(steps, plan.steps).filter { seen.insert($0.1.kernel).inserted }.map(\.0)
        }
        guard entry == .vision else {
            let prepared = try prepared(entry)
            return try run(first(prepared.steps), within: prepared.bounds, io)
        }
        for step in first(vision) {
            step.bind(visionContext)
            team.run(step)
        }
        try throwFailure(visionContext)
    }

    private func prepared(_ entry: Entry) throws(BackendError) -> PreparedPlan {
        switch entry {
        case .extend: return extend
        case .decode(let gear):
            guard let prepared = decode[gear] else { throw .unsupported("no decode gear \(gear) in the artifact") }
            return prepared
        case .vision: throw .unsupported("images are encoded by beginVision")
        }
    }

    private func run(_ steps: [PreparedStep], within bounds: BatchBounds, _ io: StepIO) throws(BackendError) {
        try bounds.check(io)
        let context = decoderContext
        context.io = io
        context.set(.tokens, io.tokenCount)
        context.set(.samples, io.sampleCount)
        context.set(.images, io.imageCount)
        for step in steps {
            step.bind(context)
            team.run(step)
        }
        try throwFailure(context)
    }

    func beginVision(_ input: VisionInput) throws(BackendError) {
        guard let buffers = visionBuffers else { throw .unsupported("the artifact has no vision entry") }
        visionContext.set(try buffers.fill(input), symbols)
        visionNext = 0
    }

    func advanceVision(budget: Double) throws(BackendError) -> Bool {
        var left = budget
        while visionNext < vision.count, left > 0 {
            let step = vision[visionNext]
            step.bind(visionContext)
            left -= step.operations
            team.run(step)
            visionNext += 1
        }
        try throwFailure(visionContext)
        return visionNext == vision.count
    }

    var visionOutput: UnsafeBufferPointer<Float> {
        visionBuffers?.result ?? UnsafeBufferPointer(start: nil, count: 0)
    }

    var rowThreads: Int { team.count }

    func run(rows count: Int, _ work: any RowWork) {
        (rowItems.work, rowItems.count) = (work, count)
        team.run(rowItems)
        rowItems.work = nil
    }

    private func throwFailure(_ context: RunContext) throws(BackendError) {
        let status = context.failure.exchange(0, ordering: .relaxed)
        switch status {
        case VLM_OK.rawValue: return
        case VLM_BAD_INDEX.rawValue: throw .malformed("a token, slot or row index is outside its table")
        case VLM_BAD_ALIGNMENT.rawValue: throw .malformed("a packed weight is not aligned")
        default: throw .malformed("a step has a shape that its kernel does not support")
        }
    }
}

/// Rows as items of a team.
private final class RowItems: TeamWork {
    var work: (any RowWork)?
    var count = 0
    let phaseCount = 1

    func itemCount(_ phase: Int) -> Int { count }
    func grain(_ phase: Int) -> Int { 1 }

    func run(_ phase: Int, _ items: Range<Int>, thread: Int) {
        for row in items { work?.run(row: row, thread: thread) }
    }
}
