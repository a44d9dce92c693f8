import Budgets
import Foundation
import HTTPAPI
import Inputs
import JSON
import Seeded
import Serving
import TestClient
import Testing

/// Clients of every temper against a small server: texts, images of random sizes, bodies that fill the memory, requests that
/// use up their processor time or their deadline, and clients that go away at every moment. What they send is drawn from a
/// seed; afterwards everything that they held must have come back.
@Suite struct ClientStormTests {
    /// Bytes that bodies may take together, and as many again what is made of them.
    private static let heldBytes = 512 << 10

    private static func options() -> TestServer.Options {
        var options = TestServer.Options()
        options.maxQueued = 6
        options.maxBodyBytes = heldBytes
        options.maxHeldBytes = 2 * heldBytes
        options.preparationCPUSeconds = 0.1
        options.preparationSeconds = 0.4
        options.stepMilliseconds = 1
        return options
    }

    @Test(arguments: [1, 2, 3] as [UInt64]) func everythingComesBack(seed: UInt64) async throws {
        let server = try await TestServer(Self.options())
        let port = server.port
        let began = ContinuousClock.now
        let seen = try await withThrowingTaskGroup(of: [StormClient.Sight].self) { group in
            for index in 0..<16 {
                group.addTask {
                    try await blocking {
                        var client = StormClient(seed: seed &* 1000 &+ UInt64(index), port: port)
                        return try (0..<12).map { _ in try client.ask() }
                    }
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        #expect(ContinuousClock.now - began < .seconds(300))
        for sight in seen {
            #expect(sight.request.mayEnd(with: sight.status), "\(sight.request): \(sight.status ?? 0)")
            #expect(sight.request.kind != .text || sight.seconds < 300, "\(sight.request) took \(sight.seconds) s")
        }
        #expect(seen.contains { $0.status == 200 })
        try await Self.checkCalm(server)
        // Each answer is what a calm server says.
        for sight in seen where sight.status == 200 && sight.text != nil {
            let answer = try await Self.onTime { try await server.request("POST", "/v1/chat/completions", bytes: sight.request.body) }
            #expect(StormClient.text(of: answer) == sight.text, "\(sight.request): \(answer.status)")
        }
        await server.stop()
    }

    /// No seat, byte or block is missing.
    private static func checkCalm(_ server: TestServer) async throws {
        let deadline = ContinuousClock.now + .seconds(5)
        while server.engine.inFlight > 0 || server.engine.metrics.kvUsage > 0, ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(5))
        }
        #expect(server.engine.inFlight == 0 && server.engine.metrics.kvUsage == 0)
        #expect(server.engine.metrics.running == 0 && server.engine.metrics.waiting == 0)
        // The largest body that has room among others, whose parts have room only where nobody holds a byte.
        let filler = JSONValue.string(String(repeating: " ", count: heldBytes / 8 * 7 - 400))
        #expect(try await onTime { try await server.chat(["max_tokens": 1, "user": filler]) }.status == 200)
        // As many requests as there are seats.
        let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<10 { group.addTask { try await onTime { try await server.chat(["max_tokens": 200]) }.status } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(statuses == Array(repeating: 200, count: 10))
    }

    /// An answer, asked for again where the machine, not the server, was too busy for the request's short deadline.
    private static func onTime(_ ask: () async throws -> HTTPClient.Answer) async throws -> HTTPClient.Answer {
        let late = WorkLimitError.deadline.description
        var answer = try await ask()
        for _ in 0..<20 where answer.status == 429 && answer.json["error"]?["message"]?.stringValue?.contains(late) == true {
            answer = try await ask()
        }
        return answer
    }
}

/// A client that decides by its dice what to ask and when to go.
private struct StormClient {
    enum Kind { case text, large, images, costly, late }
    enum Departure: CaseIterable { case never, withinBody, atOnce, withinAnswer }

    struct Request: Sendable, CustomStringConvertible {
        var kind: Kind
        var body: [UInt8]
        var streams: Bool
        var departure: Departure

        var description: String { "\(kind), leaves \(departure), \(body.count) bytes" }

        /// Requests that ask too much are refused for that alone; any may find the server busy.
        func mayEnd(with status: Int?) -> Bool {
            guard departure == .never else { return status == nil || status == 200 }
            switch kind {
            case .text, .large, .images: return status == 200 || status == 429
            case .costly: return status == 400 || status == 429
            case .late: return status == 429
            }
        }
    }

    struct Sight: Sendable {
        var request: Request
        /// Nil for who did not wait.
        var status: Int?
        var text: String?
        var seconds = 0.0
    }

    private static let kinds: [Kind] = [.text, .text, .text, .text, .large, .large, .images, .images, .costly, .late]
    private var dice: Dice
    private let port: Int

    init(seed: UInt64, port: Int) {
        dice = Dice(seed)
        self.port = port
    }

    mutating func ask() throws -> Sight {
        let request = request()
        let client = try HTTPClient(port: port)
        let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: \(request.body.count)\r\n\r\n"
        let began = ContinuousClock.now
        let sent = request.departure == .withinBody ? request.body.prefix(request.body.count / 2) : request.body[...]
        // Who is refused may find the connection closed.
        try? client.send(Array(head.utf8) + sent)
        switch request.departure {
        case .withinBody, .atOnce: Thread.sleep(forTimeInterval: Double.random(in: 0...0.02, using: &dice))
        case .withinAnswer: _ = client.receive()
        case .never:
            let answer = try client.answer()
            let seconds = (ContinuousClock.now - began).seconds
            return Sight(request: request, status: answer.status, text: Self.text(of: answer), seconds: seconds)
        }
        client.close()
        return Sight(request: request)
    }

    /// The text of an answer, streamed or not.
    static func text(of answer: HTTPClient.Answer) -> String? {
        guard answer.status == 200 else { return nil }
        guard answer.headers["content-type"]?.hasPrefix("text/event-stream") == true else {
            return answer.json["choices"]?[0]?["message"]?["content"]?.stringValue
        }
        let pieces = answer.events.map { (try? JSONValue(parsing: $0)) ?? .null }
        return pieces.compactMap { $0["choices"]?[0]?["delta"]?["content"]?.stringValue }.joined()
    }

    private mutating func request() -> Request {
        let kind = dice.pick(Self.kinds) ?? .text
        let departure = Bool.random(using: &dice) ? .never : dice.pick(Departure.allCases) ?? .never
        let streams = Bool.random(using: &dice)
        var text = String((0..<Int.random(in: 1...40, using: &dice)).map { _ in dice.pick("abcdefgh ") ?? "a" })
        if kind == .costly { text += TestServer.endless }
        if kind == .late { text += TestServer.sleepless }
        var parts: [JSONValue] = [["type": "text", "text": .string(text)]]
        if kind == .images {
            for _ in 0..<Int.random(in: 1...3, using: &dice) {
                let size = (Int.random(in: 28...400, using: &dice), Int.random(in: 28...400, using: &dice))
                let file = TestImages.gray(width: size.0, height: size.1, shade: UInt8.random(in: 0...255, using: &dice))
                let url = "data:image/png;base64," + Data(file).base64EncodedString()
                parts.append(["type": "image_url", "image_url": ["url": .string(url)]])
            }
        }
        let padding = kind == .large ? Int.random(in: 40_000...180_000, using: &dice) : 0
        let body = TestServer.body([
            "messages": [["role": "user", "content": .array(parts)]], "stream": .bool(streams),
            "max_tokens": .int(Int.random(in: 1...30, using: &dice)), "user": .string(String(repeating: " ", count: padding)),
        ])
        return Request(kind: kind, body: body.serialized, streams: streams, departure: departure)
    }
}
