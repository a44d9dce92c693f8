import Foundation
import Testing

/// `--chat-template`: a file or a text in place of the model's own.
@Suite struct ChatTemplateFlagTests {
    private func tokens(_ server: Server, _ body: [String: Any]) async throws -> [Int] {
        let data = try await server.post("/tokenize", try JSONSerialization.data(withJSONObject: body))
        let json = try JSONSerialization.jsonObject(with: data) as? [String: Any]
        return try #require(json?["tokens"] as? [Int], "\(String(decoding: data, as: UTF8.self).prefix(300))")
    }

    @Test func theTemplateIsTheOneThatIsNamed() async throws {
        let space = try Workspace()
        let artifact = try space.compile(Workspace.demoModel)
        let messages = [["role": "user", "content": "red"]]
        let template = "{% for m in messages %}{{ m.content }}!{% endfor %}"
        try template.write(toFile: space.path("own.jinja"), atomically: true, encoding: .utf8)
        for value in [space.path("own.jinja"), template] {
            let server = try Server(artifact, "--chat-template", value)
            let found = try await tokens(server, ["messages": messages])
            #expect(try await found == tokens(server, ["prompt": "red!"]))
            // A request's own comes before it.
            let own = try await tokens(server, ["messages": messages, "chat_template": "{{ messages[0].content }}?"])
            #expect(try await own == tokens(server, ["prompt": "red?"]))
            // What it does costs the request, and the server goes on.
            let endless = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
            let data = try await server.post("/tokenize", try JSONSerialization.data(withJSONObject: ["messages": messages, "chat_template": endless]))
            #expect(String(decoding: data, as: UTF8.self).contains("the chat template refuses"), "\(String(decoding: data, as: UTF8.self).prefix(300))")
            #expect(server.stop() == 0)
        }
        let none = try Command("vlm-serve", [artifact, "--chat-template", space.path("none.jinja")]).run()
        #expect(none.status == 1 && none.errors.contains("none.jinja is neither a file that can be read nor a template"), "\(none.errors)")
    }

    /// Nothing is compiled for it.
    @Test func aTemplateThatDoesNotParseIsAnErrorAtTheStart() throws {
        let space = try Workspace()
        try "{{ é }}\n  {{ a b }}".write(toFile: space.path("own.jinja"), atomically: true, encoding: .utf8)
        for (value, message) in [
            ("{% for", "--chat-template, line 1, column 7: a tag has no closing '%}'"),
            (space.path("own.jinja"), "--chat-template \(space.path("own.jinja")), line 2, column 8: expected '}}', found 'b'"),
        ] {
            let outcome = try Command("vlm-serve", [Workspace.demoModel, "--store", space.store, "--port", "0", "--chat-template", value]).run()
            #expect(outcome.status == 1 && outcome.errors == "error: \(message)\n", "\(outcome.errors)")
        }
        #expect(!FileManager.default.fileExists(atPath: space.store))
    }
}
