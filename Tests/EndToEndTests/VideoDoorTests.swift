import Foundation
import JSON
import LoopbackSite
import Testing
import VLMRuntime

/// One video through every way that leads to a model, and from a site.
@Suite struct VideoDoorTests {
    private static let families = Workspace.repository.appending(path: "Tests/Families")
    private static let clip = families.appending(path: "Videos/_media/clip.mp4")
    private static let question = "12 or 5?"

    private static func artifact(_ space: Workspace) throws -> String {
        let model = space.path("model")
        try FileManager.default.copyItem(atPath: families.appending(path: "Fixtures/qwen2_vl").path, toPath: model)
        let processor = try Data(contentsOf: families.appending(path: "Videos/qwen2_vl.clip/processor_config.json"))
        try processor.write(to: URL(fileURLWithPath: "\(model)/processor_config.json"))
        return try space.compile(model, "--precision", "exact")
    }

    private static func part(_ url: String) -> JSONValue { ["type": "video_url", "video_url": ["url": .string(url)]] }

    private static func body(_ part: JSONValue) -> JSONValue {
        ["model": "m", "temperature": 0, "max_tokens": 8, "messages": [["role": "user", "content": [part, ["type": "text", "text": .string(question)]]]]]
    }

    private static func post(_ server: Server, _ path: String, _ body: JSONValue) async throws -> JSONValue {
        try await JSONValue(parsing: Array(server.post(path, Data(body.serialized))))
    }

    private static func dataURL() throws -> String { "data:video/mp4;base64,\(try Data(contentsOf: clip).base64EncodedString())" }

    private static func text(_ chat: JSONValue) -> String? { chat["choices"]?[0]?["message"]?["content"]?.stringValue }

    @Test func everyDoorGivesTheSameAnswer() async throws {
        let space = try Workspace()
        let artifact = try Self.artifact(space)
        let server = try Server(artifact, "--served-model-name", "m")
        let url = try Self.dataURL()
        let chat = try await Self.post(server, "/v1/chat/completions", Self.body(Self.part(url)))
        let expected = try #require(Self.text(chat))
        let tokens = chat["usage"]?["prompt_tokens"]?.intValue ?? 0
        let run = try Command("vlmc", ["run", artifact, Self.question, "--video", Self.clip.path, "--max-tokens", "8"]).run()
        #expect(run.status == 0 && run.output == expected + "\n", "\(run.errors)")
        let more = try Command("vlmc", ["run", artifact, Self.question, "--video", Self.clip.path, "--max-tokens", "8", "--num-frames", "8", "--json"]).run()
        #expect(try JSONValue(parsing: Array(more.output.utf8))["prompt_tokens"]?.intValue ?? 0 > tokens, "\(more.errors)")
        let spoken = try space.vlmc("run", artifact, "--interactive", "--max-tokens", "8", input: "/video \(Self.clip.path)\n\(Self.question)\n")
        #expect(spoken.output == expected + "\n", "\(spoken.errors)")
        let model = try await loadModelContainer(directory: URL(fileURLWithPath: artifact))
        let greedy = GenerateParameters(maxTokens: 8, temperature: 0)
        let answer = try await GenerateResult(model.generate(prompt: Self.question, videos: [.url(Self.clip)], parameters: greedy))
        #expect(model.takesVideos && answer.text == expected && answer.info.promptTokenCount == tokens)
        let item: JSONValue = ["type": "input_video", "video_url": .string(url)]
        let input: JSONValue = [["role": "user", "content": [item, ["type": "input_text", "text": .string(Self.question)]]]]
        let response = try await Self.post(server, "/v1/responses", ["model": "m", "temperature": 0, "max_output_tokens": 8, "input": input])
        #expect(response["output"]?.arrayValue?.last?["content"]?[0]?["text"]?.stringValue == expected, "\(response.serializedText)")
        let messages = try await Self.post(server, "/v1/messages", Self.body(["type": "video", "source": ["type": "url", "url": "http://x/"]]))
        #expect(messages["error"]?["message"] == "messages[0].content[0]: the Messages API has no videos; send them to /v1/chat/completions or /v1/responses")
        #expect(server.stop() == 0)
        let line: JSONValue = ["custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": Self.body(Self.part(url))]
        try Data(line.serialized + [10]).write(to: URL(fileURLWithPath: space.path("in.jsonl")))
        let batch = try Command("vlm-serve", ["run-batch", "-i", space.path("in.jsonl"), "-o", space.path("out.jsonl"), artifact, "--served-model-name", "m"]).run()
        let result = try JSONValue(parsing: Array(Data(contentsOf: URL(fileURLWithPath: space.path("out.jsonl")))))
        #expect(batch.status == 0 && result["response"]?["body"].flatMap(Self.text) == expected, "\(batch.errors)")
    }

    @Test func whatIsNoVideoIsToldByTheLibrary() async throws {
        let space = try Workspace()
        let artifact = URL(fileURLWithPath: try Self.artifact(space))
        let model = try await loadModelContainer(directory: artifact)
        func refusal(_ video: UserInput.Video) async -> String {
            do throws(ModelError) { _ = try await model.generate(prompt: "x", videos: [video]) } catch { return "\(error)" }
            return "none"
        }
        #expect(await refusal(.data(Data("no video".utf8))).hasPrefix("chat[0].videos[0]: the video is no file of a kind that is decoded"))
        #expect(await refusal(.url(URL(fileURLWithPath: space.path("nowhere.mp4")))).contains("nowhere.mp4"))
        #expect(await refusal(.url(Self.clip, framesPerSecond: 0)).contains("fps must be a number above 0"))
        #expect(await refusal(.url(Self.clip, frameCount: 40)).hasSuffix("has 23 frames, and 40 are asked for (num_frames)"))
        #expect(await refusal(.frames([])) == "chat[0].videos[0]: the video has no frames")
        var options = VLMRuntime.ModelOptions()
        options.videoProgram = URL(fileURLWithPath: "/nowhere/vlm-video-frames")
        let other = try await loadModelContainer(directory: artifact, options: options)
        await #expect(throws: ModelError.self) { try await other.generate(prompt: "x", videos: [.url(Self.clip)]) }
    }

    @Test func inputsOfVideosAreWritten() throws {
        let space = try Workspace()
        let artifact = try Self.artifact(space)
        let frames = (0..<5).map { JSONValue.string(Self.families.appending(path: "Videos/_media/frame\($0).png").path) }
        let messages: JSONValue = [
            ["role": "user", "content": [
                ["type": "video", "video": .string(Self.clip.path), "num_frames": 4], ["type": "video", "video": .array(frames)],
                ["type": "text", "text": .string(Self.question)],
            ]]
        ]
        try Data(messages.serialized).write(to: URL(fileURLWithPath: space.path("messages.json")))
        let outcome = try space.vlmc("inputs", artifact, "--messages", space.path("messages.json"), "-o", space.path("out.safetensors"))
        #expect(outcome.status == 0, "\(outcome.errors)")
        let file = Array(try Data(contentsOf: URL(fileURLWithPath: space.path("out.safetensors"))))
        let length = file.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        let header = try JSONValue(parsing: Array(file[8..<8 + length]))
        #expect(header["video_grid_thw"]?["shape"] == [2, 3] && header["pixel_values_videos"] != nil && header["pixel_values"] == nil)
    }

    /// Videos by address obey the rules of images by address.
    @Test func videosComeFromSitesThatAreAllowed() async throws {
        let space = try Workspace()
        let artifact = try Self.artifact(space)
        let file = Array(try Data(contentsOf: Self.clip))
        let slow: [LoopbackSite.Piece] = [.text("HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n"), .bytes(Array(file.prefix(1000))), .hold]
        let site = try LoopbackSite([
            "/clip.mp4": LoopbackSite.file(file), "/slow.mp4": slow, "/long.mp4": LoopbackSite.file(file + [UInt8](repeating: 0, count: 40_000)),
            "/text": LoopbackSite.file(Array("hello".utf8)), "/away": LoopbackSite.redirect("http://127.0.0.1:1/clip.mp4"),
        ])
        let server = try Server(
            artifact, "--served-model-name", "m", "--allowed-media-domains", "127.0.0.1", "--allow-private-media-addresses", "--image-fetch-timeout", "4",
            "--max-body-bytes", "20000")
        let here = "http://127.0.0.1:\(site.port)"
        let sent = try await Self.post(server, "/v1/chat/completions", Self.body(Self.part(Self.dataURL())))
        let fetched = try await Self.post(server, "/v1/chat/completions", Self.body(Self.part("\(here)/clip.mp4")))
        #expect(Self.text(fetched) == Self.text(sent) && Self.text(sent) != nil, "\(fetched.serializedText)")
        let frames: JSONValue = ["type": "video", "video": [.string("\(here)/clip.mp4")]]
        for (part, words) in [
            (Self.part("\(here)/none"), "the URL's host answers with the status 404"), (Self.part("\(here)/slow.mp4"), "takes more than 4 s (--image-fetch-timeout)"),
            (Self.part("\(here)/long.mp4"), "20000 bytes"), (Self.part("\(here)/text"), "the video is no file of a kind that is decoded"),
            (Self.part("\(here)/away"), "the URL"), (Self.part("http://localhost:\(site.port)/clip.mp4"), "the URL's host is not one"),
            (Self.part("file://\(Self.clip.path)"), "are not read from files"), (frames, "the image is not a JPEG"),
        ] {
            let began = ContinuousClock.now
            let message = try await Self.post(server, "/v1/chat/completions", Self.body(part))["error"]?["message"]?.stringValue ?? "none"
            #expect(message.hasPrefix("messages[0].content[0]: ") && message.contains(words), "\(words): \(message)")
            #expect(ContinuousClock.now - began < .seconds(30))
        }
        #expect(server.stop() == 0)
        site.close()
    }
}
