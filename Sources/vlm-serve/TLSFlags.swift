import ArgumentParser
import CommandLineSupport
import Glibc
import HTTPAPI

/// Whether the server speaks TLS, and with which certificates; the flags are vLLM's.
struct TLSFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Certificates in PEM form, the server's own first: with them it speaks TLS 1.2 and 1.3, and nothing in the clear. They are read once; a restart takes new ones.",
            valueName: "file"))
    var sslCertfile: String?
    @Option(help: ArgumentHelp("The private key of that certificate in PEM form, not encrypted; unless given, it is in the file of certificates.", valueName: "file"))
    var sslKeyfile: String?
    @Option(help: ArgumentHelp("Certificates of the authorities, in PEM form, that clients' certificates must come from.", valueName: "file"))
    var sslCaCerts: String?
    @Option(help: "Whether clients show certificates: 0 for no, 1 for those that have one, 2 for all of them, probes included.")
    var sslCertReqs = 0

    func validate() throws {
        guard ServerTLS.ClientCertificates(rawValue: sslCertReqs) != nil else { throw ValidationError("--ssl-cert-reqs \(sslCertReqs) is none of 0, 1 and 2") }
        if sslCertfile == nil {
            let given = [("--ssl-keyfile", sslKeyfile != nil), ("--ssl-ca-certs", sslCaCerts != nil), ("--ssl-cert-reqs", sslCertReqs != 0)]
            if let flag = given.first(where: \.1)?.0 { throw ValidationError("\(flag) needs --ssl-certfile, the server's own certificate") }
        }
        if sslCertReqs > 0, sslCaCerts == nil { throw ValidationError("--ssl-cert-reqs \(sslCertReqs) needs --ssl-ca-certs, the authorities of clients' certificates") }
        if sslCertReqs == 0, sslCaCerts != nil { throw ValidationError("--ssl-ca-certs without --ssl-cert-reqs 1 or 2 would let every client in all the same") }
    }

    /// What the server speaks; nil for plain HTTP. Says on stderr what an operator should know of its key.
    func server() throws -> ServerTLS? {
        guard let sslCertfile else { return nil }
        let certificates = try Self.file("--ssl-certfile", sslCertfile)
        let tls = try ServerTLS(
            certificates: certificates, key: sslKeyfile.map { try Self.file("--ssl-keyfile", $0) },
            authorities: sslCaCerts.map { try Self.file("--ssl-ca-certs", $0) }, clients: .init(rawValue: sslCertReqs) ?? .required)
        let (flag, path) = sslKeyfile.map { ("--ssl-keyfile", $0) } ?? ("--ssl-certfile", sslCertfile)
        var status = stat()
        if stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_mode & S_IROTH != 0 {
            ServerLog.warn("\(flag) \(path): every user of this machine can read the key; chmod o-r keeps them out")
        }
        return tls
    }

    private static func file(_ flag: String, _ path: String) throws -> ServerTLS.File {
        do throws(FileError) { return ServerTLS.File(name: "\(flag) \(path)", bytes: try InputFile.read(path)) } catch {
            throw LaunchError("\(flag) \(error)")
        }
    }
}
