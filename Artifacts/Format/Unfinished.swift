import Synchronization

/// What a process has begun on disk and would leave behind if it were told to stop now.
package final class Unfinished: Sendable {
    private let id: Int

    private struct Registry {
        var undo: [Int: @Sendable () -> Void] = [:]
        var next = 0
    }
    private static let registry = Mutex(Registry())
    /// Taken before `registry` by who takes both.
    private static let creation = Mutex(())

    /// - Parameter undo: takes back what was begun; may be called on any thread.
    package init(undo: @escaping @Sendable () -> Void) {
        id = Self.registry.withLock { registry in
            defer { registry.next += 1 }
            registry.undo[registry.next] = undo
            return registry.next
        }
    }

    deinit { settle {} }

    /// Does what finishes or removes it, after which nothing is to be undone.
    package func settle<E: Error>(_ body: () throws(E) -> Void) throws(E) {
        try Self.registry.withLock { registry throws(E) in
            try body()
            registry.undo[id] = nil
        }
    }

    /// Makes files or directories that `undoAll` is to find: either before it, or never; not to be nested.
    package static func creating<Result, E: Error>(_ body: () throws(E) -> Result) throws(E) -> Result {
        try creation.withLock { _ throws(E) in try body() }
    }

    /// Undoes everything, the latest first, then ends the process; who would finish or make something meanwhile, waits for the end.
    package static func undoAll(then end: () -> Never) -> Never {
        creation.withLock { _ in
            registry.withLock { registry in
                for (_, undo) in registry.undo.sorted(by: { $0.key > $1.key }) { undo() }
                end()
            }
        }
    }
}
