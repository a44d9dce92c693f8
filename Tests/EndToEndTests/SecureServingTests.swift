import Foundation
import TestClient
import JSON
import Testing

/// `vlm-serve` with certificates: from the flags to an answer.
@Suite struct SecureServingTests {
    private let space: Workspace

    init() throws {
        space = try Workspace()
        for (name, text) in [
            ("server.pem", Certificates.server), ("server.key", Certificates.serverKey), ("both.pem", Certificates.serverKey + "\n" + Certificates.server),
            ("other.key", Certificates.otherKey), ("expired.pem", Certificates.expired),
        ] {
            try Data(text.utf8).write(to: space.url.appending(path: name))
            chmod(space.path(name), name == "both.pem" ? 0o644 : 0o600)
        }
    }

    @Test func answersOverHTTPS() async throws {
        let artifact = try space.compile(Workspace.demoModel)
        let both = space.path("both.pem")
        let running = try Command("vlm-serve", [artifact, "--host", "127.0.0.1", "--port", "0", "--ssl-certfile", both]).start()
        let warning = running.line(with: "warning: --ssl-certfile")
        #expect(warning?.contains("--ssl-certfile \(both): every user of this machine can read the key; chmod o-r keeps them out") == true, "\(warning ?? "")")
        let line = try #require(running.line(with: "listening on https://127.0.0.1:"))
        let port = try #require(line.split(separator: ":").last.flatMap { Int($0) })
        let body = Data(#"{"model": "model", "messages": [{"role": "user", "content": "What?"}], "max_tokens": 2}"#.utf8)
        let answer = try await blocking {
            let client = try HTTPClient(port: port, patience: 300, tls: ClientTLS())
            try client.send("POST", "/v1/chat/completions", body: Array(body))
            return try client.answer()
        }
        #expect(answer.status == 200 && answer.json["usage"]?["completion_tokens"] != nil, "\(answer.text)")
        #expect(running.stop() == 0)
    }

    /// Neither the model nor its artifact is looked at before.
    @Test func filesAreCheckedFirst() throws {
        let (server, key) = (space.path("server.pem"), space.path("server.key"))
        for (flags, message) in [
            (["--ssl-certfile", "/nothing.pem"], "--ssl-certfile /nothing.pem: No such file or directory"),
            (["--ssl-certfile", server], "--ssl-certfile \(server) holds no private key in PEM form; --ssl-keyfile names its file"),
            (["--ssl-cert-file", server, "--ssl-key-file", space.path("other.key")], "--ssl-keyfile \(space.path("other.key")): the key is not that of the first certificate in --ssl-certfile \(server)"),
            (["--ssl-certfile", space.path("expired.pem"), "--ssl-keyfile", key], "the certificate expired at 2001-01-01T00:00:00Z"),
            (["--ssl-certfile", server, "--ssl-keyfile", key, "--ssl-ca-certs", key, "--ssl-cert-reqs", "2"], "--ssl-ca-certs \(key) holds no certificates in PEM form"),
        ] {
            let outcome = try Command("vlm-serve", ["/no-model"] + flags).run()
            #expect(outcome.status == 1 && outcome.errors.hasPrefix("error: ") && outcome.errors.contains(message), "\(outcome)")
        }
        for (flags, message) in [
            (["--ssl-keyfile", key], "--ssl-keyfile needs --ssl-certfile"), (["--ssl-cert-reqs", "1"], "--ssl-cert-reqs needs --ssl-certfile"),
            (["--ssl-certfile", server, "--ssl-cert-reqs", "3"], "--ssl-cert-reqs 3 is none of 0, 1 and 2"),
            (["--ssl-certfile", server, "--ssl-cert-reqs", "2"], "--ssl-cert-reqs 2 needs --ssl-ca-certs"),
            (["--ssl-certfile", server, "--ssl-ca-certs", server], "--ssl-ca-certs without --ssl-cert-reqs 1 or 2 would let every client in"),
            (["--ssl-certfile", server, "--enable-ssl-refresh"], "--enable-ssl-refresh: certificates are read once"),
        ] {
            let outcome = try Command("vlm-serve", ["/no-model"] + flags).run()
            #expect(outcome.status == 64 && outcome.errors.contains(message), "\(outcome)")
        }
    }
}
