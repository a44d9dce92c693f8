internal import Foundation
internal import Hummingbird
internal import HummingbirdCore
internal import HummingbirdTLS
internal import Logging
internal import NIOCore
internal import ServiceLifecycle
internal import Synchronization

/// A port that is open, from before there is a model until the server ends; what answers on it changes meanwhile.
package final class OpenPort: Sendable {
    typealias Responder = HTTPResponder<APIContext>

    package let number: Int
    private let answering: Answering
    private let group: ServiceGroup
    private let run: Task<Void, any Error>

    /// Who answers, and whom. Not a closure: an `async` one that is taken out of a `Mutex` leaks the frame of each call (Swift 6.3).
    private final class Answering: HTTPResponder {
        private let values: Mutex<(responder: any Responder, access: AccessRules)>

        init(_ responder: any Responder, _ access: AccessRules) { values = Mutex((responder, access)) }

        var access: AccessRules { values.withLock { $0.access } }

        func change(to responder: any Responder, _ access: AccessRules) { values.withLock { $0 = (responder, access) } }

        func respond(to request: Request, context: APIContext) async throws -> Response {
            try await values.withLock { $0.responder }.respond(to: request, context: context)
        }
    }

    /// Opens the port that `options` name; throws `ListenError` when it cannot be had.
    init(_ options: APIServer.Options, _ access: AccessRules, _ responder: any Responder) async throws {
        let answering = Answering(responder, access)
        let (ports, announce) = AsyncThrowingStream<Int, any Error>.makeStream()
        let application = try options.application(answering, access: { answering.access }) { announce.yield($0) }
        let group = ServiceGroup(configuration: ServiceGroupConfiguration(services: [application], logger: APIServer.silence))
        let run = Task {
            do { try await group.run() } catch {
                announce.finish(throwing: error)
                throw error
            }
            announce.finish()
        }
        (self.answering, self.group, self.run) = (answering, group, run)
        var iterator = ports.makeAsyncIterator()
        do {
            guard let port = try await iterator.next() else { throw CancellationError() }
            number = port
        } catch  where !(error is CancellationError) {
            let reason = (error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(error)"
            throw ListenError(host: options.host, port: options.port, reason: reason)
        }
    }

    /// From now on requests are answered by `responder`.
    func answers(by responder: any Responder, _ access: AccessRules) { answering.change(to: responder, access) }

    /// Returns when the port is closed: by graceful shutdown once requests at work are answered, by cancellation at once.
    func untilClosed() async throws {
        try await withTaskCancellationHandler {
            try await withGracefulShutdownHandler {
                try await run.value
            } onGracefulShutdown: { [group] in
                Task { await group.triggerGracefulShutdown() }
            }
        } onCancel: {
            run.cancel()
        }
    }

    /// Closes the port and every connection.
    package func close() async {
        run.cancel()
        _ = await run.result
    }
}

extension APIServer {
    /// What goes wrong on connections is told to clients and counted.
    fileprivate static let silence: Logger = {
        var logger = Logger(label: "http") { SwiftLogNoOpLogHandler($0) }
        logger.logLevel = .critical
        return logger
    }()
}

extension APIServer.Options {
    fileprivate func application(
        _ responder: some OpenPort.Responder, access: @escaping @Sendable () -> AccessRules, onListening: @escaping @Sendable (_ port: Int) -> Void
    ) throws -> some ApplicationProtocol {
        let timeouts = ConnectionRules.Timeouts(
            body: .nanoseconds(Int64(bodyTimeoutSeconds * 1e9)), write: .nanoseconds(Int64(writeTimeoutSeconds * 1e9)),
            idle: .nanoseconds(Int64(idleTimeoutSeconds * 1e9)))
        return Application(
            responder: responder,
            server: try connections(.init(additionalChannelHandlers: [ConnectionWatch(timeouts, access())], idleTimeout: timeouts.idle)),
            configuration: ApplicationConfiguration(
                address: .hostname(host, port: port), serverName: "vlm-serve", backlog: 1024,
                availableConnectionsDelegate: .maximum(maxConnections, logger: APIServer.silence)),
            onServerRunning: { channel in onListening(channel.localAddress?.port ?? 0) },
            logger: APIServer.silence)
    }

    /// HTTP/1 on connections, within TLS where there is one: then the rules of connections see what is decrypted.
    private func connections(_ configuration: HTTP1Channel.Configuration) throws -> HTTPServerBuilder {
        let plain = HTTPServerBuilder.http1(configuration: configuration)
        return try tls.map { try .tls(plain, tlsConfiguration: $0.configuration) } ?? plain
    }
}
