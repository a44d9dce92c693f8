internal import Foundation
internal import Hummingbird
internal import HummingbirdCore
internal import HummingbirdTLS
internal import Logging
internal import NIOCore
internal import Synchronization

extension APIServer.Options {
    /// Serves until graceful shutdown or cancellation; throws `ListenError` when the address cannot be had.
    func serve<Responder: HTTPResponder>(
        _ responder: Responder, _ access: AccessRules, onListening: @escaping @Sendable (_ port: Int) -> Void
    ) async throws where Responder.Context == APIContext {
        let isListening = Atomic(false)
        var logger = Logger(label: "http") { SwiftLogNoOpLogHandler($0) }
        logger.logLevel = .critical
        let timeouts = ConnectionRules.Timeouts(
            body: .nanoseconds(Int64(bodyTimeoutSeconds * 1e9)), write: .nanoseconds(Int64(writeTimeoutSeconds * 1e9)),
            idle: .nanoseconds(Int64(idleTimeoutSeconds * 1e9)))
        let application = Application(
            responder: responder,
            server: try connections(.init(additionalChannelHandlers: [ConnectionWatch(timeouts, access)], idleTimeout: timeouts.idle)),
            configuration: ApplicationConfiguration(
                address: .hostname(host, port: port), serverName: "vlm-serve", backlog: 1024,
                availableConnectionsDelegate: .maximum(maxConnections, logger: logger)),
            onServerRunning: { channel in
                isListening.store(true, ordering: .relaxed)
                onListening(channel.localAddress?.port ?? 0)
            },
            logger: logger)
        do {
            try await application.run()
        } catch  where !isListening.load(ordering: .relaxed) && !(error is CancellationError) {
            let reason = (error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(error)"
            throw ListenError(host: host, port: port, reason: reason)
        }
    }

    /// HTTP/1 on connections, within TLS where there is one: then the rules of connections see what is decrypted.
    private func connections(_ configuration: HTTP1Channel.Configuration) throws -> HTTPServerBuilder {
        let plain = HTTPServerBuilder.http1(configuration: configuration)
        return try tls.map { try .tls(plain, tlsConfiguration: $0.configuration) } ?? plain
    }
}
