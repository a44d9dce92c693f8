import Foundation
import Inputs
import Plan
import Testing

struct PromptSpecTests {
    /// Writes the files to a new directory, hands it over, removes it.
    static func withModel<Result>(_ files: [String: String], _ body: (String) throws -> Result) throws -> Result {
        let folder = FileManager.default.temporaryDirectory.appending(path: "vlm-spec-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        for (name, text) in files { try Data(text.utf8).write(to: folder.appending(path: name)) }
        return try body(folder.path)
    }

    static let flat = [
        "config.json": #"{"model_type": "qwen2_vl", "vocab_size": 151936, "image_token_id": 151655, "eos_token_id": 151645, "vision_config": {"spatial_merge_size": 2}}"#,
        "preprocessor_config.json": #"{"image_processor_type": "Qwen2VLImageProcessor", "min_pixels": 3136, "max_pixels": 12845056}"#,
        "generation_config.json": #"{"eos_token_id": [151645, 151643], "do_sample": true, "top_k": 1, "temperature": 0.01, "repetition_penalty": 1.05}"#,
    ]

    @Test func theOldLayoutIsRead() throws {
        let spec = try Self.withModel(Self.flat) { try InputSpec(modelDirectory: $0) }
        #expect(spec.vocabularySize == 151_936)
        #expect(spec.imagePlaceholder == .init(text: "<|image_pad|>", tokenID: 151_655, expansion: .mergedGrid(mergeSize: 2)))
        #expect(spec.positions == .mrope(mergeSize: 2))
        #expect(spec.endTokenIDs == [151_645, 151_643])
        #expect(spec.generation == .init(doSample: true, temperature: 0.01, topK: 1, repetitionPenalty: 1.05))
        #expect(spec.imageProcessor?.sizing == .smart(minPixels: 3136, maxPixels: 12_845_056))
    }

    @Test func allTokensAreMinusOneToo() throws {
        var files = Self.flat
        files["generation_config.json"] = #"{"top_k": -1, "max_new_tokens": 128}"#
        #expect(try Self.withModel(files) { try InputSpec(modelDirectory: $0) }.generation == .init(topK: -1, maxNewTokens: 128))
    }

    @Test func theNewLayoutIsRead() throws {
        let files = [
            "config.json": #"{"model_type": "qwen2_vl", "image_token_id": 766, "text_config": {"vocab_size": 768, "eos_token_id": 763}, "vision_config": {}}"#,
            "processor_config.json": #"{"image_processor": {"image_processor_type": "Qwen2VLImageProcessor", "size": {"shortest_edge": 12544, "longest_edge": 28224}}}"#,
        ]
        let spec = try Self.withModel(files) { path in
            try InputSpec(modelDirectory: path) { $0 == 766 ? "<picture>" : nil }
        }
        #expect(spec.endTokenIDs == [763])
        #expect(spec.imagePlaceholder?.text == "<picture>")
        #expect(spec.imageProcessor?.sizing == .smart(minPixels: 12544, maxPixels: 28224))
    }

    @Test func theTypeOfTheModelStandsForThatOfItsProcessor() throws {
        var files = Self.flat
        files["preprocessor_config.json"] = #"{"min_pixels": 3136}"#
        #expect(try Self.withModel(files) { try InputSpec(modelDirectory: $0) }.imageProcessor?.patchSize == 14)
    }

    @Test func aTypeThatIsMissingIsCalledMissing() throws {
        var files = Self.flat
        files["config.json"] = #"{"vocab_size": 9}"#
        let error = try Self.withModel(files) { path in #expect(throws: InputSpecError.self) { try InputSpec(modelDirectory: path) } }
        #expect("\(error, default: "")".contains("is missing"))
    }

    @Test(arguments: [
        (["config.json": nil], "config.json", ""),
        (["preprocessor_config.json": nil], "preprocessor_config.json", ""),
        (["config.json": "{"], "config.json", ""),
        (["config.json": "[]"], "config.json", ""),
        (["config.json": #"{"model_type": "gpt2", "vocab_size": 9}"#], "config.json", "model_type"),
        (["config.json": #"{"vocab_size": 9}"#], "config.json", "model_type"),
        (["config.json": #"{"model_type": 3, "vocab_size": 9}"#], "config.json", "model_type"),
        (["config.json": #"{"model_type": "qwen2_vl"}"#], "config.json", "vocab_size"),
        (["config.json": #"{"model_type": "qwen2_vl", "vocab_size": 9}"#], "config.json", "image_token_id"),
        (["config.json": #"{"model_type": "qwen2_vl", "vocab_size": 9, "image_token_id": 9}"#], "config.json", "image_token_id"),
        (["generation_config.json": #"{"eos_token_id": "x"}"#], "generation_config.json", "eos_token_id"),
    ] as [([String: String?], String, String)])
    func errorsNameTheFileAndTheEntry(_ changes: [String: String?], _ file: String, _ key: String) throws {
        var files = Self.flat
        for (name, text) in changes { files[name] = text }
        try Self.withModel(files) { path in
            do throws(InputSpecError) {
                _ = try InputSpec(modelDirectory: path)
                Issue.record("accepted")
            } catch {
                #expect(error.file == file)
                #expect(error.key == key)
            }
        }
    }
}
