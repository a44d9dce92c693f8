import Foundation
import MediaFetching
import NIOCore
import NIOPosix
import NIOSSL
import TestClient
import Testing

/// Certificates are checked for the name in the URL, although the connection goes to an address.
@Suite struct SecureFetchTests {
    private final class Held: Sendable {}

    /// Answers each connection with the same file over TLS.
    private final class Page: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let answer = ByteBuffer(string: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc")
            context.writeAndFlush(wrapOutboundOut(answer), promise: nil)
        }
    }

    private static func site() async throws -> any Channel {
        let certificates = try NIOSSLCertificate.fromPEMBytes(Array(Certificates.server.utf8)).map { NIOSSLCertificateSource.certificate($0) }
        let key = try NIOSSLPrivateKey(bytes: Array(Certificates.serverKey.utf8), format: .pem)
        let context = try NIOSSLContext(configuration: .makeServerConfiguration(certificateChain: certificates, privateKey: .privateKey(key)))
        return try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton).childChannelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandlers([NIOSSLServerHandler(context: context), Page()])
            }
        }.bind(host: "127.0.0.1", port: 0).get()
    }

    private static func fetch(_ url: String, trusting file: String?) async throws -> [UInt8] {
        var rules = MediaRules()
        rules.domains = [MediaDomain("*")].compactMap(\.self)
        rules.allowsPrivateAddresses = true
        rules.timeoutSeconds = 300
        return try await MediaFetcher(rules: rules, trustedCertificates: file).file(at: MediaURL(url), bytesMax: 100, holding: Held()) { _ in }
    }

    @Test func namesAreThoseOfCertificates() async throws {
        let file = FileManager.default.temporaryDirectory.path + "/vlm-trusted-\(UUID().uuidString).pem"
        try Data(Certificates.server.utf8).write(to: URL(fileURLWithPath: file))
        defer { try? FileManager.default.removeItem(atPath: file) }
        let site = try await Self.site()
        let port = try #require(site.localAddress?.port)
        #expect(try await Self.fetch("https://localhost:\(port)/", trusting: file) == Array("abc".utf8))
        for (host, trusted) in [("127.0.0.1", file), ("localhost", nil)] {
            let fault = await #expect(throws: MediaError.self) { try await Self.fetch("https://\(host):\(port)/", trusting: trusted) }
            #expect(fault?.description == "the URL's host cannot be reached", "\(host)")
        }
        try await site.close()
    }
}
