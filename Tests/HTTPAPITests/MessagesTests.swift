import HTTPAPI
import JSON
import TestClient
import Testing

/// `/v1/messages`: what its bodies mean as chats, and how answers are told.
@Suite struct MessagesTests {
    private func chat(_ fields: String) throws -> JSONValue {
        let object = try #require(try JSONValue(parsing: #"{"model":"m","max_tokens":5,"# + fields + "}").objectValue)
        return .object(try Messages.translated(object).body)
    }

    @Test func messagesBecomeThoseOfAChat() throws {
        let image = #"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}"#
        let cases = [
            (#""system":"s","messages":[{"role":"user","content":"x"}]"#, #"[{"role":"system","content":"s"},{"role":"user","content":"x"}]"#),
            (
                #""system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":[\#(image),{"type":"text","text":"x","cache_control":null}]}]"#,
                #"[{"role":"system","content":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}]},"#
                    + #"{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image;base64,AAAA"}},{"type":"text","text":"x"}]}]"#
            ),
            (
                #""messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"z"},{"type":"text","text":"x"},"#
                    + #"{"type":"tool_use","id":"a","name":"f","input":{"n":1}},{"type":"tool_use","id":"b","name":"g","input":{}}]},"#
                    + #"{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"1"},{"type":"tool_result","tool_use_id":"b","is_error":true,"content":[{"type":"text","text":"no"},\#(image)]},"#
                    + #"{"type":"text","text":"y"}]},{"role":"user","content":[]}]"#,
                #"[{"role":"assistant","content":[{"type":"text","text":"x"}],"reasoning_content":"t","tool_calls":["#
                    + #"{"id":"a","type":"function","function":{"name":"f","arguments":{"n":1}}},{"id":"b","type":"function","function":{"name":"g","arguments":{}}}]},"#
                    + #"{"role":"tool","tool_call_id":"a","content":"1"},"#
                    + #"{"role":"tool","tool_call_id":"b","content":[{"type":"text","text":"Error: "},{"type":"text","text":"no"},{"type":"image_url","image_url":{"url":"data:image;base64,AAAA"}}]},"#
                    + #"{"role":"user","content":[{"type":"text","text":"y"}]},{"role":"user","content":[]}]"#
            ),
        ]
        for (fields, messages) in cases { #expect(try chat(fields)["messages"]?.serializedText == messages) }
    }

    @Test func otherFieldsMeanTheSame() throws {
        let body = try chat(
            #""messages":[{"role":"user","content":"x"}],"stop_sequences":["a"],"temperature":0.5,"top_p":1,"top_k":5,"stream":true,"metadata":{"user_id":"u"},"#
                + #""thinking":{"type":"disabled"},"chat_template_kwargs":{"a":1},"tools":[{"name":"f","description":"d","input_schema":{"type":"object"},"cache_control":{"type":"ephemeral"}}],"#
                + #""tool_choice":{"type":"any","disable_parallel_tool_use":true},"output_config":{"format":{"type":"json_schema","schema":{}},"effort":"low"}"#)
        let expected: JSONValue = [
            "model": "m", "messages": [["role": "user", "content": "x"]], "max_tokens": 5, "stop": ["a"], "temperature": 0.5, "top_p": 1, "top_k": 5,
            "stream": true, "tools": [["type": "function", "function": ["parameters": ["type": "object"], "name": "f", "description": "d"]]],
            "tool_choice": "required", "parallel_tool_calls": false, "response_format": ["type": "json_schema", "json_schema": ["schema": [:]]],
            "chat_template_kwargs": ["enable_thinking": false, "reasoning_effort": "low", "a": 1],
        ]
        #expect(Set(body.objectValue?.keys ?? []) == Set(expected.objectValue?.keys ?? []))
        for (name, value) in expected.objectValue ?? JSONObject() { #expect(body[name] == value, "\(name)") }
        for (given, choice) in [("auto", "auto"), ("none", "none")] as [(String, JSONValue)] {
            #expect(try chat(#""messages":[{"role":"user","content":"x"}],"tool_choice":{"type":"\#(given)"}"#)["tool_choice"] == choice)
        }
    }

    /// Faults of the body, also those that only the chat request finds, name what the client wrote, in Anthropic's form.
    @Test(arguments: [
        (#""messages":[]"#, "messages must not be empty"), (#""max_tokens":null"#, "max_tokens is required"), (#""max_tokens":0"#, "max_tokens must be at least 1"),
        (#""messages":[{"role":"developer","content":"x"}]"#, "messages[0].role must be user, assistant or system, not developer"),
        (#""messages":[{"role":"system","content":[{"type":"image"}]}]"#, "messages[0].content[0].type must be text, not image"),
        (#""context_management":{"edits":[{"type":"clear_thinking_20251015"}]}"#, "others are not supported: nothing of a conversation is cleared"),
        (#""context_management":{"edits":[{"type":"clear_tool_uses_20250919"}]}"#, "others are not supported: nothing of a conversation is cleared"),
        (#""tools":[{"name":"f","input_schema":{},"defer_loading":true}]"#, "tools[0].defer_loading must be false, and others are not supported: the model is told of all tools"),
        (#""tools":[{"name":"f","input_schema":{},"allowed_callers":["code_execution_20250825"]}]"#, "tools[0].allowed_callers must be [\"direct\"], and others"),
        (#""tools":[{"name":"f","input_schema":{},"input_examples":[{"a":1}]}]"#, "tools[0].input_examples is not supported: chat templates"),
        (#""thinking":{"type":"enabled","block_binding":{"a":1}}"#, "thinking.block_binding is not supported yet"), (#""fallbacks":[{"model":"b"}]"#, "fallbacks is not supported: no other model"),
        (#""output_config":{"task_budget":{"type":"tokens","total":9}}"#, "output_config.task_budget is not supported: no budget"), (#""diagnostics":{"previous_message_id":"msg_1"}"#, "diagnostics is not supported"),
        (#""messages":[{"role":"user"}],"system":"s""#, "messages[0].content is required"),
        (#""messages":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{}}]}]"#, "messages[1] calls functions, of which no results follow"),
        (#""messages":[{"role":"user","content":"x"},{"role":"assistant","content":[]}]"#, "the last message has no text to go on with"),
        (#""messages":[{"role":"user","content":[{"type":"document"}]}]"#, "messages[0].content[0].type must be text, image or tool_result, not document"),
        (#""messages":[{"role":"user","content":[{"type":"text"}]}]"#, "messages[0].content[0].text is required"),
        (#""messages":[{"role":"user","content":[{"type":"tool_use","id":"a","name":"f"}]}]"#, "must be text, image or tool_result, not tool_use"),
        (#""messages":[{"role":"user","content":[{"type":"tool_result","content":"x"}]}]"#, "messages[0].content[0].tool_use_id is required"),
        (#""messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"a"},{"type":"image","source":{"type":"url","url":"http://x/y"}}]}]"#, "messages[0].content[1]: images and videos are not fetched"),
        (#""messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","is_error":true,"content":[{"type":"image","source":{"type":"url","url":"http://x/y"}}]}]}]"#, "messages[0].content[0].content[0]: images and videos are not fetched"),
        (#""messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"text/plain","data":""}}]}]"#, "messages[0].content[0].source.media_type must be an image's"),
        (#""messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]}]"#, "messages[0].content[0]: "),
        (#""messages":[{"role":"user","content":[{"type":"image","source":{"type":"file","file_id":"f"}}]}]"#, "messages[0].content[0].source.type must be base64 or url"),
        (#""system":[{"type":"image"}]"#, "system[0].type must be text"), (#""system":3"#, "system must be a string"),
        (#""stop_sequences":[""]"#, "stop_sequences must not hold an empty string"), (#""stop":["a"]"#, "unknown field stop"), (#""n":2"#, "unknown field n"),
        (#""thinking":{"type":"on"}"#, "thinking.type must be enabled, disabled or adaptive"), (#""thinking":{"type":"enabled","budget_tokens":0}"#, "thinking.budget_tokens must be at least 1"),
        (#""thinking":{"type":"adaptive","budget_tokens":9}"#, "unknown field thinking.budget_tokens"), (#""thinking":{"type":"enabled","display":"x"}"#, "thinking.display must be summarized or omitted"), (#""max_tokens":1000"#, "max_tokens 1000 is too large"),
        (#""tools":[{"type":"bash_20250124","name":"bash"}]"#, "tools[0].type must be custom"), (#""tools":[{"name":"f"}]"#, "tools[0].input_schema is required"),
        (#""tools":[{"name":"f","input_schema":{"type":"array"}}]"#, "tools[0].input_schema must be a JSON Schema of an object"),
        (#""tools":[{"name":"","input_schema":{}}]"#, "tools[0].name must be a name"), (#""tools":[{"name":"f","input_schema":{},"x":1}]"#, "unknown field tools[0].x"),
        (#""tool_choice":{"type":"required"}"#, "tool_choice.type must be auto, any, tool or none"), (#""tool_choice":{"type":"tool"}"#, "tool_choice.name is required"),
        (#""tool_choice":{"type":"any"}"#, "there are no tools"), (#""output_config":{"effort":"none"}"#, "output_config.effort must be one of minimal, low"), (#""chat_template_kwargs":3"#, "chat_template_kwargs must be an object"),
        (#""output_config":{"format":{"type":"json_schema","schema":{"dependencies":{}}}}"#, "output_config.format.schema: #: the keyword dependencies"),
    ])
    func faultsNameTheirField(_ fields: String, _ message: String) async throws {
        let server = try await TestServer(.init(spellsBytes: true, tellsOfTools: true))
        var object: JSONObject = ["model": .string(TestServer.modelName), "max_tokens": 5, "messages": [["role": "user", "content": "x"]]]
        for (name, value) in try #require(try JSONValue(parsing: "{\(fields)}").objectValue) { object[name] = value }
        let answer = try await server.request("POST", "/v1/messages", .object(object))
        #expect(answer.status == 400 && answer.json["type"] == "error" && answer.json["error"]?["type"] == "invalid_request_error", "\(answer.text)")
        #expect(answer.json["error"]?["message"]?.stringValue?.contains(message) == true, "\(answer.text)")
        await server.stop()
    }

    /// What clients send to have told, or by default, and what asks for nothing.
    @Test(arguments: [
        #""context_management":{"edits":[{"type":"clear_thinking_20251015","keep":"all"}]}"#, #""context_management":{"edits":[{"keep":{"type":"all"},"type":"clear_thinking_20251015"}]}"#,
        #""context_management":{"edits":[]}"#, #""context_management":{}"#, #""fallbacks":[]"#, #""diagnostics":{}"#, #""diagnostics":{"previous_message_id":null}"#, #""mcp_servers":[]"#,
        #""tools":[{"name":"f","input_schema":{},"defer_loading":false,"allowed_callers":["direct"],"input_examples":[]}]"#, #""thinking":{"type":"adaptive","block_binding":null}"#,
    ])
    func whatAsksForNothingIsTaken(_ fields: String) async throws {
        let server = try await TestServer(.init(tellsOfTools: true))
        for (path, length) in [("/v1/messages", ["max_tokens": 2]), ("/v1/messages/count_tokens", [:])] as [(String, JSONObject)] {
            var object = length
            object["model"] = .string(TestServer.modelName)
            object["messages"] = [["role": "user", "content": "x"]]
            for (name, value) in try #require(try JSONValue(parsing: "{\(fields)}").objectValue) { object[name] = value }
            let answer = try await server.request("POST", path, .object(object))
            #expect(answer.status == 200, "\(answer.text)")
        }
        await server.stop()
    }

    /// Anthropic's clients go on without a thread when they are told so.
    @Test(arguments: [["type": "create"], ["type": "continue", "previous_message_id": "msg_1"]] as [JSONValue])
    func threadsAreRefusedAsClientsExpect(_ thread: JSONValue) async throws {
        let server = try await TestServer()
        let error = try await server.request("POST", "/v1/messages", Self.body(["thread": thread])).json["error"]
        #expect(error?["details"] == ["error_code": "thread_unsupported_request", "unsupported": ["thread"]] && error?["type"] == "invalid_request_error")
        #expect(error?["message"] == "thread is not supported: nothing is stored here; send the whole conversation in messages")
        #expect(try await server.request("POST", "/v1/messages", Self.body(["thread": .null])).status == 200)
        #expect(try await server.request("POST", "/v1/messages", Self.body(["temperature": -1])).json["error"]?["details"] == nil)
        await server.stop()
    }

    @Test func systemMessagesMayStandAmongTheOthers() throws {
        let messages = try chat(#""system":"s","messages":[{"role":"user","content":"x"},{"role":"system","content":"t"},{"role":"system","content":[{"type":"text","text":"u"}]}]"#)["messages"]
        #expect(
            messages?.serializedText
                == #"[{"role":"system","content":"s"},{"role":"user","content":"x"},{"role":"system","content":"t"},{"role":"system","content":[{"type":"text","text":"u"}]}]"#)
    }

    private static func body(_ fields: KeyValuePairs<String, JSONValue> = [:]) -> JSONValue {
        var body: JSONObject = ["model": "null-model", "max_tokens": 6, "ignore_eos": true, "messages": [["role": "user", "content": "hello"]]]
        for (name, value) in fields { body[name] = value }
        return .object(body)
    }

    @Test func anAnswerAndItsStreamTellTheSame() async throws {
        let server = try await TestServer()
        let whole = try await server.request("POST", "/v1/messages", Self.body()).json
        let text = whole["content"]?[0]?["text"]?.stringValue ?? ""
        #expect(whole["type"] == "message" && whole["role"] == "assistant" && whole["stop_reason"] == "max_tokens" && text.count == 6, "\(whole)")
        #expect(whole["usage"]?["input_tokens"] == 11 && whole["usage"]?["output_tokens"] == 6 && whole["id"]?.stringValue?.hasPrefix("msg_") == true)
        let events = try ServerEvents(try await server.request("POST", "/v1/messages", Self.body(["stream": true])).text)
        let deltas = events.all.compactMap { $0["delta"]?["text"]?.stringValue }
        #expect(events.names == ["message_start", "ping", "content_block_start"] + deltas.map { _ in "content_block_delta" } + ["content_block_stop", "message_delta", "message_stop"])
        #expect(deltas.joined() == text && events.all[0]["message"]?["usage"]?["input_tokens"] == 11)
        let end = events.all[events.all.count - 2]
        #expect(end["delta"]?["stop_reason"] == "max_tokens" && end["usage"]?["output_tokens"] == 6, "\(end)")
        let stop = String(text.dropFirst(3).prefix(2))
        let stopped = try await server.request("POST", "/v1/messages", Self.body(["stop_sequences": [.string(stop)]])).json
        #expect(stopped["stop_reason"] == "stop_sequence" && stopped["stop_sequence"] == .string(stop) && stopped["content"]?[0]?["text"] == .string(String(text.prefix(3))), "\(stopped)")
        await server.stop()
    }

    /// What the assistant's last message begins the answer goes on with.
    @Test func anAnswerGoesOnWithItsBeginning() async throws {
        let server = try await TestServer()
        let messages: JSONValue = [["role": "user", "content": "hello"], ["role": "assistant", "content": "He"]]
        let answer = try await server.request("POST", "/v1/messages", Self.body(["messages": messages])).json
        #expect(answer["usage"]?["input_tokens"] == .int("user:hello\nassistant:He".utf8.count), "\(answer)")
        let counted = try await server.request("POST", "/v1/messages/count_tokens", ["model": "null-model", "messages": messages]).json
        #expect(counted == ["input_tokens": .int("user:hello\nassistant:He".utf8.count)])
        let empty: JSONValue = ["model": "null-model", "max_tokens": 1, "messages": [["role": "assistant", "content": .null]]]
        let nothing = try await server.request("POST", "/v1/messages", empty)
        #expect(nothing.status == 400 && nothing.text.contains("messages[0].content is required"), "\(nothing.text)")
        let strange: [(JSONValue, String)] = [(["mood": "fine"], "output_config.mood"), (["format": ["type": "json_schema", "schema": true, "x": 1]], "output_config.format")]
        for (config, field) in strange {
            let body: JSONValue = ["model": "null-model", "messages": messages, "output_config": config]
            let refused = try await server.request("POST", "/v1/messages/count_tokens", body)
            #expect(refused.status == 400 && refused.text.contains(field), "\(refused.text)")
        }
        await server.stop()
    }

    /// What came from the cache is told apart where chats tell it, at the end of a stream: its beginning comes before the cache is asked.
    @Test(arguments: [true, false]) func cachedTokensAreTold(_ tells: Bool) async throws {
        var options = TestServer.Options()
        options.reportsCachedTokens = tells
        let server = try await TestServer(options)
        let text = String(repeating: "long ", count: 40)
        func ask(_ streams: Bool) async throws -> HTTPClient.Answer {
            try await server.request("POST", "/v1/messages", Self.body(["messages": [["role": "user", "content": .string(text)]], "stream": .bool(streams)]))
        }
        let count = "user:\(text)\n".utf8.count
        let first = try await ask(false).json["usage"]
        #expect(first == ["input_tokens": .int(count), "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 6])
        let second = try await ask(false).json["usage"]
        let cached = second?["cache_read_input_tokens"]?.intValue ?? -1
        #expect(tells ? cached >= 64 : cached == 0, "\(String(describing: second))")
        #expect(second?["input_tokens"]?.intValue == count - cached && second?["cache_creation_input_tokens"] == 0)
        let events = try ServerEvents(try await ask(true).text).all
        #expect(events.first?["message"]?["usage"] == ["input_tokens": .int(count), "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0])
        #expect(events.first { $0["type"] == "message_delta" }?["usage"] == second)
        await server.stop()
    }

    @Test func callsAreBlocks() async throws {
        let server = try await TestServer(.init(spellsBytes: true, tellsOfTools: true))
        let tool: JSONValue = ["name": "f", "input_schema": ["type": "object", "properties": ["a": ["const": 1]], "required": ["a"]]]
        let asked = Self.body(["tools": [tool], "tool_choice": ["type": "tool", "name": "f"], "max_tokens": 200])
        let whole = try await server.request("POST", "/v1/messages", asked).json
        let use = whole["content"]?[0] ?? .null
        #expect(whole["stop_reason"] == "tool_use" && use["type"] == "tool_use" && use["name"] == "f" && use["input"] == ["a": 1], "\(whole)")
        var streamed = asked.objectValue ?? JSONObject()
        streamed["stream"] = true
        let events = try ServerEvents(try await server.request("POST", "/v1/messages", .object(streamed)).text)
        let parts = events.all.compactMap { $0["delta"]?["partial_json"]?.stringValue }
        #expect(parts.count > 1 && (try? JSONValue(parsing: parts.joined())) == ["a": 1], "\(events.all)")
        #expect(events.names.filter { $0 != "content_block_delta" } == ["message_start", "ping", "content_block_start", "content_block_stop", "message_delta", "message_stop"])
        #expect(events.all[2]["content_block"]?["input"] == [:] && events.all[events.all.count - 2]["delta"]?["stop_reason"] == "tool_use")
        await server.stop()
    }

    @Test func tokensAreCounted() async throws {
        let server = try await TestServer(.init(tellsOfTools: true))
        func count(_ fields: KeyValuePairs<String, JSONValue>) async throws -> JSONValue {
            var body: JSONObject = ["model": "null-model", "messages": [["role": "user", "content": "hello"]]]
            for (name, value) in fields { body[name] = value }
            return try await server.request("POST", "/v1/messages/count_tokens", .object(body)).json
        }
        #expect(try await count([:]) == ["input_tokens": 11])
        #expect(try await count(["system": "s"]) == ["input_tokens": .int(11 + "system:s\n".utf8.count)])
        let tools: JSONValue = [["name": "f", "input_schema": [:]]]
        #expect(try await count(["tools": tools]) == ["input_tokens": 13])
        #expect(try await count(["tools": tools, "tool_choice": ["type": "none"]]) == ["input_tokens": 11])
        #expect(try await count(["max_tokens": 5])["error"]?["message"]?.stringValue?.contains("unknown field max_tokens") == true)
        #expect(try await count(["model": "x"])["error"]?["type"] == "not_found_error")
        await server.stop()
    }

    @Test func keysMayStandInTheirOwnHeader() async throws {
        var options = TestServer.Options()
        options.access.apiKeys = ["right", "other"]
        let server = try await TestServer(options)
        for (header, status) in [
            ("x-api-key: right", 200), ("X-Api-Key: other", 200), ("x-api-key: wrong", 401), ("x-api-key:", 401), ("a: b", 401),
            ("x-api-key: wrong\r\nauthorization: Bearer right", 200),
        ] {
            let port = server.port
            let answer = try await blocking {
                let client = try HTTPClient(port: port)
                let body = Self.body().serialized
                try client.send(Array("POST /v1/messages HTTP/1.1\r\nhost: x\r\n\(header)\r\ncontent-length: \(body.count)\r\n\r\n".utf8) + body)
                return try client.answer()
            }
            #expect(answer.status == status, "\(header): \(answer.text)")
            if status == 401 { #expect(answer.json["error"]?["type"] == "authentication_error", "\(answer.text)") }
        }
        await server.stop()
    }

    @Test func aFailureEndsTheStream() async throws {
        var options = TestServer.Options()
        options.failsOnToken = Int32(UInt8(ascii: "h"))
        let server = try await TestServer(options)
        let events = try ServerEvents(try await server.request("POST", "/v1/messages", Self.body(["stream": true])).text)
        #expect(events.names == ["message_start", "ping", "error"] && events.all.last?["error"]?["type"] == "api_error", "\(events.all)")
        await server.stop()
    }
}
