internal import Inputs
package import Serving
internal import Synchronization

/// The model behind the routes: its names, its engine, and its input pipeline once that is loaded.
package final class ServedModel: Sendable {
    /// Names that requests may use; the first is the one that answers carry.
    package let names: [String]
    package let engine: Engine
    /// Shown by `/v1/models`.
    package let root: String
    private let baseName: String?
    private let loaded = Mutex<InputPipeline?>(nil)
    private let requests = Mutex(0)

    /// - Parameter baseName: a path that ends in it names the model as well, such as the directory it was compiled from.
    package init(names: [String], baseName: String? = nil, root: String, engine: Engine) {
        precondition(!names.isEmpty)
        self.names = names
        self.baseName = baseName
        self.root = root
        self.engine = engine
    }

    package var name: String { names[0] }

    /// Slashes at the end of a name do not count.
    func answers(to name: String) -> Bool {
        func trimmed(_ name: String) -> Substring {
            var rest = name[...]
            while rest.last == "/" { rest.removeLast() }
            return rest
        }
        if names.contains(where: { trimmed($0) == trimmed(name) }) { return true }
        guard let base = baseName?.split(separator: "/"), !base.isEmpty else { return false }
        return name.split(separator: "/").suffix(base.count) == base[...]
    }

    /// Nil while it loads.
    package var pipeline: InputPipeline? {
        get { loaded.withLock { $0 } }
        set { loaded.withLock { $0 = newValue } }
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

    /// Counts a chat request in that has arrived, until the last reference to the place goes.
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

    private var placeCount: Int { engine.configuration.maxSequences + engine.configuration.maxQueued }

    private var isFull: APIError { .overloaded("the server is busy: \(placeCount) requests wait or run") }

    final class Place: Sendable {
        private let model: ServedModel

        fileprivate init(_ model: ServedModel) { self.model = model }

        deinit { model.requests.withLock { $0 -= 1 } }
    }
}
