internal import NIOCore
internal import NIOHTTP1
internal import Synchronization

/// Notices that a client has gone away and tells the request at work on its connection.
///
/// `ConnectionRules` closes the connection of a client that only seemed to have more to read. When added it puts `ConnectionRules` right behind the HTTP/1 decoder, a place that handlers given to the server do not get.
final class ConnectionWatch: ChannelInboundHandler, RemovableChannelHandler, @unchecked Sendable {
    typealias InboundIn = Any

    private struct State {
        var isClosed = false
        var onClose: (@Sendable () -> Void)?
    }
    private let state = Mutex(State())
    private let timeouts: ConnectionRules.Timeouts

    private let access: AccessRules

    init(_ timeouts: ConnectionRules.Timeouts, _ access: AccessRules) {
        self.timeouts = timeouts
        self.access = access
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let pipeline = context.pipeline.syncOperations
        do {
            let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
            try pipeline.addHandler(ConnectionRules(timeouts, access), position: .after(decoder))
        } catch {
            context.fireErrorCaught(error)
            context.close(promise: nil)
        }
    }

    /// Calls `action` once when the connection closes; at once if it has. Nil forgets the one before.
    func onClose(_ action: (@Sendable () -> Void)?) {
        let isClosed = state.withLock { state in
            state.onClose = state.isClosed ? nil : action
            return state.isClosed
        }
        if isClosed { action?() }
    }

    func channelInactive(context: ChannelHandlerContext) {
        close()
        context.fireChannelInactive()
    }

    private func close() {
        let action = state.withLock { state in
            defer { state.onClose = nil }
            state.isClosed = true
            return state.onClose
        }
        action?()
    }
}

extension Channel {
    /// Runs `work` and calls `action` if the client goes away meanwhile, or has gone already.
    func onClientGone<Value>(
        _ action: @escaping @Sendable () -> Void, while work: () async throws -> Value
    ) async throws -> Value {
        let channel = self
        let watch = try? await eventLoop.submit {
            try channel.pipeline.syncOperations.handler(type: ConnectionWatch.self)
        }.get()
        // A closed channel has no handlers left.
        if let watch { watch.onClose(action) } else { action() }
        defer { watch?.onClose(nil) }
        return try await work()
    }

    /// Runs `work` in a task that is cancelled when the client goes away or the caller is cancelled.
    func whileClientStays<Value: Sendable>(_ work: @escaping @Sendable () async throws -> Value) async throws -> Value {
        let task = Task(operation: work)
        return try await onClientGone({ task.cancel() }) {
            try await withTaskCancellationHandler {
                try await task.value
            } onCancel: {
                task.cancel()
            }
        }
    }
}
