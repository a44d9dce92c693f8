import Inputs
import JSON
import Testing

/// Tokens one by one, as log probabilities show them.
@Suite struct TokenBytesTests {
    /// Spaces at the ends of a text are what decoding drops.
    private func trimmed(_ bytes: [UInt8]) -> [UInt8] {
        Array(bytes.drop { $0 == 0x20 }.reversed().drop { $0 == 0x20 }.reversed())
    }

    /// The bytes of the tokens of a text are the text.
    @Test(arguments: TokenizerParityTests.kinds) func tokensMakeUpTheirText(_ kind: String) throws {
        let tokenizer = try TextFixture.tokenizer(kind)
        let rows = try #require(try TextFixture.json("tokenizer/\(kind).cases.json").arrayValue)
        var compared = 0
        for row in rows {
            let ids = row["ids"]?.arrayValue?.compactMap(\.intValue).map { Int32($0) } ?? []
            guard let full = row["full"]?.stringValue ?? row["text"]?.stringValue, !full.unicodeScalars.contains("\u{FFFD}") else { continue }
            compared += 1
            #expect(trimmed(ids.flatMap(tokenizer.bytes)) == trimmed(Array(full.utf8)), "\(ids) of \(full.debugDescription)")
        }
        #expect(compared > 100)
    }

    @Test func partsOfCharactersAreBytes() throws {
        let tokenizer = try TextFixture.tokenizer("qwen2")
        let ids = try tokenizer.encode("日本🙂 x", addSpecialTokens: false)
        #expect(ids.flatMap(tokenizer.bytes) == Array("日本🙂 x".utf8))
        #expect(tokenizer.bytes(of: 279) == Array(" the".utf8) && tokenizer.bytes(of: 151_655) == Array("<|image_pad|>".utf8))
        #expect(tokenizer.bytes(of: -1) == [] && tokenizer.bytes(of: 1 << 30) == [])
    }
}
