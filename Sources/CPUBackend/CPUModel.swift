import ArtifactFormat
import CKernels
import COpenBLAS
import Execution
import Plan
import Synchronization
import Tensors

/// A loaded model on the CPU: prepared plans over two arenas, one for the decoder's entries and one for images.
final class CPUModel: LoadedModel {
    let program: Program
    private let artifact: Artifact
    let team: ThreadTeam
    private let rowItems = RowItems()
    private let kv: KVStorage
    private let states: StateStorage
    private let indices = IndexTables()
    private let decoderContext, visionContext: RunContext
    private let arenas: [Arena]
    private var extend = PreparedPlan()
    private var decode: [Int: PreparedPlan] = [:]
    private var vision: [PreparedStep] = []
    private var visionBuffers: VisionBuffers?
    private var visionPlace = VisionPlace()
    private let symbols: SymbolTable
    private let clock: StepClock?

    init(_ artifact: Artifact, adapters: [Adapter], isa: vlm_isa, team: ThreadTeam, clock: StepClock?) throws(BackendError) {
        self.artifact = artifact
        let program = artifact.program
        self.program = program
        self.clock = clock
        self.team = team
        let threads = team.count
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
        states = try StateStorage(program.states, sequences: program.limits.maxSequences)
        let environment = StepEnvironment(
            isa: isa, threads: threads, scratch: scratch, kv: kv, states: states, symbols: symbols, adapters: adapters)
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
            hiddenSize: program.imageWidth, vocabularySize: program.vocabularySize,
            modelWidth: program.hiddenSize, innerWidth: program.innerRowWidth)
    }

    func copy(_ copies: CacheCopies) {
        for copy in copies.blocks { kv.copyBlock(from: Int(copy.from), to: Int(copy.to)) }
        for copy in copies.states { states.copySlot(from: Int(copy.from), to: Int(copy.to)) }
    }

    /// Kernels compute the same on every processor that has the artifact's features, OpenBLAS does not.
    var arithmetic: String {
        let usesBLAS = program.plans.contains { plan in
            plan.steps.contains { step in if case .linear(let linear) = step.kernel { linear.arithmetic == .blas } else { false } }
        }
        return usesBLAS ? "cpu, \(String(cString: vlm_openblas_description())), \(team.count <= Int(VLM_OPENBLAS_THREADS))" : "cpu"
    }

    var blockBytes: Int { kv.blockBytes }

    func readBlock(_ block: Int32, into buffer: UnsafeMutableRawBufferPointer) { kv.read(block: Int(block), into: buffer) }

    func writeBlock(_ block: Int32, from buffer: UnsafeRawBufferPointer) { kv.write(block: Int(block), from: buffer) }

    func run(_ entry: Entry, _ io: StepIO) throws(BackendError) {
        let plan = try prepared(entry)
        try begin(io, within: plan.bounds)
        clock?.begin(entry, rows: io.tokenCount)
        for (index, step) in plan.steps.enumerated() { run(step, decoderContext, entry, index) }
        try throwFailure(decoderContext)
    }

    /// Of steps that differ only in their weights, operands and layer, the first runs for all, and of that only the first items: the
    /// kernels run, but weights are not read as a whole.
    func warm(_ entry: Entry, _ io: StepIO) throws(BackendError) {
        guard let plan = program.plans.first(where: { $0.entry == entry }) else { return }
        var seen: Set<WarmKernel> = []
        let context = entry == .vision ? visionContext : decoderContext
        var steps = vision
        if entry != .vision {
            let prepared = try prepared(entry)
            try begin(io, within: prepared.bounds)
            steps = prepared.steps
        }
        for (step, planned) in zip(steps, plan.steps) where seen.insert(WarmKernel(planned.kernel, program.kv)).inserted {
            step.bind(context)
            team.run(step, isTry: true)
        }
        try throwFailure(context)
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

    private func begin(_ io: StepIO, within bounds: BatchBounds) throws(BackendError) {
        try bounds.check(io)
        decoderContext.io = io
        decoderContext.set(.tokens, io.tokenCount)
        decoderContext.set(.samples, io.sampleCount)
        decoderContext.set(.images, io.imageCount)
    }

    /// Runs a step of an entry's plan, under the clock where there is one.
    private func run(_ step: PreparedStep, _ context: RunContext, _ entry: Entry, _ index: Int) {
        step.bind(context)
        guard let clock else { return team.run(step) }
        let begin = ContinuousClock.now
        team.run(step)
        clock.add(.now - begin, to: entry, step: index, isNew: true)
    }

    func beginVision(_ input: VisionInput) throws(BackendError) {
        guard let buffers = visionBuffers else { throw .unsupported("the artifact has no vision entry") }
        visionContext.set(try buffers.fill(input), symbols)
        visionPlace.begin()
        clock?.begin(.vision, rows: input.patches)
    }

    func advanceVision(seconds: Double) throws(BackendError) -> Bool {
        let deadline = seconds.isFinite ? ContinuousClock.now + .seconds(seconds) : nil
        var hasRun = false
        while visionPlace.step < vision.count {
            let step = vision[visionPlace.step]
            if visionPlace.isAtStart { step.bind(visionContext) }
            let began = ContinuousClock.now
            let left = deadline.map { ($0 - began) / .seconds(1) }
            guard let items = visionPlace.next(of: step, threads: team.count, within: left, atLeastSome: !hasRun) else { break }
            team.run(step, visionPlace.phase, items)
            let time = ContinuousClock.now - began
            clock?.add(time, to: .vision, step: visionPlace.step, isNew: visionPlace.isAtStart)
            hasRun = true
            visionPlace.note(items, of: step, seconds: time / .seconds(1))
        }
        try throwFailure(visionContext)
        return visionPlace.step == vision.count
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

/// A kernel as it is in whatever layer of the KV cache has the same geometry.
private struct WarmKernel: Hashable {
    private let kernel: Kernel
    private let cache: KVLayout.Layer?

    init(_ kernel: Kernel, _ kv: KVLayout) {
        self.kernel = kernel.onKVLayer(0)
        cache = kernel.kvLayer.map { kv.layers[$0] }
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
