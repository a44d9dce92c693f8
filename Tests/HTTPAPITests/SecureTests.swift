import Foundation
import Gates
import HTTPAPI
import JSON
import Serving
import TestClient
import Testing

/// The same server within TLS: answers, what it agrees to, and the rules of connections behind it.
@Suite struct SecureTests {
    static func file(_ text: String...) -> ServerTLS.File { ServerTLS.File(name: "--ssl-file", bytes: Array(text.joined(separator: "\n").utf8)) }

    private static func options(_ clients: ServerTLS.ClientCertificates = .none) throws -> TestServer.Options {
        var options = TestServer.Options()
        options.tls = try ServerTLS(
            certificates: file(Certificates.server), key: file(Certificates.serverKey), authorities: clients == .none ? nil : file(Certificates.server),
            clients: clients)
        return options
    }

    @Test(arguments: [false, true]) func answersAreThoseOfPlainHTTP(is12: Bool) async throws {
        let (server, plain) = (try await TestServer(Self.options()), try await TestServer())
        let port = server.port
        var tls = ClientTLS()
        tls.is12 = is12
        func ask(_ fields: KeyValuePairs<String, JSONValue>) async throws -> HTTPClient.Answer {
            let body = TestServer.body(fields).serialized
            return try await blocking { [tls] in
                let client = try HTTPClient(port: port, tls: tls)
                try client.send("POST", "/v1/chat/completions", body: body)
                return try client.answer()
            }
        }
        let whole = try await ask([:])
        let expected = try await plain.chat()
        #expect(whole.status == 200 && whole.json["choices"] == expected.json["choices"], "\(whole.text)")
        let streamed = try await ask(["stream": true])
        let pieces = streamed.events.dropLast().map { (try? JSONValue(parsing: $0))?["choices"]?[0]?["delta"]?["content"]?.stringValue ?? "" }
        #expect(pieces.joined() == whole.json["choices"]?[0]?["message"]?["content"]?.stringValue && streamed.events.last == "[DONE]")
        let wrong = try await ask(["temperature": "hot"])
        let refusal = try await plain.chat(["temperature": "hot"])
        #expect(wrong.status == 400 && wrong.json["error"] == refusal.json["error"], "\(wrong.text)")
        // Larger than a record of TLS and than a reading of the socket.
        let large = try await ask(["user": .string(String(repeating: "u", count: 900_000))])
        #expect(large.status == 200 && large.json["choices"] == whole.json["choices"])
        await server.stop()
        await plain.stop()
    }

    @Test func agreesToHTTP1AndToNewVersionsAlone() async throws {
        let server = try await TestServer(Self.options())
        let port = server.port
        var tls = ClientTLS()
        let offers: [(names: [String], agreed: String?)] = [(["h2", "http/1.1"], "http/1.1"), (["h2"], nil), ([], nil)]
        for offer in offers {
            tls.protocols = offer.names
            let agreed = try await blocking { [tls] in try HTTPClient(port: port, tls: tls).negotiated }
            #expect(agreed == offer.agreed, "\(offer)")
        }
        let preface = try await blocking {
            let client = try HTTPClient(port: port, tls: ClientTLS())
            try client.send(Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + [UInt8](repeating: 0, count: 9))
            return try client.answer().status
        }
        #expect(preface == 505)
        tls.isOld = true
        await #expect(throws: (any Error).self) { try await blocking { [tls] in _ = try HTTPClient(port: port, tls: tls) } }
        #expect(try await server.chat().status == 200)
        await server.stop()
    }

    @Test(arguments: [ServerTLS.ClientCertificates.none, .optional, .required])
    func clientsShowCertificatesWhereTheyMust(rule: ServerTLS.ClientCertificates) async throws {
        let server = try await TestServer(Self.options(rule))
        let port = server.port
        func status(_ certificate: String?, _ key: String = "") async throws -> Int {
            try await blocking {
                var tls = ClientTLS()
                tls.own = certificate.map { ($0, key) }
                guard let client = try? HTTPClient(port: port, tls: tls) else { return 0 }
                try client.send("GET", "/live")
                return (try? client.answer().status) ?? 0
            }
        }
        #expect(try await status(Certificates.server, Certificates.serverKey) == 200)
        #expect(try await status(nil) == (rule == .required ? 0 : 200))
        for certificate in [Certificates.other, Certificates.expired] {
            #expect(try await status(certificate, Certificates.otherKey) == (rule == .none ? 200 : 0))
        }
        await server.stop()
    }

    /// What clients send instead of a handshake, or of its end, and whether they must be waited for.
    private static let unfinished: [(bytes: [UInt8], isWaitedFor: Bool)] = [
        ([], true), ([0x16], true), ([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 7, 7], true), (Array("GET /live HTTP/1.1\r\nHost: x\r\n\r\n".utf8), false),
        ([UInt8](repeating: 0xff, count: 100_000), false),
    ]

    @Test(arguments: 0..<5) func whoDoesNotShakeHandsIsLeft(index: Int) async throws {
        let unfinished = Self.unfinished[index]
        var options = try Self.options()
        options.idleTimeoutSeconds = unfinished.isWaitedFor ? 0.5 : 600
        let server = try await TestServer(options)
        let port = server.port
        let (rest, seconds) = try await blocking {
            let began = ContinuousClock.now
            let client = try HTTPClient(port: port)
            try? client.send(unfinished.bytes)
            let rest = client.rest()
            return (rest, began.duration(to: .now))
        }
        if unfinished.isWaitedFor {
            #expect(rest == "" && seconds > .milliseconds(450), "\(rest ?? "still open") after \(seconds)")
        } else {
            // An alert of TLS, or the connection reset where more was sent than read; nothing of HTTP.
            #expect(rest?.contains("HTTP") != true && seconds < .seconds(10), "\(rest ?? "") after \(seconds)")
        }
        #expect(try await server.chat().status == 200)
        await server.stop()
    }

    @Test func aHandshakeThatTricklesIsLeft() async throws {
        var options = try Self.options()
        options.idleTimeoutSeconds = 0.5
        let server = try await TestServer(options)
        let port = server.port
        let seconds = try await blocking {
            let began = ContinuousClock.now
            let client = try HTTPClient(port: port)
            try client.send([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3])
            for _ in 0..<100 {
                Thread.sleep(forTimeInterval: 0.1)
                do { try client.send([7]) } catch { break }
            }
            return began.duration(to: .now)
        }
        #expect(seconds < .seconds(5), "\(seconds)")
        await server.stop()
    }

    @Test func whoShookHandsAndIsSilentIsLeft() async throws {
        var options = try Self.options()
        options.idleTimeoutSeconds = 0.5
        let server = try await TestServer(options)
        let port = server.port
        let rests = try await blocking {
            let silent = try HTTPClient(port: port, tls: ClientTLS())
            let used = try HTTPClient(port: port, tls: ClientTLS())
            try used.send("GET", "/live")
            _ = try used.answer()
            return [silent.rest(), used.rest()]
        }
        #expect(rests == ["", ""])
        await server.stop()
    }

    @Test func aBodyThatStopsIsAnswered408() async throws {
        var options = try Self.options()
        options.bodyTimeoutSeconds = 0.2
        let server = try await TestServer(options)
        let port = server.port
        let text = try await blocking {
            let client = try HTTPClient(port: port, tls: ClientTLS())
            try client.send(Array("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{".utf8))
            return client.rest()
        }
        #expect(text?.hasPrefix("HTTP/1.1 408 ") == true, "\(text ?? "still open")")
        await server.stop()
    }

    @Test func bodiesAreBounded() async throws {
        let server = try await TestServer(Self.options())
        let port = server.port
        let status = try await blocking {
            let client = try HTTPClient(port: port, tls: ClientTLS())
            try client.send(Array("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4000000\r\n".utf8))
            try client.send([UInt8](repeating: 0x20, count: 2 << 20))
            return try client.answer().status
        }
        #expect(status == 413)
        #expect(try await server.chat().status == 200)
        await server.stop()
    }

    @Test func whoDoesNotReadIsLeft() async throws {
        var options = try Self.options()
        options.writeTimeoutSeconds = 0.3
        let server = try await TestServer(options)
        let port = server.port
        let count = 4000
        let answers = try await blocking {
            let client = try HTTPClient(port: port, tls: ClientTLS())
            try client.send(Array(String(repeating: "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", count: count).utf8))
            Thread.sleep(forTimeInterval: 6)
            var answers = 0
            while let answer = try? client.answer(), answer.status == 200 { answers += 1 }
            return answers
        }
        #expect(answers > 0 && answers < count)
        await server.stop()
    }

    @Test func handshakesCountAsConnections() async throws {
        try await ConnectionTests.connectionsBeyondTheLimitWait(Self.options())
    }

    /// How a client leaves: its socket is gone, it shuts its sending side down, or says goodbye in TLS.
    enum Leaving: CaseIterable { case gone, silent, polite }

    @Test(arguments: Leaving.allCases, [true, false]) func aClientThatLeavesFreesItsSequence(leaving: Leaving, streams: Bool) async throws {
        var options = try Self.options()
        // All 400 tokens take forty seconds.
        options.stepMilliseconds = 100
        let server = try await TestServer(options)
        options.stepGate.close(after: 2)
        let port = server.port
        let body = TestServer.body(["stream": .bool(streams), "max_tokens": 400]).serialized
        let (engine, gate) = (server.engine, options.stepGate)
        try await blocking {
            let client = try HTTPClient(port: port, tls: ClientTLS())
            try client.send("POST", "/v1/chat/completions", body: body)
            while engine.metrics.running == 0 { Thread.sleep(forTimeInterval: 0.001) }
            switch leaving {
            case .gone: client.close()
            case .silent: client.stopSending()
            case .polite: try client.sayGoodbye()
            }
            gate.open()
            while engine.inFlight > 0 { Thread.sleep(forTimeInterval: 0.001) }
            withExtendedLifetime(client) {}
        }
        #expect(engine.metrics.successes[.abort] == 1)
        await server.stop()
    }
}

/// Files of PEM that a server cannot speak TLS with.
@Suite struct ServerTLSTests {
    private static let server = SecureTests.file(Certificates.server)

    @Test func aFileMayHoldCertificateAndKey() throws {
        _ = try ServerTLS(certificates: SecureTests.file(Certificates.server, Certificates.serverKey))
        _ = try ServerTLS(certificates: SecureTests.file(Certificates.serverKey, Certificates.server, Certificates.other))
    }

    @Test(arguments: [
        ([], [Certificates.serverKey], "--ssl-file holds no certificates in PEM form"),
        ([Certificates.serverKey], [Certificates.serverKey], "holds no certificates in PEM form"),
        ([Certificates.server], [Certificates.server], "--ssl-file holds no private key in PEM form; --ssl-keyfile names its file"),
        ([Certificates.server], ["-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"], "holds no private key in PEM form"),
        ([Certificates.server], [Certificates.encryptedKey], "the key is encrypted, and nobody could be asked for its password"),
        ([Certificates.server], [Certificates.otherKey], "the key is not that of the first certificate in --ssl-file"),
        ([Certificates.other, Certificates.server], [Certificates.serverKey], "the key is not that of the first certificate"),
        ([Certificates.expired], [Certificates.otherKey], "--ssl-file: the certificate expired at 2001-01-01T00:00:00Z"),
    ] as [([String], [String], String)])
    func saysWhatIsWrong(certificates: [String], key: [String], message: String) {
        func file(_ texts: [String]) -> ServerTLS.File { SecureTests.file(texts.joined(separator: "\n")) }
        let error = #expect(throws: TLSFileError.self) { try ServerTLS(certificates: file(certificates), key: file(key)) }
        #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
    }

    @Test func authoritiesAreCertificates() {
        let error = #expect(throws: TLSFileError.self) {
            try ServerTLS(
                certificates: Self.server, key: SecureTests.file(Certificates.serverKey), authorities: SecureTests.file("nothing"), clients: .required)
        }
        #expect(error?.description == "--ssl-file holds no certificates in PEM form")
    }
}
