import Foundation
import Testing

/// `vlm-serve` with adapters of the tiny model, as PEFT saved them.
@Suite struct AdapterTests {
    private static let model = Workspace.fixtures.appending(path: "qwen2_vl").path
    private static let folder = Workspace.fixtures.appending(path: "adapters").path

    private func tokens(_ server: Server, _ model: String) async throws -> [Int] {
        let fields: [String: Any] = [
            "model": model, "prompt": (0..<24).map { ($0 * 37 + 11) % 290 }, "temperature": 0, "max_tokens": 1, "ignore_eos": true, "return_token_ids": true,
        ]
        let data = try await server.post("/v1/completions", try JSONSerialization.data(withJSONObject: fields))
        let json = try JSONSerialization.jsonObject(with: data) as? [String: Any]
        #expect(json?["model"] as? String == model, "\(String(decoding: data, as: UTF8.self).prefix(300))")
        return try #require((json?["choices"] as? [[String: Any]])?.first?["token_ids"] as? [Int])
    }

    /// One command compiles, serves the model and both adapters, and answers as PEFT's logits say.
    @Test func oneCommandServesModelAndAdapters() async throws {
        let space = try Workspace()
        let flags = [
            "--enable-lora", "--lora-modules", "plain=\(Self.folder)/plain", #"{"name": "patterns", "path": "\#(Self.folder)/patterns", "base_model_name": "tiny"}"#, "--max-loras", "2", "--max-lora-rank", "32",
            "--max-cpu-loras", "2", "--dtype", "float32", "--served-model-name", "tiny",
        ]
        let server = try Server(Self.model, flags, environment: ["VLM_STORE": space.store])
        #expect(server.line(with: "adapters     plain, patterns, 2 at once") != nil)
        // The likeliest tokens behind the prompt in `expected.safetensors`.
        for (name, token) in [("tiny", 68), ("plain", 162), ("patterns", 170)] {
            #expect(try await tokens(server, name) == [token], "\(name)")
        }
        #expect(server.stop() == 0)
    }

    @Test func whatCannotBeServedIsSaidAtTheStart() throws {
        let space = try Workspace()
        let (plain, adapted) = (try space.compile(Self.model), try space.compile(Self.model, "--enable-lora"))
        func errors(_ artifact: String, _ flags: String...) throws -> String {
            let outcome = try Command("vlm-serve", [artifact, "--port", "0", "--enable-lora"] + flags, environment: ["VLM_STORE": space.store]).run(input: "")
            #expect(outcome.status == 1)
            return outcome.errors
        }
        #expect(try errors(plain).contains("--enable-lora: the artifact takes no adapters; compile the model again: vlmc compile DIR --enable-lora"))
        #expect(try errors(adapted, "--lora-modules", "a=\(Self.folder)/patterns").contains("v_proj.lora_A.weight\": has rank 32, above --max-lora-rank 16"))
        #expect(try errors("\(Self.folder)/plain").contains("plain: is an adapter, not a model; give the model that it was trained on"))
        #expect(try errors(adapted, "--lora-modules", "a=\(Self.folder)/none").contains("none/adapter_config.json: no such file"))
        #expect(
            try errors(adapted, "--lora-modules", #"{"name": "a", "path": "\#(Self.folder)/plain", "base_model_name": "b"}"#)
                .contains("--lora-modules a: base_model_name b is not the model that is served, qwen2_vl"))
        #expect(try errors(adapted, "--lora-modules", "qwen2_vl=\(Self.folder)/plain").contains("--lora-modules qwen2_vl: the model itself is called so"))
        let other = try space.vlmc("compile", Workspace.repository.appending(path: "Tests/Families/Fixtures/phi3_v").path, "--enable-lora")
        #expect(other.status == 0, "o_proj and down_proj are there: \(other.errors)")
    }
}
