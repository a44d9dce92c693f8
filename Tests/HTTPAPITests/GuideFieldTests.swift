import JSON
import TestClient
import Testing

/// Requests that say what their answers must be; the model's logits are random.
@Suite struct GuideFieldTests {
    private func text(_ server: TestServer, _ fields: KeyValuePairs<String, JSONValue>, ends: String = "stop") async throws -> String {
        let answer = try await server.chat(fields)
        #expect(answer.status == 200, "\(answer.text)")
        #expect(answer.json["choices"]?[0]?["finish_reason"]?.stringValue == ends, "\(answer.text)")
        return answer.json["choices"]?[0]?["message"]?["content"]?.stringValue ?? "none"
    }

    private static let schema: JSONValue = [
        "type": "object", "additionalProperties": false, "required": ["colour", "count"],
        "properties": ["colour": ["enum": ["red", "blue"]], "count": ["type": "integer", "minimum": 1, "maximum": 40]],
    ]

    private func isOfSchema(_ text: String) -> Bool {
        guard let value = try? JSONValue(parsing: text), let object = value.objectValue, object.keys == ["colour", "count"] else { return false }
        return ["red", "blue"].contains(object["colour"]?.stringValue ?? "") && 1...40 ~= object["count"]?.intValue ?? 0
    }

    @Test func everyNameOfASchemaMeansTheSame() async throws {
        let server = try await TestServer(.init(spellsBytes: true))
        let forms: [(String, JSONValue)] = [
            ("guided_json", Self.schema), ("guided_json", .string(Self.schema.serializedText)), ("structured_outputs", ["json": Self.schema]),
            ("response_format", ["type": "json_schema", "json_schema": ["name": "x", "strict": true, "schema": Self.schema]]),
            ("response_format", ["type": "json_object", "schema": Self.schema]),
        ]
        for (index, (name, value)) in forms.enumerated() {
            for seed in 0..<5 {
                let text = try await text(server, [name: value, "max_tokens": 200, "temperature": 1, "seed": .int(100 * index + seed)])
                #expect(isOfSchema(text), "\(text)")
            }
        }
        await server.stop()
    }

    @Test func otherGuidesDecideToo() async throws {
        let server = try await TestServer(.init(spellsBytes: true))
        #expect(["yes", "no"].contains(try await text(server, ["guided_choice": ["yes", "no"]])))
        #expect(["ja", "nein"].contains(try await text(server, ["structured_outputs": ["choice": ["ja", "nein"]], "guided_decoding_backend": "xgrammar"])))
        let number = try await text(server, ["guided_regex": "[0-9]{3}-[a-c]{2}"])
        #expect(number.wholeMatch(of: /[0-9]{3}-[a-c]{2}/) != nil, "\(number)")
        let sum = try await text(server, ["guided_grammar": "root ::= n \"+\" n\nn ::= [0-9] [0-9]"])
        #expect(sum.wholeMatch(of: /[0-9]{2}\+[0-9]{2}/) != nil, "\(sum)")
        let words = try await text(server, ["guided_grammar": "start: A \"+\" A\nA: /[0-9]/ ~ 2", "guided_decoding_backend": "outlines:no-fallback"])
        #expect(words.wholeMatch(of: /[0-9]{2}\+[0-9]{2}/) != nil, "\(words)")
        for format in [["type": "json_object"], ["type": "json_object", "schema": [:], "json_schema": nil]] as [JSONValue] {
            let object = try await text(server, ["response_format": format, "max_tokens": 1], ends: "length")
            #expect(object == "{")
        }
        let free = try await text(server, ["response_format": ["type": "text"]], ends: "length")
        #expect(!free.isEmpty)
        await server.stop()
    }

    /// What a guide lets come ends an answer, if it has fewer tokens than asked for.
    @Test func guidesEndWhatMayNotGoOn() async throws {
        let server = try await TestServer(.init(spellsBytes: true))
        for _ in 0..<4 {
            #expect(try await text(server, ["guided_choice": ["a", "ab"], "min_tokens": 6, "temperature": 1]) == "ab")
        }
        await server.stop()
    }

    @Test func guidesGoWithAllElse() async throws {
        let server = try await TestServer(.init(spellsBytes: true))
        let answer = try await server.chat([
            "guided_json": Self.schema, "n": 3, "temperature": 1, "max_tokens": 200, "logprobs": true, "top_logprobs": 2, "frequency_penalty": 1, "ignore_eos": false,
        ])
        let choices = answer.json["choices"]?.arrayValue ?? []
        #expect(choices.count == 3)
        for choice in choices {
            #expect(isOfSchema(choice["message"]?["content"]?.stringValue ?? ""), "\(answer.text)")
            #expect(choice["logprobs"]?["content"]?.arrayValue?.isEmpty == false)
        }
        let streamed = try await server.chat(["guided_json": Self.schema, "stream": true, "max_tokens": 200])
        let text = streamed.text.split(separator: "\n").compactMap { line -> String? in
            guard line.hasPrefix("data: {"), let event = try? JSONValue(parsing: String(line.dropFirst(6))) else { return nil }
            return event["choices"]?[0]?["delta"]?["content"]?.stringValue
        }.joined()
        #expect(isOfSchema(text), "\(text)")
        let completion = try await server.request(
            "POST", "/v1/completions", ["model": "null-model", "prompt": "x", "guided_choice": ["abc"], "max_tokens": 8])
        #expect(completion.json["choices"]?[0]?["text"] == "abc" && completion.json["choices"]?[0]?["finish_reason"] == "stop", "\(completion.text)")
        await server.stop()
    }

    @Test(arguments: [
        (["guided_json": ["type": "array", "minContains": 2]], "guided_json", "guided_json: #: the keyword minContains is not supported"),
        (["guided_regex": "("], "guided_regex", "a group is not closed"), (["guided_choice": []], "guided_choice", "at least one choice"),
        (["guided_choice": "x"], "guided_choice", "must be a list of strings"), (["guided_grammar": "root ::= x"], "guided_grammar", "the rule x is used but not there"),
        (["guided_json": "{"], "guided_json", "guided_json is no JSON"), (["guided_json": 3], "guided_json", "must be a JSON Schema or its text"),
        (["guided_regex": "a", "guided_choice": ["b"]], "guided_choice", "guided_regex and guided_choice must not both be there"),
        (["response_format": ["type": "xml"]], "response_format.type", "must be text, json_object or json_schema"),
        (["response_format": ["type": "json_schema"]], "response_format.json_schema", "is required"),
        (["response_format": ["type": "json_schema", "json_schema": ["name": "x"], "schema": [:]]], "response_format.schema", "unknown field response_format.schema"),
        (["response_format": ["type": "json_object", "schema": ["minContains": 2]]], "response_format.schema", "the keyword minContains"),
        (["response_format": ["type": "json_object", "schema": 3]], "response_format.schema", "must be a JSON Schema or its text"),
        (["response_format": ["type": "text", "strict": true]], "response_format.strict", "unknown field response_format.strict"),
        (["guided_decoding_backend": "fast"], "guided_decoding_backend", "must be one of auto, xgrammar, guidance, outlines, lm-format-enforcer, not fast"),
        (["guided_decoding_backend": "xgrammar:x"], "guided_decoding_backend", "the option x is not supported"),
        (["guided_grammar": "start: X"], "guided_grammar", "the terminal X is used but not there"),
        (["max_completion_tokens": 5], "max_completion_tokens", "max_tokens 8 and max_completion_tokens 5 are two numbers"),
        (["response_format": ["type": "json_schema", "json_schema": ["name": "x", "schema": ["dependencies": [:]]]]], "response_format.json_schema.schema", "the keyword dependencies"),
        (["structured_outputs": [:]], "structured_outputs", "must hold one of"), (["structured_outputs": ["whitespace_pattern": " "]], "structured_outputs.whitespace_pattern", "not supported"),
        (["structured_outputs": ["lark": "x"]], "structured_outputs.lark", "unknown field"),
    ] as [(JSONValue, String, String)])
    func faultsNameTheirField(_ fields: JSONValue, _ param: String, _ message: String) async throws {
        let server = try await TestServer(.init(spellsBytes: true))
        var body = TestServer.body([:]).objectValue ?? JSONObject()
        for (name, value) in fields.objectValue ?? JSONObject() { body[name] = value }
        let answer = try await server.request("POST", "/v1/chat/completions", .object(body))
        #expect(answer.status == 400 && answer.json["error"]?["param"]?.stringValue == param, "\(answer.text)")
        #expect(answer.json["error"]?["message"]?.stringValue?.contains(message) == true, "\(answer.text)")
        await server.stop()
    }
}
