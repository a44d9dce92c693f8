import Foundation
import HuggingFace
import JSON
import Models
import Plan
import Testing

struct InputSpecTests {
    private static let fixture = Oracle.fixtures + "/qwen2_vl"
    private static let files = [
        "generation_config.json": #"{"eos_token_id": [151645, 151643], "do_sample": true, "top_k": 1, "temperature": 0.01, "repetition_penalty": 1.05}"#
    ]

    private func inputs(_ files: [String: String] = files, tokenText: @escaping (Int32) -> String? = { _ in "<image>" }) throws -> InputSpec {
        var directory = try ModelDirectory(Self.fixture)
        for (name, text) in files { directory = directory.replacing(name, with: try JSONValue(parsing: text)) }
        return try Architectures.definition(for: directory).inputs(TokenNames(text: tokenText, token: { _ in nil }))
    }

    private func edited(_ edit: (inout JSONObject) -> Void) throws -> [String: String] {
        var top = try JSONValue(contentsOf: Self.fixture + "/config.json").objectValue ?? [:]
        edit(&top)
        return ["config.json": JSONValue.object(top).serializedText]
    }

    @Test func readsWhatAllFamiliesHave() throws {
        let spec = try inputs()
        #expect(spec.vocabularySize == 312)
        #expect(spec.image?.prompt.marker == "<image>")
        #expect(spec.positions == .mrope(mergeSize: 2))
        #expect(spec.endTokenIDs == [151_645, 151_643])
        #expect(spec.generation == .init(doSample: true, temperature: 0.01, topK: 1, repetitionPenalty: 1.05))
    }

    @Test func allTokensAreMinusOneToo() throws {
        let spec = try inputs(["generation_config.json": #"{"top_k": -1, "max_new_tokens": 128}"#])
        #expect(spec.generation == .init(topK: -1, maxNewTokens: 128))
    }

    @Test func theTypeOfTheModelStandsForThatOfItsProcessor() throws {
        let spec = try inputs(["processor_config.json": #"{"image_processor": {"min_pixels": 3136}}"#])
        #expect(spec.image?.pixels.patchSize == 14)
        #expect(spec.image?.views[0].fit == .smart(minPixels: 3136, maxPixels: 1_003_520, multiple: 28, growsShortSide: false))
    }

    @Test func errorsNameTheFileAndTheEntry() throws {
        func message(_ files: [String: String]) -> String {
            do {
                _ = try inputs(files)
                return "no error"
            } catch { return "\(error)" }
        }
        let config = Self.fixture + "/config.json: "
        #expect(try message(edited { $0["image_token_id"] = 312 }).hasPrefix(config + "image_token_id is 312, expected 0 to 311"))
        #expect(message(["config.json": "[]"]).hasPrefix(config + "the document is a list"))
        #expect(message(["config.json": #"{"vocab_size": 9}"#]).hasPrefix(config + "names neither"))
        let generation = Self.fixture + "/generation_config.json: "
        #expect(message(["generation_config.json": #"{"eos_token_id": "x"}"#]).hasPrefix(generation + "eos_token_id is a string"))
        #expect(message(["generation_config.json": #"{"top_k": -2}"#]).hasPrefix(generation + "top_k is -2"))
    }

    @Test func aProcessorThatIsMissingIsNamed() throws {
        let directory = try ModelDirectory(FileManager.default.temporaryDirectory.path)
            .replacing("config.json", with: ModelDirectory(Self.fixture).config().json)
        let error = #expect(throws: CheckpointError.self) { _ = try Architectures.definition(for: directory) }
        #expect("\(error, default: "")".contains("preprocessor_config.json: is missing"))
    }
}
