import Foundation
import Testing

/// What real model directories hold, in a copy of the demo model.
@Suite struct DirectoryTests {
    /// Rewrites a JSON file of a directory; a file that is not there is an empty object.
    private func edit(_ file: String, _ change: (inout [String: Any]) -> Void) throws {
        let url = URL(filePath: file)
        var members: [String: Any] = [:]
        if let data = try? Data(contentsOf: url) { members = try #require(JSONSerialization.jsonObject(with: data) as? [String: Any]) }
        change(&members)
        try JSONSerialization.data(withJSONObject: members).write(to: url)
    }

    /// Takes the tokens of pictures out of tokenizer.json and gives them to `body`.
    private func takeVisionTokens(_ model: String, _ body: ([[String: Any]]) throws -> Void) throws {
        var taken: [[String: Any]] = []
        try edit(model + "/tokenizer.json") { members in
            let tokens = members["added_tokens"] as? [[String: Any]] ?? []
            let isText = { (token: [String: Any]) in (token["id"] as? Int).map { $0 < 764 } ?? true }
            members["added_tokens"] = tokens.filter(isText)
            taken = tokens.filter { !isText($0) }
        }
        try body(taken)
    }

    private static let pictureIDs = "[764, 766, 765]\n"

    @Test func tokensOfPicturesMayBeDeclaredBesideTheTokenizer() throws {
        let space = try Workspace()
        let model = try space.copyOfDemo()
        try takeVisionTokens(model) { tokens in
            try edit(model + "/tokenizer_config.json") { members in
                members["added_tokens_decoder"] = Dictionary(uniqueKeysWithValues: tokens.map { ("\($0["id"] ?? 0)", $0) })
            }
        }
        let text = "<|vision_start|><|image_pad|><|vision_end|>\n"
        let artifact = try space.compile(model)
        #expect(try space.vlmc("tokenize", artifact, input: text).output == Self.pictureIDs)

        try FileManager.default.removeItem(atPath: model + "/tokenizer_config.json")
        let refused = try space.vlmc("compile", model)
        #expect(refused.status == 1 && refused.errors.contains("<|image_pad|>"), "\(refused.errors)")
        #expect(refused.errors.contains("tokenizer_config.json (not there), added_tokens.json (not there)"))

        try Data(#"{"<|vision_start|>": 764, "<|vision_end|>": 765, "<|image_pad|>": 766}"#.utf8)
            .write(to: URL(filePath: model + "/added_tokens.json"))
        #expect(try space.vlmc("tokenize", space.compile(model), input: text).output == Self.pictureIDs)
    }
}
