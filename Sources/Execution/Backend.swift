package import ArtifactFormat
package import Plan

/// Turns artifacts into models that run on one kind of device.
package protocol Backend {
    /// Maps the weights and prepares every plan; nothing is compiled and no plan is changed.
    func load(_ artifact: Artifact) throws(BackendError) -> any LoadedModel
}

/// A model ready to run. One thread at a time calls it.
package protocol LoadedModel: AnyObject {
    var program: Program { get }

    /// Allocates the paged KV cache; once, before the first `run`.
    func reserveKV(blockSize: Int, blockCount: Int) throws(BackendError)

    /// Buffers sized for the largest batch with `maxBlocks` blocks per sequence; made once, filled before each `run`.
    func makeStepIO(maxBlocks: Int) throws(BackendError) -> StepIO

    /// Runs `extend` or one `decode` gear over the batch in `io` and leaves logits there.
    func run(_ entry: Entry, _ io: StepIO) throws(BackendError)

    /// Runs what makes later runs of the entry as fast as they get: at least each kernel once. What it computes means nothing.
    /// For `vision`, pictures were begun.
    func warm(_ entry: Entry, _ io: StepIO) throws(BackendError)

    /// Begins encoding pictures; an encoding in progress is dropped.
    func beginVision(_ input: VisionInput) throws(BackendError)

    /// Goes on encoding for about `budget` floating-point operations; true once `visionOutput` is complete.
    func advanceVision(budget: Double) throws(BackendError) -> Bool

    /// f32[M, H]: embeddings of the pictures of the last finished encoding, in input order.
    var visionOutput: UnsafeBufferPointer<Float> { get }
}

extension LoadedModel {
    package func warm(_ entry: Entry, _ io: StepIO) throws(BackendError) {
        guard entry == .vision else { return try run(entry, io) }
        while try !advanceVision(budget: .infinity) {}
    }
}

/// The pictures of one vision call.
package struct VisionInput: Sendable {
    /// u8[P, C·h·w], single-frame patches in the processor's order.
    package var pixels: [UInt8]
    /// i32[2, P]: rows, then columns.
    package var positions: [Int32]
    /// Patch index where each picture starts, and last the count of patches.
    package var bounds: [Int32]

    package init(pixels: [UInt8], positions: [Int32], bounds: [Int32]) {
        self.pixels = pixels
        self.positions = positions
        self.bounds = bounds
    }

    /// The pictures in order, as many in each call as `maxPatches` takes, and at least one.
    package func calls(maxPatches: Int) -> [VisionInput] {
        var calls: [VisionInput] = []
        var first = 0
        for next in bounds.indices.dropFirst() {
            let fitsMore = next + 1 < bounds.count && Int(bounds[next + 1] - bounds[first]) <= maxPatches
            if fitsMore { continue }
            calls.append(pictures(first..<next))
            first = next
        }
        return calls
    }

    private func pictures(_ range: Range<Int>) -> VisionInput {
        let count = positions.count / 2
        let (start, end) = (Int(bounds[range.lowerBound]), Int(bounds[range.upperBound]))
        let width = count == 0 ? 0 : pixels.count / count
        return VisionInput(
            pixels: Array(pixels[start * width..<end * width]),
            positions: Array(positions[start..<end] + positions[count + start..<count + end]),
            bounds: bounds[range.lowerBound...range.upperBound].map { $0 - bounds[range.lowerBound] })
    }
}

/// Why a backend cannot load or run a model.
package enum BackendError: Error, Sendable, CustomStringConvertible {
    /// The artifact needs a kernel or feature this backend does not have.
    case unsupported(String)
    /// Memory for weights, arena or KV cache cannot be had.
    case outOfMemory(what: String, bytes: Int)
    /// A plan or weight table contradicts itself.
    case malformed(String)

    package var description: String {
        switch self {
        case .unsupported(let what): what
        case .outOfMemory(let what, let bytes): "cannot allocate \(bytes) bytes for \(what)"
        case .malformed(let what): "the artifact is damaged: \(what); rebuild it with vlmc compile --force"
        }
    }
}
