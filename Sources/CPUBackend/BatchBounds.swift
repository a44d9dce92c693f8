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
