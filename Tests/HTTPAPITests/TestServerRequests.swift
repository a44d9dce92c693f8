import JSON
import TestClient

extension TestServer {
    /// Seconds in which an answer comes while other tests keep all processors busy.
    private static let patience = 120

    /// One request on a connection of its own, off the shared threads.
    func request(_ method: String, _ path: String, _ body: JSONValue? = nil) async throws -> HTTPClient.Answer {
        try await request(method, path, bytes: body?.serialized ?? [])
    }

    func request(_ method: String, _ path: String, bytes: [UInt8]) async throws -> HTTPClient.Answer {
        let (port, tls) = (port, tls)
        return try await blocking {
            let client = try HTTPClient(port: port, patience: Self.patience, tls: tls)
            try client.send(method, path, body: bytes)
            return try client.answer()
        }
    }

    /// Asks for a chat completion of a greeting, with fields added or replaced.
    func chat(_ fields: KeyValuePairs<String, JSONValue> = [:]) async throws -> HTTPClient.Answer {
        try await request("POST", "/v1/chat/completions", Self.body(fields))
    }

    static func body(_ fields: KeyValuePairs<String, JSONValue>) -> JSONValue {
        var object = JSONObject()
        object["model"] = .string(modelName)
        object["messages"] = [["role": "user", "content": "hello"]]
        object["max_tokens"] = 8
        object["ignore_eos"] = true
        for (name, value) in fields { object[name] = value }
        return .object(object)
    }
}
