import Inputs
import JSON
import Testing
import ThreadTime

/// Unicode normalization of long runs of combining marks: the right form, in time proportional to the text.
@Suite struct TokenizerNormalizationTests {
    /// A tokenizer that normalizes and then gives one id per byte.
    private func normalizing(_ steps: JSONValue) throws -> Tokenizer {
        var object = try #require(try TextFixture.json("tokenizer/demo.json").objectValue)
        object["normalizer"] = steps
        return try Tokenizer(json: JSONValue.object(object).serialized)
    }

    private func normalized(_ text: String, _ form: String) throws -> [UInt8] {
        let tokenizer = try normalizing(["type": .string(form)])
        let ids = try tokenizer.encode(text, addSpecialTokens: false)
        return Array(try tokenizer.decode(ids, skipSpecialTokens: false).utf8)
    }

    private let low = "\u{316}"
    private let high = "\u{301}"

    @Test func longRunsAreOrderedAndComposed() throws {
        let mixed = "a" + String(repeating: high + low, count: 40) + "\u{1100}\u{1161}\u{11A8}"
        let lows = String(repeating: low, count: 40)
        let composed = "\u{E1}" + lows + String(repeating: high, count: 39) + "\u{AC01}"
        let decomposed = "a" + lows + String(repeating: high, count: 40) + "\u{1100}\u{1161}\u{11A8}"
        #expect(try normalized(mixed, "NFC") == Array(composed.utf8))
        #expect(try normalized(mixed, "NFKC") == Array(composed.utf8))
        #expect(try normalized(mixed, "NFD") == Array(decomposed.utf8))
        #expect(try normalized(mixed, "NFKD") == Array(decomposed.utf8))
    }

    /// Long texts are normalized part by part.
    @Test func partsAreTheWhole() throws {
        let count = 20_000
        let parted = String(repeating: "e\u{301}\u{1100}\u{1161}X", count: count)
        let composed = String(repeating: "\u{E9}\u{AC00}X", count: count)
        #expect(try normalized(parted, "NFC") == Array(composed.utf8))
        #expect(try normalized(composed, "NFD") == Array(parted.utf8))
        #expect(try normalized(parted, "Lowercase") == Array(parted.replacing("X", with: "x").utf8))
        #expect(try normalized(parted, "StripAccents") == Array(String(repeating: "e\u{1100}\u{1161}X", count: count).utf8))
    }

    @Test func aCompositeGoesOnComposing() throws {
        let text = "s\u{307}\u{323}" + String(repeating: "\u{307}", count: 40) + "x"
        #expect(try normalized(text, "NFC") == Array(("\u{1E69}" + String(repeating: "\u{307}", count: 40) + "x").utf8))
    }

    @Test(arguments: ["NFC", "NFD", "NFKC", "NFKD"]) func timeIsLinear(_ form: String) throws {
        let tokenizer = try normalizing(["type": .string(form)])
        let text = "a" + String(repeating: low + high, count: 65_000)
        let time = try threadTime { _ = try tokenizer.encode(text, addSpecialTokens: false) }
        #expect(time < .seconds(3), "\(time)")
    }
}
