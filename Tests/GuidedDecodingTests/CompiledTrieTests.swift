import GuidedDecoding
import Seeded
import Testing

/// The tree of a vocabulary's texts in the form that artifacts hold.
@Suite struct CompiledTrieTests {
    private static let guides: [Guide] = [.object, .regex("[a-p]{3}(12|é)*"), .choice(["true", "ab\",\"", "日本"])]
    private static let size = TestVocabulary.texts.count + 1

    /// The masks at the start of some guides and behind each token that may come there.
    private func masks(_ trie: TokenTrie) throws -> [[Int32]] {
        try Self.guides.flatMap { guide -> [[Int32]] in
            let guide = TokenGuide(try guide.compiled(), trie)
            func tokens(_ state: GuideState) -> [Int32] {
                let mask = guide.mask(state)
                return (0..<Int32(Self.size)).filter { mask.contains($0) }
            }
            let first = tokens(guide.start)
            return [first] + first.map { tokens(guide.advanced(guide.start, $0)) }
        }
    }

    @Test func whatIsReadIsWhatWasBuilt() throws {
        let bytes = TestVocabulary.trie.compiled
        let read = try #require(TokenTrie(compiled: bytes, vocabularySize: Self.size))
        #expect(read.compiled == bytes)
        let masks = try masks(read)
        #expect(try masks == self.masks(TestVocabulary.trie) && masks.count > 20 && masks.contains { $0.count > 5 })
        #expect(TokenTrie(compiled: bytes, vocabularySize: Self.size + 1) == nil && TokenTrie(compiled: [], vocabularySize: 0) == nil)
    }

    /// Texts that are equal, empty, too long, or the beginning of each other.
    @Test func oddTextsAreRead() throws {
        let texts: [[UInt8]?] = [[0], [0, 0], nil, [], [0], Array(repeating: 7, count: 48), Array(repeating: 7, count: 49), [0xC3, 0xA9], [0xC3], [0]]
        let trie = TokenTrie(vocabularySize: texts.count) { texts[Int($0)] }
        let read = try #require(TokenTrie(compiled: trie.compiled, vocabularySize: texts.count))
        for trie in [trie, read] {
            let guide = TokenGuide(try Guide.regex("[^x]*").compiled(), trie)
            let mask = guide.mask(guide.start)
            #expect((0..<Int32(texts.count)).filter { mask.contains($0) } == [0, 1, 4, 5, 7, 8, 9])
        }
    }

    /// Damage is found, or leaves something over which walks are safe.
    @Test func damagedBytesLeadNobodyAstray() throws {
        let bytes = TestVocabulary.trie.compiled
        for count in stride(from: 0, to: bytes.count, by: 97) { #expect(TokenTrie(compiled: Array(bytes.prefix(count)), vocabularySize: Self.size) == nil) }
        var (dice, refused) = (Dice(5), 0)
        for round in 0..<3000 {
            var damaged = bytes
            for _ in 0...dice.below(3) { damaged[dice.below(round % 2 == 0 ? 64 : bytes.count)] = UInt8(dice.below(256)) }
            if let trie = TokenTrie(compiled: damaged, vocabularySize: Self.size) {
                if round % 16 == 0 { _ = try masks(trie) }
            } else {
                refused += 1
            }
        }
        #expect(refused > 1500)
    }
}
