internal import Foundation
internal import NIOCore
internal import NIOSSL

/// TLS of a server: its certificates and its key, and whether clients show certificates too; read from PEM and checked.
///
/// TLS 1.2 with forward secrecy and TLS 1.3 (RFC 5246, RFC 8446). By ALPN (RFC 7301) it agrees to HTTP/1.1 alone.
package struct ServerTLS: Sendable {
    /// What a file of PEM holds, and how errors call it.
    package struct File: Sendable {
        var name: String
        var bytes: [UInt8]

        package init(name: String, bytes: [UInt8]) { (self.name, self.bytes) = (name, bytes) }
    }

    /// Whether clients show certificates; the numbers are those of Python's `ssl`, which vLLM's flag takes.
    package enum ClientCertificates: Int, Sendable, CaseIterable {
        case none, optional, required
    }

    let configuration: TLSConfiguration

    /// - Parameter certificates: the server's own first, then those that lead to an authority.
    /// - Parameter key: of the server's own certificate; nil where it lies in the same file.
    /// - Parameter authorities: those that certificates of clients must lead to.
    package init(certificates: File, key: File? = nil, authorities: File? = nil, clients: ClientCertificates = .none) throws(TLSFileError) {
        let chain = try certificates.certificates()
        if let own = chain.first { try certificates.check(own, at: time(nil)) }
        let keyFile = key ?? certificates
        configuration = Self.configuration(chain, try keyFile.key(), try authorities?.certificates() ?? [], clients)
        do { _ = try NIOSSLContext(configuration: configuration) } catch {
            throw TLSFileError("\(keyFile.name): the key is not that of the first certificate in \(certificates.name), or not of a kind that TLS takes")
        }
    }

    private static func configuration(
        _ chain: [NIOSSLCertificate], _ key: NIOSSLPrivateKey, _ authorities: [NIOSSLCertificate], _ clients: ClientCertificates
    ) -> TLSConfiguration {
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = .tlsv12
        configuration.cipherSuites = "ECDHE+AESGCM:ECDHE+CHACHA20"
        configuration.applicationProtocols = ["http/1.1"]
        // Clients that left without a word are not waited for.
        configuration.shutdownTimeout = .seconds(1)
        configuration.trustRoots = .certificates(authorities)
        configuration.sendCANameList = true
        configuration.certificateVerification =
            switch clients {
            case .none: .none
            case .optional: .optionalVerification
            case .required: .noHostnameVerification
            }
        return configuration
    }
}

extension ServerTLS.File {
    fileprivate func certificates() throws(TLSFileError) -> [NIOSSLCertificate] {
        do { return try NIOSSLCertificate.fromPEMBytes(bytes) } catch { throw TLSFileError("\(name) holds no certificates in PEM form") }
    }

    fileprivate func check(_ certificate: NIOSSLCertificate, at now: Int) throws(TLSFileError) {
        func day(_ seconds: Int) -> String { Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601) }
        if certificate.notValidAfter < now { throw TLSFileError("\(name): the certificate expired at \(day(certificate.notValidAfter))") }
        if certificate.notValidBefore > now { throw TLSFileError("\(name): the certificate is not valid before \(day(certificate.notValidBefore))") }
    }

    fileprivate func key() throws(TLSFileError) -> NIOSSLPrivateKey {
        do { return try NIOSSLPrivateKey(bytes: bytes, format: .pem) } catch {
            let isEncrypted = String(decoding: bytes, as: UTF8.self).contains("ENCRYPTED")
            throw TLSFileError(
                isEncrypted
                    ? "\(name): the key is encrypted, and nobody could be asked for its password; openssl pkey writes it without"
                    : "\(name) holds no private key in PEM form; --ssl-keyfile names its file")
        }
    }
}

/// Why a server cannot speak TLS with the files that it was given.
package struct TLSFileError: Error, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}
