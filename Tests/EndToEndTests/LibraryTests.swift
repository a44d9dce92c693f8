import Foundation
import JSON
import Testing
import VLMRuntime

/// The library through its public declarations, beside what servers and programs say of the same artifact.
@Suite struct LibraryTests {
    private static let samples = Workspace.repository.appending(path: "Artifacts/Demo/samples")
    private static let greedy = GenerateParameters(maxTokens: 48, temperature: 0, logprobs: 0)

    private static func sample(_ name: String) -> UserInput.Image { .url(samples.appending(path: name)) }

    private func model(_ space: Workspace) async throws -> ModelContainer {
        try await loadModelContainer(directory: URL(fileURLWithPath: space.compile(Workspace.demoModel, "--precision", "exact")))
    }

    @Test func answersAreThoseOfServerAndProgram() async throws {
        let space = try Workspace()
        let artifact = try space.compile(Workspace.demoModel, "--precision", "exact")
        let server = try Server(artifact)
        let model = try await loadModelContainer(directory: URL(fileURLWithPath: artifact))
        for (name, question) in [("shapes-three.png", "Describe the image."), ("shapes-two.jpg", "What do you see?"), (nil, "Hello!")] {
            let files = [name].compactMap { $0 }.map { Self.samples.appending(path: $0) }
            let body: [String: Any] = [
                "model": "model", "temperature": 0, "max_tokens": 48, "return_token_ids": true,
                "messages": [["role": "user", "content": Server.content(question, try files.map { try Data(contentsOf: $0) }, questionFirst: false)]],
            ]
            let json = try await JSONValue(parsing: Array(server.chat(JSONSerialization.data(withJSONObject: body))))
            let choice = json["choices"]?[0]
            let answer = try await GenerateResult(model.generate(prompt: question, images: files.map { .url($0) }, parameters: Self.greedy))
            #expect(answer.text == choice?["message"]?["content"]?.stringValue && answer.text.count > 3)
            #expect(answer.tokens.map(\.chosen.token) == choice?["token_ids"]?.arrayValue?.compactMap(\.intValue))
            #expect(answer.info.promptTokenCount == json["usage"]?["prompt_tokens"]?.intValue)
            #expect(answer.info.generationTokenCount == answer.tokens.count && answer.info.stopReason == .stop)
            #expect((answer.info.imageTokenCount > 0) == (name != nil))
            let run = try Command("vlmc", ["run", artifact, question, "--max-tokens", "48"] + files.flatMap { ["--image", $0.path] }).run()
            #expect(run.output == answer.text + "\n" && run.status == 0, "\(run.errors)")
        }
        #expect(server.stop() == 0)
    }

    @Test func leavingTheLoopEndsTheRequestAndFreesItsMemory() async throws {
        let space = try Workspace()
        let model = try await model(space)
        let long = GenerateParameters(maxTokens: 3000, minTokens: 3000, temperature: 1, seed: 7)
        for _ in 0..<4 {
            let first = try await model.generate(prompt: "Hello!", parameters: long)
            let second = try await model.generate(prompt: "What do you see?", parameters: long)
            for try await _ in first {
                for try await piece in second {
                    #expect(piece.chunk?.isEmpty == false)
                    // Both run at once, which is told behind each step.
                    for _ in 0..<1000 where model.load.running != 2 { try await Task.sleep(for: .milliseconds(1)) }
                    #expect(model.load.running == 2 && model.load.kvCacheUsage > 0)
                    break
                }
                break
            }
        }
        let left = ContinuousClock.now
        while model.load.running + model.load.waiting > 0 || model.load.kvCacheUsage > 0 { try await Task.sleep(for: .milliseconds(1)) }
        let freed = ContinuousClock.now - left
        let whole = try await GenerateResult(model.generate(prompt: "Hello!", parameters: long)).info
        #expect(whole.generationTokenCount == 3000 && whole.stopReason == .length)
        // An answer that had only just begun would have gone on as long.
        #expect(freed < whole.generateTime / 4, "\(freed) and \(whole.generateTime)")
    }

    @Test func aCancelledTaskEndsItsRequest() async throws {
        let space = try Workspace()
        let model = try await model(space)
        let task = Task {
            let stream = try await model.generate(prompt: "Hello!", parameters: GenerateParameters(maxTokens: 3000, minTokens: 3000))
            return try await GenerateResult(stream).text
        }
        while model.load.running == 0 { try await Task.sleep(for: .milliseconds(1)) }
        task.cancel()
        await #expect(throws: ModelError.cancelled) { try await task.value }
        while model.load.running > 0 || model.load.kvCacheUsage > 0 { try await Task.sleep(for: .milliseconds(1)) }
        await model.stop()
        await #expect(throws: ModelError.cancelled) { try await model.generate(prompt: "Hello!") }
    }

    /// More requests than run at once, one of them with a file that is no image, answer what each answers alone.
    @Test func batchesAnswerWhatEachAnswersAlone() async throws {
        let space = try Workspace()
        let model = try await model(space)
        let names = ["shapes-three.png", "shapes-two.jpg", "shapes-color.jpg", "text-word.png"]
        #expect(names.count >= 3)
        var inputs = (0..<5).flatMap { _ in names.map { UserInput(prompt: "What do you see?", images: [Self.sample($0)]) } }
        inputs.append(UserInput(prompt: "What do you see?", images: [.data(Data("no image".utf8))]))
        let results = await model.generate(batch: inputs, parameters: Self.greedy)
        #expect(results.count == inputs.count && inputs.count > 2 * model.maxSequences)
        for (input, result) in zip(inputs, results).dropLast() {
            let alone = try await GenerateResult(model.generate(input: input, parameters: Self.greedy))
            #expect(try result.get().tokens == alone.tokens && !alone.tokens.isEmpty)
        }
        guard case .failure(.input(let message)) = results.last else {
            Issue.record("a file that is no image is answered")
            return
        }
        #expect(message.hasPrefix("chat[0].images[0]: "))
    }

    @Test func whatCannotBeIsThrown() async throws {
        let space = try Workspace()
        let model = try await model(space)
        func refusal(_ input: UserInput, _ parameters: GenerateParameters = GenerateParameters()) async -> String {
            do throws(ModelError) { _ = try await model.generate(input: input, parameters: parameters) } catch { return "\(error)" }
            return "none"
        }
        let cut = try Data(contentsOf: Self.samples.appending(path: "shapes-three.png")).prefix(200)
        #expect(await refusal(UserInput(prompt: "x", images: [.data(Data(cut))])).hasPrefix("chat[0].images[0]: "))
        #expect(await refusal(UserInput(prompt: "x", images: [.data(Data())])).hasPrefix("chat[0].images[0]: "))
        #expect(await refusal(UserInput(prompt: "x", images: [.url(URL(fileURLWithPath: space.path("nowhere.png")))])).contains("nowhere.png"))
        #expect(await refusal(UserInput(prompt: "x", images: [.url(URL(string: "http://127.0.0.1/a.png")!)])).contains("is no file"))
        #expect(await refusal(UserInput(chat: [])) == "the conversation has no messages")
        #expect(await refusal(UserInput(prompt: String(repeating: "word ", count: 50_000))).contains("the model's context holds"))
        #expect(await refusal(UserInput(prompt: "x"), GenerateParameters(temperature: -1)) == "temperature must be at least 0, not -1.0")
        #expect(await refusal(UserInput(prompt: "x"), GenerateParameters(topP: 0)) == "topP must be above 0 and at most 1, not 0.0")
        #expect(await refusal(UserInput(prompt: "x"), GenerateParameters(maxTokens: 0)) == "maxTokens must be at least 1, not 0")
        #expect(await refusal(UserInput(prompt: "x"), GenerateParameters(logprobs: 21)) == "logprobs must be at least 0 and at most 20, not 21")
        await #expect(throws: ModelError.self) { try await loadModelContainer(directory: space.url) }
        var options = ModelOptions()
        options.maxSequences = 1 << 20
        let directory = URL(fileURLWithPath: try space.compile(Workspace.demoModel))
        await #expect { try await loadModelContainer(directory: directory, options: options) } throws: { error in
            if case ModelError.options = error { true } else { false }
        }
    }

    /// Beside what transformers' vision tower makes of the two images.
    @Test func embeddingsAreThoseOfTransformers() async throws {
        let space = try Workspace()
        let model = try await model(space)
        let record = Workspace.fixtures.appending(path: "demo_reference/two_pictures")
        let expected = try Tensor("image_features", in: record.appending(path: "expected.safetensors"))
        let images = ["image.png", "image2.png"].map { UserInput.Image.url(record.appending(path: $0)) }
        for _ in 0..<2 {
            let found = try await model.imageEmbeddings(of: images)
            #expect(found.map(\.rows).reduce(0, +) == expected.shape[0] && found.allSatisfy { $0.width == expected.shape[1] })
            let values = found.flatMap(\.values)
            #expect(values.count == expected.values.count && zip(values, expected.values).allSatisfy { abs($0 - $1) < 1e-3 })
        }
        await #expect(throws: ModelError.self) { try await model.imageEmbeddings(of: [.data(Data("no image".utf8))]) }
    }

    /// In a prompt of the library, and as a part of a request in each of its forms; damaged ones are refused by the field's name.
    @Test func embeddingsStandForTheirImages() async throws {
        let space = try Workspace()
        let artifact = try space.compile(Workspace.demoModel, "--precision", "exact")
        let model = try await loadModelContainer(directory: URL(fileURLWithPath: artifact))
        let server = try Server(artifact)
        let image = Self.sample("shapes-three.png")
        let expected = try await GenerateResult(model.generate(prompt: "Describe the image.", images: [image], parameters: Self.greedy))
        let embeddings = try await model.imageEmbeddings(of: [image])[0]
        let again = try await GenerateResult(model.generate(prompt: "Describe the image.", images: [.embeddings(embeddings)], parameters: Self.greedy))
        #expect(again.tokens == expected.tokens && expected.text.hasPrefix("A large orange triangle"))
        #expect(again.info.imageTokenCount == embeddings.rows)

        let data = embeddings.values.withUnsafeBytes { Data($0) }
        let file = Self.file(embeddings, at: "0,\(data.count)")
        let shape = [embeddings.rows, embeddings.width]
        let raw: [String: Any] = ["data": data.base64EncodedString(), "shape": shape]
        func ask(_ embeds: Any, _ more: [String: Any] = ["image_size": [224, 168]]) async throws -> JSONValue {
            var part: [String: Any] = ["type": "image_embeds", "image_embeds": embeds]
            part.merge(more) { $1 }
            let body: [String: Any] = [
                "model": "model", "temperature": 0, "max_tokens": 48,
                "messages": [["role": "user", "content": [part, ["type": "text", "text": "Describe the image."]]]],
            ]
            return try await JSONValue(parsing: Array(server.chat(JSONSerialization.data(withJSONObject: body))))
        }
        // Patches of 14, four to a token.
        let sides = (1...embeddings.rows).filter { embeddings.rows % $0 == 0 }
        var answers = 0, sound: [Int] = []
        for side in sides {
            let more = ["image_grid_thw": [1, 2 * side, 2 * embeddings.rows / side]]
            for embeds in [raw, file.base64EncodedString()] as [Any] {
                let json = try await ask(embeds, more)
                if json["choices"]?[0]?["message"]?["content"]?.stringValue == expected.text { (answers, sound) = (answers + 1, more["image_grid_thw"] ?? []) }
            }
        }
        #expect(answers >= 2)
        try #require(sound.count == 3)
        var wild = [UInt8](data)
        wild.replaceSubrange(0..<4, with: [0, 0, 0x80, 0x7F])
        let grid = ["image_grid_thw": [1, 2, 2 * embeddings.rows]]
        let cases: [(Any, [String: Any], String)] = [
            (["data": "!", "shape": shape], grid, "is no base64"), (["data": raw["data"] ?? "", "shape": [1, 7]], grid, "bytes of data"),
            (["data": raw["data"] ?? "", "shape": [embeddings.width, embeddings.rows]], grid, "rows are given"),
            (["data": raw["data"] ?? "", "shape": [embeddings.rows / 2, 2 * embeddings.width]], ["image_grid_thw": [1, sound[1] / 2, sound[2]]], "the model's have 256"),
            (["data": Data(wild).base64EncodedString(), "shape": shape], grid, "no finite number"), (Data("PK".utf8).base64EncodedString(), grid, "a pickle"),
            (file.prefix(60).base64EncodedString(), grid, "no safetensors file"), (raw, ["image_grid_thw": [1, 3, 5]], "makes no grid"),
            (raw, ["image_grid_thw": [2, 2, 2]], "image_grid_thw must be"), (raw, ["image_size": [0, 1 << 40]], "image_size must be"), 
            (["data": raw["data"] ?? "", "shape": [2 * embeddings.rows, embeddings.width / 2]], [:], "rows are given"), (raw, ["image_grid_thw": sound + [1]], "image_grid_thw must be"),
            (7, grid, "base64 or an object"),
        ] + ["1,\(Int.min)", "\(Int.max),\(Int.min)", "-4,\(data.count - 4)", "4,\(data.count + 4)", "0"].map {
            (Self.file(embeddings, at: $0).base64EncodedString(), grid, "is no safetensors file: ")
        }
        for (embeds, more, words) in cases {
            let error = try await ask(embeds, more)["error"]
            #expect(error?["message"]?.stringValue?.contains(words) == true, "\(error ?? .null)")
            #expect(error?["type"] == "invalid_request_error" && error?["param"]?.stringValue?.hasPrefix("messages") == true)
        }
        #expect(server.stop() == 0)
    }

    /// A file of safetensors with these data_offsets.
    private static func file(_ embeddings: ImageEmbeddings, at offsets: String) -> Data {
        let header = Data(#"{"x":{"dtype":"F32","shape":[1,\#(embeddings.rows),\#(embeddings.width)],"data_offsets":[\#(offsets)]}}"#.utf8)
        return withUnsafeBytes(of: UInt64(header.count).littleEndian) { Data($0) } + header + embeddings.values.withUnsafeBytes { Data($0) }
    }

    /// Of a file of safetensors.
    private struct Tensor {
        var shape: [Int]
        var values: [Float]

        init(_ name: String, in file: URL) throws {
            let data = try Data(contentsOf: file)
            let length = data.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
            let entry = try #require(try JSONValue(parsing: Array(data[8..<8 + length]))[name])
            shape = entry["shape"]?.arrayValue?.compactMap(\.intValue) ?? []
            let range = entry["data_offsets"]?.arrayValue?.compactMap(\.intValue) ?? []
            let bytes = Array(data[(8 + length + range[0])..<(8 + length + range[1])])
            values = bytes.withUnsafeBytes { bytes in stride(from: 0, to: bytes.count, by: 4).map { bytes.loadUnaligned(fromByteOffset: $0, as: Float.self) } }
        }
    }

    @Test func conversationsRemember() async throws {
        let space = try Workspace()
        let model = try await model(space)
        var parameters = Self.greedy
        parameters.minTokens = 6
        let instructions = String(repeating: "Look at shapes and colors. ", count: 8)
        let chat = ChatSession(model, instructions: instructions, generateParameters: parameters)
        let first = try await chat.respond(to: "What do you see?", images: [Self.sample("shapes-two.jpg")])
        var text = ""
        var cached: Int?
        for try await piece in try await chat.streamDetails(to: "Describe the image.") {
            text += piece.chunk ?? ""
            cached = piece.info?.cachedTokenCount ?? cached
            if piece.chunk != nil { await #expect(throws: ModelError.self) { try await chat.respond(to: "At once?") } }
        }
        #expect(chat.messages.map(\.content) == ["What do you see?", first, "Describe the image.", text])
        #expect(cached ?? 0 >= 64, "what was said is not computed again")
        await #expect(throws: ModelError.self) { try await chat.respond(to: "And this?", images: [.data(Data([1, 2, 3]))]) }
        #expect(chat.messages.count == 4)
        for try await _ in try await chat.streamResponse(to: "What do you see?") { break }
        #expect(chat.messages.count == 6 && chat.messages[5].content.count > 0)
        chat.clear()
        #expect(try await chat.respond(to: "What do you see?", images: [Self.sample("shapes-two.jpg")]) == first)
    }

    /// The document shows the program that is compiled.
    @Test func theExampleRuns() throws {
        let space = try Workspace()
        let source = try String(contentsOf: Workspace.repository.appending(path: "Tests/Examples/Library/main.swift"), encoding: .utf8)
        let document = try String(contentsOf: Workspace.repository.appending(path: "docs/library.md"), encoding: .utf8)
        #expect(document.contains("```swift\n\(source)```"))
        let images = ["shapes-three.png", "shapes-two.jpg"].map { Self.samples.appending(path: $0).path }
        let outcome = try Command("library-example", [space.compile(Workspace.demoModel)] + images).run()
        let lines = outcome.output.split(separator: "\n").map(String.init)
        #expect(outcome.status == 0 && lines.count == 8, "\(outcome.output)\(outcome.errors)")
        #expect(lines.first?.hasPrefix("A large orange triangle at the top left") == true)
        #expect(lines.dropFirst().first?.hasSuffix("tokens, ended by stop") == true)
        #expect(lines.suffix(2).allSatisfy { $0.contains(" rows of 256") }, "\(lines)")
    }
}
