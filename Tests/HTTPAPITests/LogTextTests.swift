import HTTPAPI
import JSON
import Synchronization
import TestClient
import Testing

/// What the log says of requests that are not answered: never what stood in them.
@Suite struct LogTextTests {
    private final class Lines: Sendable {
        private let lines = Mutex<[LogLine]>([])
        var all: [LogLine] { lines.withLock { $0 } }
        func add(_ line: LogLine) { lines.withLock { $0.append(line) } }
    }

    private static let secret = "Xyzzy"

    @Test func whatIsQuotedIsForTheClientAlone() {
        let long = String(repeating: "a", count: 50)
        let inner: ErrorText = "\("type") \(quoted: Self.secret), "
        let text: ErrorText = "messages[\(0)].\(inner)\(quoted: long) of \(quoted: long, upTo: 3)"
        #expect(text.whole == "messages[0].type Xyzzy, \(long.prefix(40)) of aaa")
        #expect(text.logged == "messages[0].type …, … of …")
    }

    /// Wrong values of every field that the document names, and of what lies in some of them.
    @Test func noFaultRepeatsWhatWasAsked() async throws {
        let lines = Lines()
        var options = TestServer.Options(spellsBytes: true, tellsOfTools: true)
        options.requestLog = lines.add
        let server = try await TestServer(options)
        let document = try await server.request("GET", "/openapi.json").json
        let secret = JSONValue.string(Self.secret)
        let deep: JSONValue = ["type": secret, "role": secret, "name": secret, "url": secret, "text": secret, "keep": secret]
        var told = 0
        let messages: JSONValue = [["role": "user", "content": "x"]]
        for (path, base) in [
            ("/v1/chat/completions", ["messages": messages, "max_tokens": 1]), ("/v1/responses", ["input": "x", "max_output_tokens": 1]), ("/v1/completions", ["prompt": "x", "max_tokens": 1]),
            ("/generate", ["prompt": "x", "max_tokens": 1]), ("/v1/messages", ["messages": messages, "max_tokens": 1]), ("/v1/messages/count_tokens", ["messages": messages]),
            ("/v1/embeddings", [:]), ("/tokenize", [:]), ("/detokenize", [:]),
        ] as [(String, JSONObject)] {
            let reference = document["paths"]?[path]?["post"]?["requestBody"]?["content"]?["application/json"]?["schema"]?["$ref"]?.stringValue ?? ""
            let schema = try #require(document["components"]?["schemas"]?[String(reference.split(separator: "/").last ?? "")])
            let fields = schema["properties"]?.objectValue?.keys.filter { $0 != "model" } ?? []
            #expect(!fields.isEmpty, "\(path)")
            for field in fields {
                for value in [secret, [secret], deep, [deep], [["role": "user", "content": [deep]]]] as [JSONValue] {
                    var body = base
                    body["model"] = .string(TestServer.modelName)
                    body[field] = value
                    if try await server.request("POST", path, .object(body)).text.contains(Self.secret) { told += 1 }
                }
            }
        }
        #expect(told > 60, "the client is told")
        check(lines, atLeast: 400)
        await server.stop()
    }

    private func check(_ lines: Lines, atLeast count: Int) {
        #expect(lines.all.count { $0.message.contains(" 400 ") } >= count)
        for line in lines.all {
            #expect(!line.message.contains(Self.secret), "\(line.message)")
            for (name, value) in line.fields { #expect(!value.serializedText.contains(Self.secret), "\(name)") }
        }
    }

    /// Bodies whose faults lie deeper.
    private static let bodies: [(path: String, body: String, shown: String, log: String)] = [
        ("/v1/chat/completions", #"{"messages":[{"role":"user","content":"\u0004Xyzzy"}]}"#, "the chat template refuses these messages: no Xyzzy", "the chat template refuses these messages: …"),
        ("/v1/messages", #"{"max_tokens":1,"messages":[{"role":"user","content":"\u0004Xyzzy"}]}"#, "no Xyzzy", "refuses these messages: …"),
        ("/v1/chat/completions", #"{"tools":[{"type":"function","function":{"name":"Xyzzy"}},{"type":"function","function":{"name":"Xyzzy"}}]}"#, "name Xyzzy is there twice", "tools[1].function.name … is there twice"),
        ("/v1/chat/completions", #"{"tool_choice":{"type":"function","function":{"name":"Xyzzy"}},"tools":[{"type":"function","function":{"name":"f"}}]}"#, "function Xyzzy", "names the function …, which"),
        ("/v1/chat/completions", #"{"guided_json":{"type":"Xyzzy"}}"#, "Xyzzy", "guided_json: …"), ("/v1/chat/completions", #"{"guided_json":"Xyzzy"}"#, "is no JSON", "is no JSON: invalid JSON at line 1, column 1: …"),
        ("/v1/chat/completions", #"{"guided_regex":"(Xyzzy"}"#, "guided_regex", "guided_regex: …"), ("/v1/chat/completions", #"{"guided_grammar":"root ::= Xyzzy"}"#, "Xyzzy", "guided_grammar: …"),
        ("/v1/chat/completions", ##"{"response_format":{"type":"json_schema","json_schema":{"schema":{"$ref":"#/Xyzzy"}}}}"##, "Xyzzy", "response_format.json_schema.schema: …"),
        ("/v1/chat/completions", #"{"logit_bias":{"Xyzzy":1}}"#, "logit_bias.Xyzzy is no token", "logit_bias.… is no token"), ("/v1/completions", #"{"prompt":[987654321]}"#, "987654321", "prompt[0] … is no token"),
        ("/v1/chat/completions", #"{"messages":987654321}"#, "must be a list", "messages must be a list"), ("/v1/chat/completions", #"{"messages":[{"role":"user","content":987654321}]}"#, "not 987654321", "content must be a string or a list of parts, not …"),
        ("/v1/chat/completions", #"{"messages":"Xyzzy","#, "invalid JSON", "invalid JSON at line 1"), ("/v1/chat/completions", #"{"seed":987654321e999}"#, "the number 987654321e999 does not", "invalid JSON at line 1, column 9: …"),
        ("/v1/chat/completions", #"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":"file:///Xyzzy.png"}]}]}"#, "not read from files", "images and videos are not read from files"),
        ("/v1/chat/completions", #"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":"Xyzzy.png"}]}]}"#, "messages[0].content[0]", "messages[0].content[0]"),
        ("/v1/chat/completions", #"{"max_tokens":1000}"#, "max_tokens 1000 is too large", "max_tokens 1000 is too large: the model's context holds 512 tokens"),
    ]

    @Test func deeperFaultsAreToldInTheServersWordsAlone() async throws {
        for (path, text, shown, log) in Self.bodies {
            let lines = Lines()
            var options = TestServer.Options(spellsBytes: true, tellsOfTools: true)
            options.requestLog = lines.add
            let server = try await TestServer(options)
            // Where it is no JSON it goes as it is.
            var bytes = Array(text.utf8)
            if var body = (try? JSONValue(parsing: text))?.objectValue {
                body["model"] = .string(TestServer.modelName)
                if path != "/v1/completions", body["messages"] == nil { body["messages"] = [["role": "user", "content": "x"]] }
                bytes = JSONValue.object(body).serialized
            }
            let answer = try await server.request("POST", path, bytes: bytes)
            #expect(answer.status == 400 && answer.json["error"]?["message"]?.stringValue?.contains(shown) == true, "\(text): \(answer.text)")
            await server.stop()
            check(lines, atLeast: 1)
            let line = try #require(lines.all.last).message
            #expect(line.contains(log) && !line.contains("987654321"), "\(line)")
        }
    }

    @Test func longPathsAreCut() async throws {
        let lines = Lines()
        var options = TestServer.Options()
        options.requestLog = lines.add
        let server = try await TestServer(options)
        for length in [490, 5000] { #expect(try await server.request("GET", "/" + String(repeating: "a", count: length)).status == 404) }
        await server.stop()
        let paths = lines.all.map { $0.fields.first { $0.name == "path" }?.value.stringValue ?? "" }
        #expect(paths.map { $0.utf8.count <= 510 } == [true, true] && paths.map { $0.hasSuffix("…") } == [false, true])
        #expect(lines.all.allSatisfy { $0.message.utf8.count < 600 })
    }
}
