import GuidedDecoding
import JSON
import Seeded
import Synchronization
import TestClient
import Testing

/// Requests with functions that the model may call, or must; its logits are random.
@Suite struct ToolTests {
    private static func function(_ name: String, _ parameters: JSONValue, strict: Bool = false) -> JSONValue {
        ["type": "function", "function": ["name": .string(name), "description": "d", "parameters": parameters, "strict": .bool(strict)]]
    }

    private static let tools: JSONValue = [
        function("weather", ["type": "object", "properties": ["city": ["enum": ["Rome", "Oslo"]]], "required": ["city"]]),
        function("add", ["properties": ["a": ["type": "integer", "minimum": 0, "maximum": 99], "b": ["$ref": "#/$defs/n"]], "required": ["a", "b"], "$defs": ["n": ["const": 7]]]),
    ]

    private func isRight(_ call: JSONValue) -> Bool {
        guard let text = call["function"]?["arguments"]?.stringValue, let arguments = try? JSONValue(parsing: text) else { return false }
        switch call["function"]?["name"] {
        case "weather": return ["Rome", "Oslo"].contains(arguments["city"]?.stringValue ?? "") && arguments.objectValue?.count == 1
        case "add": return 0...99 ~= arguments["a"]?.intValue ?? -1 && arguments["b"] == 7
        default: return false
        }
    }

    private func server(_ form: ToolCalls.Form = .json, _ onExtra: @escaping @Sendable (JSONObject) -> Void = { _ in }) async throws -> TestServer {
        var options = TestServer.Options(spellsBytes: true, tellsOfTools: true, callForm: form)
        options.onExtra = onExtra
        return try await TestServer(options)
    }

    @Test(arguments: [ToolCalls.Form.json, .tags])
    func aCallThatMustComeComes(_ form: ToolCalls.Form) async throws {
        let server = try await server(form)
        var names: Set<String> = []
        for seed in 0..<8 {
            let answer = try await server.chat([
                "tools": Self.tools, "tool_choice": "required", "parallel_tool_calls": .bool(seed > 3), "max_tokens": 400, "temperature": 1, "seed": .int(seed),
            ])
            #expect(answer.status == 200, "\(answer.text)")
            let choice = answer.json["choices"]?[0]
            guard choice?["finish_reason"] != "length" else { continue }
            #expect(choice?["finish_reason"] == "tool_calls" && choice?["message"]?["content"] == .null, "\(answer.text)")
            let calls = choice?["message"]?["tool_calls"]?.arrayValue ?? []
            #expect(seed > 3 ? !calls.isEmpty : calls.count == 1)
            #expect(calls.allSatisfy { isRight($0) && $0["type"] == "function" }, "\(answer.text)")
            #expect(Set(calls.compactMap { $0["id"]?.stringValue }).count == calls.count)
            names.formUnion(calls.compactMap { $0["function"]?["name"]?.stringValue })
        }
        #expect(names == ["weather", "add"])
        let named = try await server.chat(["tools": Self.tools, "tool_choice": ["type": "function", "function": ["name": "add"]], "max_tokens": 400])
        let call = named.json["choices"]?[0]?["message"]?["tool_calls"]?[0] ?? .null
        #expect(call["function"]?["name"] == "add" && isRight(call), "\(named.text)")
        await server.stop()
    }

    /// A call that must come does, as JSON, where the template tells of no tools or writes calls in a form that is not read.
    @Test(arguments: [true, false]) func callsAreForcedWhateverTheTemplate(_ tellsOfTools: Bool) async throws {
        let server = try await TestServer(.init(spellsBytes: true, tellsOfTools: tellsOfTools, callForm: nil))
        for choice in ["required", ["type": "function", "function": ["name": "add"]]] as [JSONValue] {
            let answer = try await server.chat(["tools": Self.tools, "tool_choice": choice, "parallel_tool_calls": false, "max_tokens": 400])
            #expect(isRight(answer.json["choices"]?[0]?["message"]?["tool_calls"]?[0] ?? .null), "\(answer.text)")
            let tokens = try await server.request("POST", "/tokenize", ["messages": [["role": "user", "content": "hi"]], "tools": Self.tools, "tool_choice": choice])
            #expect(tokens.status == 200, "\(tokens.text)")
        }
        let free = try await server.chat(["tools": Self.tools])
        let way = "ask for a call with tool_choice required or a function's name, or leave tools out"
        #expect(free.status == 400 && free.json["error"]?["message"]?.stringValue?.hasSuffix(way) == true, "\(free.text)")
        await server.stop()
    }

    /// A function without parameters takes none.
    @Test func aFunctionWithoutParametersIsCalledWithNone() async throws {
        let server = try await server()
        for function in [["name": "now"], ["name": "now", "parameters": nil], ["name": "now", "parameters": [:]]] as [JSONValue] {
            for choice in ["required", ["type": "function", "function": ["name": "now"]]] as [JSONValue] {
                let answer = try await server.chat([
                    "tools": [["type": "function", "function": function]], "tool_choice": choice, "parallel_tool_calls": false, "max_tokens": 100, "temperature": 1,
                ])
                let call = answer.json["choices"]?[0]?["message"]?["tool_calls"]?[0]?["function"]
                #expect(call?["name"] == "now" && call?["arguments"] == "{}", "\(answer.text)")
            }
        }
        await server.stop()
    }

    /// An answer that is cut in a call's arguments tells their beginning, whole and streamed, in each form of a request.
    @Test func callsThatAreCutAreToldAsFarAsTheyGo() async throws {
        let server = try await server()
        let tools: JSONValue = [Self.function("f", ["properties": ["city": ["type": "string", "minLength": 300]], "required": ["city"]])]
        let fields: KeyValuePairs<String, JSONValue> = ["tools": tools, "tool_choice": "required", "max_tokens": 60, "temperature": 1, "seed": 1]
        let choice = try await server.chat(fields).json["choices"]?[0]
        let call = choice?["message"]?["tool_calls"]?[0]?["function"]
        #expect(choice?["finish_reason"] == "length" && choice?["message"]?["content"] == .null, "\(choice ?? .null)")
        #expect(call?["name"] == "f" && call?["arguments"]?.stringValue?.hasPrefix("{") == true, "\(choice ?? .null)")
        let events = try await server.chat(["tools": tools, "tool_choice": "required", "max_tokens": 60, "temperature": 1, "seed": 1, "stream": true]).events
        let streamed = try events.dropLast().compactMap { try JSONValue(parsing: $0)["choices"]?[0]?["delta"]?["tool_calls"]?[0]?["function"] }
        #expect(streamed.count > 3 && streamed.compactMap { $0["name"] } == ["f"])
        #expect(.string(streamed.compactMap { $0["arguments"]?.stringValue }.joined()) == call?["arguments"])
        await server.stop()
    }

    /// A client that sees `tool_calls` reads the arguments, so those that a stop string cut are not told so.
    @Test func aStopStringWithinACallIsTheEnd() async throws {
        let server = try await server()
        let tools: JSONValue = [Self.function("f", ["properties": ["a": ["const": "xyz"]], "required": ["a"]])]
        for (stop, reason) in [("yz", "stop"), ("</tool_call>", "tool_calls")] {
            let fields: KeyValuePairs<String, JSONValue> = ["tools": tools, "tool_choice": "required", "max_tokens": 200, "stop": .string(stop)]
            let choice = try await server.chat(fields).json["choices"]?[0]
            #expect(choice?["finish_reason"]?.stringValue == reason && choice?["stop_reason"]?.stringValue == stop, "\(choice ?? .null)")
            #expect(choice?["message"]?["tool_calls"]?[0]?["function"]?["name"] == "f", "\(choice ?? .null)")
            let events = try await server.chat(["tools": tools, "tool_choice": "required", "max_tokens": 200, "stop": .string(stop), "stream": true]).events
            let reasons = try events.dropLast().compactMap { try JSONValue(parsing: $0)["choices"]?[0]?["finish_reason"]?.stringValue }
            #expect(reasons == [reason])
        }
        await server.stop()
    }

    @Test(arguments: [(ToolCalls.Form.json, 4), (.tags, 2)])
    func callsAreStreamed(_ form: ToolCalls.Form, piecesAtLeast: Int) async throws {
        let server = try await server(form)
        let answer = try await server.chat([
            "tools": Self.tools, "tool_choice": "required", "parallel_tool_calls": false, "stream": true, "n": 2, "temperature": 1, "max_tokens": 400, "logprobs": true,
        ])
        var (calls, reasons, tokens): ([Int: [JSONValue]], [Int: JSONValue], Int) = ([:], [:], 0)
        for line in answer.text.split(separator: "\n") where line.hasPrefix("data: {") {
            let choice = try JSONValue(parsing: String(line.dropFirst(6)))["choices"]?[0] ?? .null
            let index = choice["index"]?.intValue ?? -1
            calls[index, default: []] += choice["delta"]?["tool_calls"]?.arrayValue ?? []
            if let reason = choice["finish_reason"], !reason.isNull { reasons[index] = reason }
            #expect(choice["delta"]?["content"]?.stringValue ?? "" == "", "\(line)")
            tokens += choice["logprobs"]?["content"]?.arrayValue?.count ?? 0
        }
        for index in 0..<2 {
            let pieces = calls[index] ?? []
            let arguments = pieces.compactMap { $0["function"]?["arguments"]?.stringValue }.joined()
            let call: JSONValue = ["function": ["name": pieces.first?["function"]?["name"] ?? .null, "arguments": .string(arguments)]]
            #expect(pieces.count >= piecesAtLeast && pieces.allSatisfy { $0["index"] == 0 } && reasons[index] == "tool_calls", "\(answer.text)")
            #expect(isRight(call) && pieces.first?["id"]?.stringValue?.hasPrefix("call_") == true && pieces.dropFirst().allSatisfy { $0["id"] == nil }, "\(answer.text)")
        }
        #expect(calls[0]?.first?["id"] != calls[1]?.first?["id"] && tokens > 50)
        await server.stop()
    }

    @Test func theTemplateSeesTools() async throws {
        let seen = Mutex<[JSONObject]>([])
        let server = try await server(.json) { extra in seen.withLock { $0.append(extra) } }
        func tools(_ fields: KeyValuePairs<String, JSONValue>) async throws -> JSONValue? {
            #expect(try await server.chat(fields).status == 200)
            return seen.withLock { $0.last?["tools"] }
        }
        #expect(try await tools(["tools": Self.tools]) == Self.tools)
        #expect(try await tools(["tools": Self.tools, "tool_choice": "auto"]) == Self.tools)
        #expect(try await tools(["tools": Self.tools, "tool_choice": "none"]) == nil)
        #expect(try await tools(["tools": []]) == nil)
        let history: JSONValue = [
            ["role": "user", "content": "x"],
            ["role": "assistant", "content": .null, "tool_calls": [["id": "a", "type": "function", "function": ["name": "add", "arguments": "{\"a\": 1}"]]]],
            ["role": "tool", "tool_call_id": "a", "content": "8"],
        ]
        #expect(try await tools(["tools": Self.tools, "messages": history]) == Self.tools)
        await server.stop()
    }

    /// Strings stand bare between tags, other values as JSON; both are arguments as the schema wants them.
    @Test func argumentsInTagsSatisfyTheirSchema() async throws {
        let server = try await server(.tags)
        let parameters: JSONValue = [
            "properties": [
                "code": ["type": "string", "pattern": "^[<>/a-z]{3}$"], "words": ["type": "array", "items": ["enum": ["</parameter>", "b"]], "minItems": 1, "maxItems": 2],
                "on": ["type": "boolean"], "unit": ["anyOf": [["enum": ["true", "5"]], ["type": "null"]]], "at": ["$ref": "#/$defs/at"],
            ],
            "required": ["code", "words", "on", "unit"], "$defs": ["at": ["type": "object", "properties": ["x": ["const": 1]], "required": ["x"]]],
        ]
        for seed in 0..<12 {
            let answer = try await server.chat([
                "tools": [Self.function("f", parameters)], "tool_choice": "required", "parallel_tool_calls": false, "max_tokens": 480, "temperature": 1, "seed": .int(seed),
            ])
            let choice = answer.json["choices"]?[0]
            guard choice?["finish_reason"] != "length" else { continue }
            let call = choice?["message"]?["tool_calls"]?[0]?["function"]
            let arguments = try JSONValue(parsing: call?["arguments"]?.stringValue ?? "")
            #expect(arguments["code"]?.stringValue?.wholeMatch(of: /[<>\/a-z]{3}/) != nil, "\(answer.text)")
            let words = arguments["words"]?.arrayValue ?? []
            #expect((1...2).contains(words.count) && words.allSatisfy { ["</parameter>", "b"].contains($0) }, "\(answer.text)")
            #expect([true, false].contains(arguments["on"]) && (["true", "5", .null] as [JSONValue]).contains(arguments["unit"] ?? 0), "\(answer.text)")
            #expect(arguments["at"].map { $0 == ["x": 1] } ?? true, "\(answer.text)")
        }
        for (schema, words) in [
            (["properties": ["a": ["type": ["string", "integer"]]]], "strings beside values of another type"), (["properties": ["a>": [:]]], "the name a> cannot stand in a tag"),
            (["properties": ["a": [:]], "minProperties": 1], "minProperties and maxProperties are not supported"),
        ] as [(JSONValue, String)] {
            let answer = try await server.chat(["tools": [Self.function("f", schema)], "tool_choice": "required"])
            #expect(answer.status == 400 && answer.text.contains(words), "\(answer.text)")
        }
        await server.stop()
    }

    @Test func strictFunctionsGuideFreeAnswers() async throws {
        let server = try await server()
        let answer = try await server.chat(["tools": [Self.function("f", ["type": "object"], strict: true)], "max_tokens": 60, "temperature": 1])
        let content = answer.json["choices"]?[0]?["message"]?["content"]?.stringValue ?? ""
        #expect(answer.status == 200 && !content.isEmpty && !content.contains("<tool_call>"), "\(answer.text)")
        await server.stop()
    }

    /// An answer of JSON, or calls.
    @Test func aSchemaGoesWithTools() async throws {
        let server = try await server()
        var reasons: Set<String> = []
        for seed in 0..<8 {
            let answer = try await server.chat([
                "tools": [Self.function("f", ["type": "object", "properties": ["a": ["const": 1]], "required": ["a"]], strict: true)], "parallel_tool_calls": false,
                "guided_json": ["const": 5], "temperature": 1, "seed": .int(seed), "max_tokens": 200,
            ])
            let choice = answer.json["choices"]?[0] ?? .null
            reasons.insert(choice["finish_reason"]?.stringValue ?? "\(answer.text)")
            if choice["finish_reason"] == "stop" {
                #expect(choice["message"]?["content"] == "5" && choice["message"]?["tool_calls"] == nil, "\(answer.text)")
            } else {
                let arguments = choice["message"]?["tool_calls"]?[0]?["function"]?["arguments"]?.stringValue ?? ""
                #expect(try JSONValue(parsing: arguments) == ["a": 1], "\(answer.text)")
            }
        }
        #expect(reasons == ["stop", "tool_calls"])
        let must = try await server.chat(["tools": Self.tools, "tool_choice": "required", "response_format": ["type": "json_object"], "max_tokens": 300])
        #expect(must.json["choices"]?[0]?["message"]?["tool_calls"]?[0].map(isRight) == true, "\(must.text)")
        await server.stop()
    }

    /// What asks for nothing of this server is not shown to the model.
    @Test func templatesSeeToolsWithoutWhatAsksForNothing() async throws {
        let seen = Mutex<JSONValue>(.null)
        var options = TestServer.Options(tellsOfTools: true)
        options.onExtra = { extra in seen.withLock { $0 = extra["tools"] ?? .null } }
        let server = try await TestServer(options)
        let tool: JSONValue = [
            "type": "function", "defer_loading": false,
            "function": ["name": "f", "description": "d", "parameters": [:], "strict": false, "allowed_callers": ["direct"], "output_schema": nil, "input_examples": []],
        ]
        let answer = try await server.chat(["tools": [tool], "max_tokens": 2])
        #expect(answer.status == 200, "\(answer.text)")
        #expect(seen.withLock { $0 } == [["type": "function", "function": ["name": "f", "description": "d", "parameters": [:], "strict": false]]])
        await server.stop()
    }

    @Test func toolsAreTokenized() async throws {
        let server = try await server()
        func count(_ tools: JSONValue) async throws -> Int {
            let answer = try await server.request(
                "POST", "/tokenize", ["model": "null-model", "messages": [["role": "user", "content": "x"]], "tools": tools])
            return answer.json["count"]?.intValue ?? -1
        }
        #expect(try await count(Self.tools) == count([]) + "weather\nadd\n".utf8.count)
        await server.stop()
    }

    @Test(arguments: [
        (["tools": [["type": "function"]]], "tools[0].function", "must be an object"), (["tools": [3]], "tools[0]", "must be an object"),
        (["tools": [["type": "web"]]], "tools[0].type", "must be function"), (["tools": "x"], "tools", "must be a list"),
        (["tools": [["type": "function", "function": ["name": ""]]]], "tools[0].function.name", "a name of 1 to 64 bytes"),
        (["tools": [["type": "function", "function": ["name": "f", "parameters": ["type": "array"]]]]], "tools[0].function.parameters", "a JSON Schema of an object"),
        (["tools": [["type": "function", "function": ["name": "f", "code": "x"]]]], "tools[0].function.code", "unknown field"),
        (["tools": [["type": "function", "function": ["name": "f", "defer_loading": true]]]], "tools[0].function.defer_loading", "must be false, and others are not supported"),
        (["tools": [["type": "function", "function": ["name": "f"], "defer_loading": true]]], "tools[0].defer_loading", "must be false, and others are not supported"),
        (["tools": [function("f", [:]), function("f", [:])]], "tools[1].function.name", "is there twice"),
        (["tools": tools, "tool_choice": "any"], "tool_choice", "must be none, auto, required or"), (["tool_choice": "required"], "tool_choice", "there are no tools"),
        (["tools": tools, "tool_choice": ["type": "function", "function": ["name": "x"]]], "tool_choice", "the function x, which is not among tools"),
        (["tools": [function("f", ["dependencies": [:]])], "tool_choice": "required"], "tools", "the parameters of f, #: the keyword dependencies is not supported"),
        (["tools": tools, "guided_regex": "a"], "guided_regex", "beside tools is not supported"),
        (["tools": tools, "tool_choice": "required", "guided_choice": ["a"]], "guided_choice", "beside tools is not supported"),
        (["tools": tools, "tool_choice": ["type": "function", "function": ["name": "add"]], "guided_regex": "("], "guided_regex", "beside tools is not supported"),
        (["tools": tools, "tool_choice": "required", "guided_json": ["dependencies": [:]]], "guided_json", "the keyword dependencies is not supported"),
    ] as [(JSONValue, String, String)])
    func faultsNameTheirField(_ fields: JSONValue, _ param: String, _ message: String) async throws {
        let server = try await server()
        var body = TestServer.body([:]).objectValue ?? JSONObject()
        for (name, value) in fields.objectValue ?? JSONObject() { body[name] = value }
        let answer = try await server.request("POST", "/v1/chat/completions", .object(body))
        #expect(answer.status == 400 && answer.json["error"]?["param"]?.stringValue == param, "\(answer.text)")
        #expect(answer.json["error"]?["message"]?.stringValue?.contains(message) == true, "\(answer.text)")
        await server.stop()
    }
}
