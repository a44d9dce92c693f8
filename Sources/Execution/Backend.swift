package import ArtifactFormat
package import Plan

/// Turns artifacts into models that run on one kind of device.
package protocol Backend: Sendable {
    /// Maps the weights and prepares every plan; nothing is compiled and no plan is changed.
    ///
    /// - Parameters:
    ///   - adapters: those that tokens may name by their place here, of layers that the program lets them change.
    ///   - other: a model of this backend whose threads compute this one as well, in turn; nil for threads of its own.
    func load(_ artifact: Artifact, adapters: [Adapter], beside other: (any LoadedModel)?) throws(BackendError) -> any LoadedModel
}

extension Backend {
    /// A model with threads of its own.
    package func load(_ artifact: Artifact, adapters: [Adapter] = []) throws(BackendError) -> any LoadedModel {
        try load(artifact, adapters: adapters, beside: nil)
    }
}

/// A model ready to run. One thread at a time calls it.
package protocol LoadedModel: AnyObject {
    var program: Program { get }

    /// Allocates the paged KV cache; once, before the first `run`.
    func reserveKV(blockSize: Int, blockCount: Int) throws(BackendError)

    /// Buffers sized for the largest batch with `maxBlocks` blocks per sequence; made once, filled before each `run`.
    func makeStepIO(maxBlocks: Int) throws(BackendError) -> StepIO

    /// Copies places of the KV cache and of the states of sequences, one after another; before the `run` whose sequences use them.
    func copy(_ copies: CacheCopies)

    /// What decides the bits of keys and values beside the artifact, in words: libraries, and how they were told to compute.
    var arithmetic: String { get }

    /// Bytes of one block of the KV cache, K and V of all layers; 0 before `reserveKV`.
    var blockBytes: Int { get }

    /// Writes the content of a block of the KV cache into a buffer of `blockBytes`.
    func readBlock(_ block: Int32, into buffer: UnsafeMutableRawBufferPointer)

    /// Writes over a block what `readBlock` of a model of the same artifact and block size gave.
    func writeBlock(_ block: Int32, from buffer: UnsafeRawBufferPointer)

    /// Runs `extend` or one `decode` gear over the batch in `io` and leaves logits there.
    func run(_ entry: Entry, _ io: StepIO) throws(BackendError)

    /// Runs each of the entry's kernels, at least on a part of its work, so that nothing is found missing later. What it computes means nothing.
    /// For `vision`, images were begun.
    func warm(_ entry: Entry, _ io: StepIO) throws(BackendError)

    /// Begins encoding images; an encoding in progress is dropped.
    func beginVision(_ input: VisionInput) throws(BackendError)

    /// Goes on encoding for about so long, or to the end where `seconds` is infinite; true once `visionOutput` is complete.
    func advanceVision(seconds: Double) throws(BackendError) -> Bool

    /// Most rows that `run(rows:_:)` computes at once.
    var rowThreads: Int { get }

    /// Runs `work` for each of the rows 0 ..< `count`, on the threads that compute.
    func run(rows count: Int, _ work: any RowWork)

    /// f32[M, H]: embeddings of the images of the last finished encoding, in input order.
    var visionOutput: UnsafeBufferPointer<Float> { get }
}

/// Places of the cache whose content is to be at other places as well.
package struct CacheCopies: Sendable, Equatable {
    package struct Copy: Sendable, Equatable {
        package var from: Int32
        package var to: Int32

        package init(from: Int32, to: Int32) {
            self.from = from
            self.to = to
        }
    }
    /// Blocks of the KV cache, K and V of all layers. A copy reads what those before it have written.
    package var blocks: [Copy] = []
    /// Slots of the states of sequences, of all layers; models that keep none have nothing to copy.
    package var states: [Copy] = []

    package init() {}

    package var isEmpty: Bool { blocks.isEmpty && states.isEmpty }
}

/// Work on rows that do not depend on each other.
package protocol RowWork: AnyObject {
    /// - Parameter thread: below `LoadedModel.rowThreads`; one row at a time is computed under each number.
    func run(row: Int, thread: Int)
}

extension LoadedModel {
    package var rowThreads: Int { 1 }

    package func run(rows count: Int, _ work: any RowWork) {
        for row in 0..<count { work.run(row: row, thread: 0) }
    }

    package func warm(_ entry: Entry, _ io: StepIO) throws(BackendError) {
        guard entry == .vision else { return try run(entry, io) }
        while try !advanceVision(seconds: .infinity) {}
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
        case .malformed(let what): "the artifact is damaged: \(what); rebuild it with vlmc compile MODEL_DIR --force"
        }
    }
}
