import Execution
import Plan
import Tensors

/// The steps of a plan of tokens, and the batches that they are for.
struct PreparedPlan {
    var steps: [PreparedStep] = []
    var bounds = BatchBounds()
}

/// The largest batch that a plan's memory was laid out for.
struct BatchBounds {
    private var tokens = 0
    private var samples = 0
    private var images = 0

    /// Admits empty batches only.
    init() {}

    /// A symbol without bound is one that no slot of the plan has.
    init(_ plan: ExecutionPlan) {
        tokens = plan.bounds[PlanSymbol.tokens.rawValue] ?? .max
        samples = plan.bounds[PlanSymbol.samples.rawValue] ?? .max
        images = plan.bounds[PlanSymbol.images.rawValue] ?? .max
        if case .decode(let gear) = plan.entry { (tokens, samples) = (min(tokens, gear), min(samples, gear)) }
    }

    /// Throws `unsupported` for a batch that is larger than the plan's memory.
    func check(_ io: StepIO) throws(BackendError) {
        guard io.tokenCount <= tokens else {
            throw .unsupported("a batch of \(io.tokenCount) tokens; the plan takes up to \(tokens)")
        }
        guard io.sampleCount <= samples else {
            throw .unsupported("logits of \(io.sampleCount) rows are wanted; the plan makes up to \(samples)")
        }
        guard io.imageCount <= images else {
            throw .unsupported("\(io.imageCount) rows of image embeddings; the plan takes up to \(images)")
        }
    }
}

/// The largest vision call that the plan's memory was laid out for.
struct VisionBounds {
    /// Patches that the pixels' type has room for.
    let bufferPatches: Int
    /// Bytes of one patch.
    let patchBytes: Int
    private let maxPatches: Int
    /// Patches that make one row of the output.
    private let patchesPerRow: Int

    /// - Parameter maxPatches: most patches of a call that the program was compiled for.
    init(_ plan: ExecutionPlan, maxPatches: Int) throws(BackendError) {
        let pixels = plan.steps.lazy.flatMap(\.inputs).first { $0.place == .input(.pixels) }
        guard let shape = pixels?.type.shape, let extents = shape.values(plan.bounds), extents.count == 2 else {
            throw .malformed("the vision plan reads no pixels")
        }
        (bufferPatches, patchBytes) = (extents[0], extents[1])
        patchesPerRow = max(shape.dims[0].factor, 1)
        let room = Dim(patchesPerRow, times: PlanSymbol.merged.rawValue).value(plan.bounds) ?? .max
        self.maxPatches = min(maxPatches, extents[0], room)
    }

    /// Image tokens of a call; throws `unsupported` for one that does not fit the plan or contradicts itself.
    func mergedRows(_ input: VisionInput) throws(BackendError) -> Int {
        let patches = input.patches
        guard patches > 0, patches <= maxPatches else {
            throw .unsupported("a vision call of \(patches) patches; the artifact takes 1 to \(maxPatches)")
        }
        guard input["patch_positions"]?.values.count == 2 * patches else {
            throw .unsupported("a vision call of \(patches) patches has not as many positions")
        }
        guard patches % patchesPerRow == 0 else {
            throw .unsupported("a vision call of \(patches) patches; \(patchesPerRow) make an image token")
        }
        let bytes = input["pixels"]?.values.count ?? 0
        guard bytes == patches * patchBytes else {
            throw .unsupported("\(bytes) bytes of pixels for \(patches) patches; a patch of the artifact has \(patchBytes)")
        }
        let bounds = input.segments["pictures"] ?? []
        guard bounds.first == 0 else {
            throw .unsupported("the first picture of a vision call does not begin at patch 0")
        }
        guard bounds.last.map(Int.init) == patches else {
            throw .unsupported("the pictures of a vision call do not end at patch \(patches)")
        }
        for index in bounds.indices.dropFirst() where bounds[index - 1] >= bounds[index] {
            throw .unsupported("picture \(index - 1) of a vision call has no patches")
        }
        return patches / patchesPerRow
    }
}
