import JSON
import Serving
import TestClient
import Testing

/// Adapters over HTTP: requests name them as their model.
@Suite struct AdapterTests {
    private func server() async throws -> TestServer {
        var options = TestServer.Options()
        options.adapters = ["colours", "team/shapes"]
        return try await TestServer(options)
    }

    private func text(_ answer: HTTPClient.Answer) -> String? {
        let choice = answer.json["choices"]?[0]
        return choice?["message"]?["content"]?.stringValue ?? choice?["text"]?.stringValue
    }

    @Test func modelsListsThemBehindTheirModel() async throws {
        let server = try await server()
        let models = try await server.request("GET", "/v1/models").json["data"]
        #expect(models?.arrayValue?.map { $0["id"]?.stringValue } == ["null-model", "colours", "team/shapes"])
        #expect(models?[0]?["parent"]?.isNull == true)
        #expect(models?[1]?["parent"] == "null-model" && models?[1]?["root"] == "/adapters/colours")
        #expect(models?[1]?["object"] == "model" && models?[1]?["max_model_len"] == .int(TestServer.contextLength))
        #expect(try await server.request("GET", "/v1/models/team/shapes").json["id"] == "team/shapes")
        #expect(try await server.request("GET", "/v1/models/team%2Fshapes").json["parent"] == "null-model")
        #expect(try await server.request("GET", "/v1/models/shapes").status == 404)
        await server.stop()
    }

    @Test func theModelOfARequestChoosesOne() async throws {
        let server = try await server()
        var texts: [String?] = []
        for name in ["null-model", "colours", "team/shapes", "alias", "colours"] {
            let answer = try await server.chat(["model": .string(name), "temperature": 0])
            let isBase = name == "null-model" || name == "alias"
            #expect(answer.json["model"] == .string(isBase ? "null-model" : name))
            texts.append(text(answer))
        }
        #expect(texts[0] == texts[3] && texts[1] == texts[4] && Set(texts).count == 3)
        var completions: Set<String?> = []
        for name in ["null-model", "colours"] {
            let body: JSONValue = ["model": .string(name), "prompt": "abc", "temperature": 0]
            completions.insert(text(try await server.request("POST", "/v1/completions", body)))
        }
        #expect(completions.count == 2)
        var embeddings: [JSONValue?] = []
        for name in ["null-model", "colours", "colours"] {
            let answer = try await server.request("POST", "/v1/embeddings", ["model": .string(name), "input": "abc"]).json
            #expect(answer["model"] == .string(name))
            embeddings.append(answer["data"]?[0]?["embedding"])
        }
        #expect(embeddings[0] != embeddings[1] && embeddings[1] == embeddings[2])
        #expect(try await server.request("POST", "/tokenize", ["model": "colours", "prompt": "abc"]).status == 200)
        for name in ["shapes", "colours/", "Colours"] {
            let answer = try await server.chat(["model": .string(name)])
            #expect(answer.status == (name == "null-model" ? 200 : 404) && answer.json["error"]?["code"] == "model_not_found", "\(name)")
        }
        await server.stop()
    }

    @Test func metricsTellWhichRun() async throws {
        let server = try await server()
        _ = try await server.chat(["model": "colours"])
        let text = try await server.request("GET", "/metrics").text
        #expect(text.contains("vllm:lora_requests_info{max_lora=\"1\",waiting_lora_adapters=\"\",running_lora_adapters=\"\"} 1"))
        await server.stop()
        var metrics = Metrics()
        metrics.adapters = ["a", "b\"", "c"].map(AdapterLoad.init)
        (metrics.maxAdapters, metrics.adapters[0].running, metrics.adapters[1].running, metrics.adapters[2].waiting) = (2, 1, 3, 1)
        let line = "vllm:lora_requests_info{max_lora=\"2\",waiting_lora_adapters=\"c\",running_lora_adapters=\"a,b\\\"\"} 7.5\n"
        #expect(metrics.text(modelName: "m", process: ProcessUsage.current(), now: 7.5).contains(line))
        #expect(!Metrics().text(modelName: "m", process: ProcessUsage.current(), now: 7.5).contains("lora"))
    }
}
