import NIOCore
import NIOEmbedded
import NIOSSL
import NIOTLS

/// What a client of TLS trusts, shows and offers; the server's name is `localhost`.
package struct ClientTLS: Sendable {
    /// A certificate in PEM form.
    package var trusted = Certificates.server
    /// Its own certificate and key in PEM form.
    package var own: (certificate: String, key: String)?
    /// Those of ALPN.
    package var protocols: [String] = []
    /// Whether it speaks nothing newer than TLS 1.1, or than 1.2.
    package var isOld = false
    package var is12 = false

    package init() {}

    fileprivate func configuration() throws -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(Array(trusted.utf8)))
        configuration.applicationProtocols = protocols
        if isOld { (configuration.minimumTLSVersion, configuration.maximumTLSVersion) = (.tlsv1, .tlsv11) }
        if is12 { configuration.maximumTLSVersion = .tlsv12 }
        if let own {
            configuration.certificateChain = try NIOSSLCertificate.fromPEMBytes(Array(own.certificate.utf8)).map { .certificate($0) }
            configuration.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: Array(own.key.utf8), format: .pem))
        }
        return configuration
    }
}

/// TLS between bytes in memory: what is sealed goes out by `pending`, after what the protocol itself has to say.
final class Encryption {
    private final class Watch: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        var isReady = false
        var negotiated: String?

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case .handshakeCompleted(let name) = event as? TLSUserEvent { (isReady, negotiated) = (true, name) }
            context.fireUserInboundEventTriggered(event)
        }
    }

    private let channel = EmbeddedChannel()
    private let watch = Watch()

    init(_ client: ClientTLS) throws {
        let handler = try NIOSSLClientHandler(context: NIOSSLContext(configuration: client.configuration()), serverHostname: "localhost")
        try channel.pipeline.syncOperations.addHandlers([handler, watch])
        channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
    }

    deinit {
        channel.close(promise: nil)
        // Nothing answers any more; the wait for it must be over.
        channel.embeddedEventLoop.advanceTime(by: .minutes(1))
    }

    var isReady: Bool { watch.isReady }
    var negotiated: String? { watch.negotiated }

    func pending() throws -> [UInt8] {
        var bytes: [UInt8] = []
        while let buffer = try channel.readOutbound(as: ByteBuffer.self) { bytes += buffer.readableBytesView }
        return bytes
    }

    func sealed(_ bytes: [UInt8]) throws -> [UInt8] {
        channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
        return try pending()
    }

    func opened(_ bytes: [UInt8]) throws -> [UInt8] {
        try channel.writeInbound(ByteBuffer(bytes: bytes))
        var opened: [UInt8] = []
        while let buffer = try channel.readInbound(as: ByteBuffer.self) { opened += buffer.readableBytesView }
        return opened
    }

    /// The word that nothing more is sent.
    func farewell() throws -> [UInt8] {
        channel.close(promise: nil)
        return try pending()
    }
}
