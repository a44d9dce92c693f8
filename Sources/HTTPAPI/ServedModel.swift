internal import Inputs
package import Serving
internal import Synchronization

/// An adapter as requests name it.
package struct ServedAdapter: Sendable {
    package let name: String
    /// Its directory, shown by `/v1/models`.
    package let root: String
    package let chosen: ChosenAdapter

    package init(name: String, root: String, chosen: ChosenAdapter) {
        self.name = name
        self.root = root
        self.chosen = chosen
    }
}

/// The model behind the routes: its names, its engine, and its input pipeline once that is loaded.
package final class ServedModel: Sendable {
    /// Names that requests may use; the first is the one that answers carry.
    package let names: [String]
    package let engine: Engine
    /// Shown by `/v1/models`.
    package let root: String
    /// What requests may name in place of the model: the model with an adapter.
    let adapters: [ServedAdapter]
    private let baseNames: [String]
    /// How the model marks what it thinks, which answers of chats then tell apart; nil where all is text.
    let reasoning: ReasoningReader.Form?
    private let loaded = Mutex<InputPipeline?>(nil)
    private let requests = Mutex(0)
    /// What the next seed follows from; nil where seeds are drawn.
    private let seeds: Mutex<UInt64?>

    /// - Parameters:
    ///   - baseNames: a path that ends in one names the model as well, such as the directory it was compiled from.
    ///   - adapters: of other names than the model.
    ///   - seed: what the seeds of requests without one follow from; nil where they are drawn.
    package init(
        names: [String], baseNames: [String] = [], root: String, adapters: [ServedAdapter] = [], engine: Engine, seed: UInt64? = nil,
        reasoning: ReasoningReader.Form? = nil
    ) {
        self.reasoning = reasoning
        seeds = Mutex(seed)
        precondition(!names.isEmpty)
        self.names = names
        self.baseNames = baseNames
        self.adapters = adapters
        self.root = root
        self.engine = engine
    }

    package var name: String { names[0] }

    /// A seed for a request that gives none: of the SplitMix64 sequence, or drawn.
    func nextSeed() -> UInt64 {
        seeds.withLock { state in
            guard let before = state else { return .random(in: 0 ... .max) }
            state = before &+ 0x9E37_79B9_7F4A_7C15
            var mixed = before &+ 0x9E37_79B9_7F4A_7C15
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
    }

    /// The adapter that requests call so; nil for the model as it is.
    func adapter(named name: String) -> ServedAdapter? { adapters.first { $0.name == name } }

    /// Whether requests may call the model so, or one of its adapters. Slashes at the end of a name do not count.
    package func answers(to name: String) -> Bool {
        func trimmed(_ name: String) -> Substring {
            var rest = name[...]
            while rest.last == "/" { rest.removeLast() }
            return rest
        }
        if adapter(named: name) != nil || names.contains(where: { trimmed($0) == trimmed(name) }) { return true }
        let parts = name.split(separator: "/")
        return baseNames.map { $0.split(separator: "/") }.contains { !$0.isEmpty && parts.suffix($0.count) == $0[...] }
    }

    /// Nil while it loads.
    package var pipeline: InputPipeline? {
        get { loaded.withLock { $0 } }
        set {
            var pipeline = newValue
            pipeline?.onImageRead = { [engine] decoding, preparing in
                engine.updateMetrics { metrics in
                    metrics.imageDecode.observe(decoding.seconds)
                    metrics.imagePreprocess.observe(preparing.seconds)
                }
            }
            loaded.withLock { $0 = pipeline }
        }
    }

    package var isReady: Bool { engine.phase == .serving && pipeline != nil }

    /// The phase of the start, and which part of it is done.
    var progress: (phase: String, share: Double) {
        switch engine.phase {
        case .loading: ("loading", 0)
        case .warming(let done, let count): ("warming up", Double(done) / Double(max(count, 1)))
        case .serving: pipeline == nil ? ("loading the tokenizer", 0.9) : ("serving", 1)
        case .draining: ("draining", 1)
        case .stopped: ("stopped", 1)
        case .failed: ("failed", 0)
        }
    }

    /// Throws when a chat request would be refused now; asked before its body is read.
    func checkRoom() throws(APIError) {
        guard isReady else { throw .unavailable("the server is not ready: \(progress.phase)") }
        guard requests.withLock({ $0 }) < placeCount else { throw isFull }
    }

    /// Counts a request in that has arrived, until the last reference to the place goes.
    func enter() throws(APIError) -> Place {
        guard isReady else { throw .unavailable("the server is not ready: \(progress.phase)") }
        let entered = requests.withLock { count in
            guard count < placeCount else { return false }
            count += 1
            return true
        }
        guard entered else { throw isFull }
        return Place(self)
    }

    /// Requests that have arrived whole and whose answers are not written yet, as vLLM's `server_load` counts them.
    var requestCount: Int { requests.withLock { $0 } }

    private var placeCount: Int { engine.configuration.maxSequences + engine.configuration.maxQueued }

    private var isFull: APIError { .overloaded("the server is busy: \(placeCount) requests wait or run") }

    final class Place: Sendable {
        private let model: ServedModel

        fileprivate init(_ model: ServedModel) { self.model = model }

        deinit { model.requests.withLock { $0 -= 1 } }
    }
}
