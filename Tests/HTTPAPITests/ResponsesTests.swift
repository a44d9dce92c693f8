import HTTPAPI
import JSON
import TestClient
import Testing

/// `/v1/responses`: what its bodies mean as chats, and how answers are told.
@Suite struct ResponsesTests {
    private func chat(_ body: String) throws -> String {
        let object = try #require(try JSONValue(parsing: body).objectValue)
        return JSONValue.object(try Responses.translated(object).body).serializedText
    }

    @Test func inputsBecomeMessages() throws {
        let cases = [
            (#"{"input":"x"}"#, #"[{"role":"user","content":"x"}]"#),
            (#"{"instructions":"i","input":[{"role":"developer","content":"x"}]}"#, #"[{"role":"system","content":"i"},{"role":"developer","content":"x"}]"#),
            (
                #"{"input":[{"type":"message","role":"user","content":[{"type":"input_image","image_url":"data:,","detail":"auto"},{"type":"input_text","text":"x"}]}]}"#,
                #"[{"role":"user","content":[{"type":"input_image","image_url":"data:,","detail":"auto"},{"type":"input_text","text":"x"}]}]"#
            ),
            (
                #"{"input":[{"type":"message","id":"m","status":"completed","role":"assistant","content":[{"type":"output_text","text":"x","annotations":[]}]},"#
                    + #"{"type":"function_call","id":"f","call_id":"a","name":"f","arguments":"{}"},{"type":"function_call","call_id":"b","name":"g","arguments":"{}"},"#
                    + #"{"type":"function_call_output","call_id":"a","output":"1"},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}]}"#,
                #"[{"role":"assistant","content":[{"type":"output_text","text":"x","annotations":[]}],"tool_calls":["#
                    + #"{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}]},"#
                    + #"{"role":"tool","tool_call_id":"a","content":"1"},"#
                    + #"{"role":"assistant","content":"","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}]"#
            ),
        ]
        for (body, messages) in cases { #expect(try JSONValue(parsing: chat(body))["messages"]?.serializedText == messages, "\(body)") }
    }

    @Test func otherFieldsMeanTheSame() throws {
        let body = try JSONValue(
            parsing: chat(
                #"{"model":"m","input":"x","max_output_tokens":5,"temperature":0.5,"top_p":1,"stream":true,"store":true,"metadata":{"a":"b"},"#
                    + #""text":{"verbosity":"low","format":{"type":"json_schema","name":"n","strict":true,"schema":{"type":"object"}}},"#
                    + #""tools":[{"type":"function","name":"f","parameters":{},"strict":false}],"tool_choice":{"type":"function","name":"f"},"#
                    + #""parallel_tool_calls":false,"include":["message.output_text.logprobs"],"top_logprobs":2}"#))
        let expected: JSONValue = [
            "model": "m", "messages": [["role": "user", "content": "x"]], "max_completion_tokens": 5, "temperature": 0.5, "top_p": 1, "stream": true,
            "response_format": ["type": "json_schema", "json_schema": ["name": "n", "strict": true, "schema": ["type": "object"]]],
            "tools": [["type": "function", "function": ["name": "f", "parameters": [:], "strict": false]]],
            "tool_choice": ["type": "function", "function": ["name": "f"]], "parallel_tool_calls": false, "logprobs": true, "top_logprobs": 2,
        ]
        #expect(Set(body.objectValue?.keys ?? []) == Set(expected.objectValue?.keys ?? []))
        for (name, value) in expected.objectValue ?? JSONObject() { #expect(body[name] == value, "\(name)") }
    }

    /// Faults of the body, also those that only the chat request finds, name what the client wrote.
    @Test(arguments: [
        (#"{}"#, "input", "is required"), (#"{"input":[]}"#, "input", "must not be empty"), (#"{"input":3}"#, "input", "a string or a list"),
        (#"{"input":[3]}"#, "input[0]", "an object"), (#"{"input":[{"role":"tool","content":"x"}]}"#, "input[0].role", "not tool"),
        (#"{"instructions":"i","input":[{"role":"user"}]}"#, "input[0].content", "input[0].content is required"),
        (#"{"instructions":"i","input":[{"role":"user","content":[{"type":"input_image","image_url":"http://x/y"}]}]}"#, "input[0].content[0]", "input[0].content[0]: images and videos are not fetched"),
        (#"{"input":[{"role":"user","content":[{"type":"input_image","file_id":"f"}]}]}"#, "input[0].content[0].file_id", "not supported yet"),
        (#"{"input":[{"role":"user","content":[{"type":"input_file","file_id":"f"}]}]}"#, "input[0].content[0].file_id", "not supported yet"),
        (#"{"input":[{"type":"function_call","call_id":"a","name":"f"}]}"#, "input[0].arguments", "is required"),
        (#"{"input":[{"type":"function_call_output","call_id":"a","output":[{"type":"x"}]}]}"#, "input[0].output[0].type", "not x"),
        (#"{"input":[{"type":"item_reference","id":"a"}]}"#, "input[0].type", "nothing is kept between requests"),
        (#"{"input":"x","previous_response_id":"r"}"#, "previous_response_id", "nothing is stored here"), (#"{"input":"x","background":true}"#, "background", "must be false"),
        (#"{"input":"x","conversation":{"id":"c"}}"#, "conversation", "not supported"), (#"{"input":"x","prompt":{"id":"c"}}"#, "prompt", "not supported"),
        (#"{"input":"x","messages":[]}"#, "messages", "unknown field"), (#"{"input":"x","max_tokens":1}"#, "max_tokens", "unknown field"),
        (#"{"input":"x","max_output_tokens":0}"#, "max_output_tokens", "max_output_tokens must be at least 1"),
        (#"{"input":"x","max_output_tokens":1000}"#, "max_output_tokens", "max_output_tokens 1000 is too large"),
        (#"{"input":"x","max_output_tokens":3,"min_tokens":4}"#, "min_tokens", "more than max_output_tokens 3"),
        (#"{"input":"x","text":{"format":{"type":"xml"}}}"#, "text.format.type", "text.format.type must be text, json_object"),
        (#"{"input":"x","text":{"format":{"type":"json_schema","name":"n","schema":{"dependencies":{}}}}}"#, "text.format.schema", "text.format.schema: #: the keyword dependencies"),
        (#"{"input":"x","text":{"format":{"type":"json_schema","extra":1}}}"#, "text.format.extra", "unknown field text.format.extra"),
        (#"{"input":"x","text":{"x":1}}"#, "text.x", "unknown field"), (#"{"input":"x","include":["file_search_call.results"]}"#, "include", "include[0] must be"),
        (#"{"input":"x","tools":[{"type":"web_search"}]}"#, "tools[0].type", "must be function"),
        (#"{"input":"x","tools":[{"type":"function","name":""}]}"#, "tools[0].name", "tools[0].name must be a name"),
        (#"{"input":"x","tools":[{"type":"function","name":"f","code":1}]}"#, "tools[0].code", "unknown field tools[0].code"),
        (#"{"input":"x","tool_choice":{"type":"mcp"}}"#, "tool_choice", "\"name\":…"), (#"{"input":"x","store":1}"#, "store", "a boolean"),
        (#"{"input":"x","reasoning":{"effort":"huge"}}"#, "reasoning.effort", "must be one of none"), (#"{"input":"x","reasoning":{"summary":"all"}}"#, "reasoning.summary", "must be one of auto"),
        (#"{"input":"x","reasoning":{"context":"all_turns"}}"#, "reasoning.context", "must be \"auto\", and others are not supported: the chat template"),
        (#"{"input":"x","reasoning":{"mode":"pro"}}"#, "reasoning.mode", "must be \"standard\""), (#"{"input":"x","access_programs":{"cyber":"daybreak_red"}}"#, "access_programs", "standard"),
        (#"{"input":"x","tools":[{"type":"function","name":"f","defer_loading":true}]}"#, "tools[0].defer_loading", "tools[0].defer_loading must be false"),
        (#"{"input":"x","reasoning":{"x":1}}"#, "reasoning.x", "unknown field"), (#"{"input":[{"type":"reasoning","content":[{"type":"text","text":"x"}]}]}"#, "input[0].content[0]", "reasoning_text"),
        (#"{"input":[{"type":"reasoning","summary":[],"encrypted_content":"x"}]}"#, "input[0].encrypted_content", "cannot be read"), (#"{"input":"x","truncation":"auto"}"#, "truncation", "disabled"),
    ])
    func faultsNameTheirField(_ body: String, _ param: String, _ message: String) async throws {
        let server = try await TestServer(.init(spellsBytes: true, tellsOfTools: true))
        var object = try #require(try JSONValue(parsing: body).objectValue)
        object["model"] = .string(TestServer.modelName)
        let answer = try await server.request("POST", "/v1/responses", .object(object))
        #expect(answer.status == 400 && answer.json["error"]?["param"]?.stringValue == param, "\(answer.text)")
        #expect(answer.json["error"]?["message"]?.stringValue?.contains(message) == true, "\(answer.text)")
        await server.stop()
    }

    @Test(arguments: [
        #""client_metadata":{"a":"b"}"#, #""access_programs":{"cyber":"standard"}"#, #""reasoning":{"context":"auto","mode":"standard"}"#, #""background_options":{"completion_window":"soonest"}"#,
        #""prompt_cache_options":{"mode":"explicit"}"#, #""conversation":{}"#, #""context_management":[]"#, #""media_io_kwargs":{}"#, #""logits_processors":[]"#,
        #""tools":[{"type":"function","name":"f","parameters":{},"allowed_callers":["direct"],"defer_loading":false,"output_schema":null}]"#,
        #""input":[{"role":"user","content":[{"type":"input_image","detail":"original","image_url":"data:image/png;base64,\#(TestImages.png)"}]}]"#,
    ])
    func hintsAndWhatAsksForNothingAreTaken(_ fields: String) async throws {
        let server = try await TestServer(.init(tellsOfTools: true))
        var object: JSONObject = ["model": .string(TestServer.modelName), "input": "x", "max_output_tokens": 2]
        for (name, value) in try #require(try JSONValue(parsing: "{\(fields)}").objectValue) { object[name] = value }
        let answer = try await server.request("POST", "/v1/responses", .object(object))
        #expect(answer.status == 200, "\(answer.text)")
        await server.stop()
    }

    @Test func theFormatIsToldBesideTheVerbosity() async throws {
        let server = try await TestServer()
        let body: JSONValue = ["model": .string(TestServer.modelName), "input": "x", "max_output_tokens": 2, "text": ["verbosity": "low"]]
        let answer = try await server.request("POST", "/v1/responses", body).json
        #expect(answer["text"] == ["verbosity": "low", "format": ["type": "text"]], "\(answer.serializedText)")
        await server.stop()
    }

    private static let body: JSONValue = [
        "model": "null-model", "input": "hello", "max_output_tokens": 6, "ignore_eos": true, "metadata": ["a": "b"], "store": true,
        "include": ["message.output_text.logprobs"],
    ]

    @Test func anAnswerIsTold() async throws {
        let server = try await TestServer()
        let answer = try await server.request("POST", "/v1/responses", Self.body).json
        let item = answer["output"]?[0] ?? .null
        #expect(answer["object"] == "response" && answer["status"] == "incomplete" && answer["incomplete_details"] == ["reason": "max_output_tokens"])
        #expect(answer["store"] == false && answer["metadata"] == ["a": "b"] && answer["max_output_tokens"] == 6 && answer["error"] == .null)
        #expect(answer["id"]?.stringValue?.hasPrefix("resp_") == true && item["id"]?.stringValue?.hasPrefix("msg_") == true)
        #expect(item["type"] == "message" && item["status"] == "incomplete" && item["content"]?[0]?["text"]?.stringValue?.count == 6, "\(item)")
        #expect(item["content"]?[0]?["logprobs"]?.arrayValue?.count == 6)
        #expect(answer["usage"]?["output_tokens"] == 6 && answer["usage"]?["input_tokens"] == 11 && answer["usage"]?["total_tokens"] == 17, "\(answer)")
        await server.stop()
    }

    @Test func aStreamTellsTheSame() async throws {
        let server = try await TestServer()
        let whole = try await server.request("POST", "/v1/responses", Self.body).json
        var body = Self.body.objectValue ?? JSONObject()
        body["stream"] = true
        let answer = try await server.request("POST", "/v1/responses", .object(body))
        let events = try ServerEvents(answer.text)
        #expect(events.names == events.all.map { $0["type"]?.stringValue ?? "" })
        #expect(events.all.map { $0["sequence_number"]?.intValue } == events.all.indices.map { $0 })
        let deltas = events.all.filter { $0["type"] == "response.output_text.delta" }
        let around = ["created", "in_progress", "output_item.added", "content_part.added"], closing = ["output_text.done", "content_part.done", "output_item.done", "incomplete"]
        #expect(events.names == (around + deltas.map { _ in "output_text.delta" } + closing).map { "response." + $0 })
        let last = events.all.last?["response"] ?? .null
        let text = deltas.compactMap { $0["delta"]?.stringValue }.joined()
        #expect(text == whole["output"]?[0]?["content"]?[0]?["text"]?.stringValue && last["output"]?[0]?["content"]?[0]?["text"] == .string(text))
        #expect(deltas.reduce(0) { $0 + ($1["logprobs"]?.arrayValue?.count ?? 0) } == 6 && last["output"]?[0]?["content"]?[0]?["logprobs"]?.arrayValue?.count == 6)
        #expect(last["usage"]?["output_tokens"] == 6 && events.all[0]["response"]?["usage"] == .null && events.all[0]["response"]?["output"] == [])
        #expect(Set(events.all.compactMap { $0["item_id"]?.stringValue }).count == 1)
        await server.stop()
    }

    @Test func aFailureEndsTheStream() async throws {
        var options = TestServer.Options()
        options.failsOnToken = Int32(UInt8(ascii: "h"))
        let server = try await TestServer(options)
        var body = Self.body.objectValue ?? JSONObject()
        body["stream"] = true
        let events = try ServerEvents(try await server.request("POST", "/v1/responses", .object(body)).text)
        #expect(events.names == ["response.created", "response.in_progress", "response.failed"], "\(events.names)")
        #expect(events.all.last?["response"]?["status"] == "failed" && events.all.last?["response"]?["error"]?["code"] == "server_error")
        await server.stop()
    }
}
