import Seeded
import Serving
import Testing

/// What is guessed, by the tokens that stood before.
@Suite struct PromptLookupTests {
    private func guessed(_ tokens: [Int32], _ count: Int, _ runs: ClosedRange<Int>, images: [Range<Int>] = []) throws -> [Int32] {
        let lookup = try #require(PromptLookup(count: count, runs: runs))
        guard let guess = lookup.guess(behind: tokens, outside: images) else { return [] }
        return (0..<guess.count).map { tokens[tokens.count - guess.distance + $0 % guess.distance] }
    }

    @Test func goesOnAsItWentOnBefore() throws {
        #expect(try guessed([1, 2, 3, 4, 5, 1, 2], 2, 1...2) == [3, 4])
        #expect(try guessed([1, 2, 3, 4, 5, 9, 2], 2, 2...3) == [], "a run of one is too short")
        #expect(try guessed([1, 2, 3, 4, 5, 9, 2], 2, 1...3) == [3, 4])
        #expect(try guessed([5, 2, 7, 1, 2, 8, 1, 2], 1, 1...3) == [8], "the longer run decides")
        #expect(try guessed([1, 2, 7, 1, 2, 8, 1, 2], 1, 1...2) == [7], "of equal ones the first does")
        #expect(try guessed([1, 2, 7, 1, 2, 8, 1, 2], 1, 1...1) == [7])
        #expect(try guessed([1, 2, 3], 4, 1...3) == [])
        #expect(try guessed([1], 4, 1...3) == [])
        #expect(try guessed([], 4, 1...3) == [])
    }

    /// What follows may be what is guessed.
    @Test func repetitionsGoOn() throws {
        #expect(try guessed([1, 4, 4], 5, 1...3) == [4, 4, 4, 4, 4])
        #expect(try guessed([9, 1, 2, 3, 1, 2], 7, 2...4) == [3, 1, 2, 3, 1, 2, 3])
    }

    /// Tokens that stand for images are neither looked for nor guessed.
    @Test func imagesAreNoText() throws {
        let tokens: [Int32] = [1, 2, 60, 60, 3, 1, 2]
        #expect(try guessed(tokens, 3, 1...4) == [60, 60, 3])
        #expect(try guessed(tokens, 3, 1...4, images: [2..<4]) == [])
        #expect(try guessed([1, 2, 7, 60, 60, 3, 1, 2], 3, 1...4, images: [3..<5]) == [7], "nothing is guessed behind the image")
        #expect(try guessed([60, 5, 9, 60, 5], 1, 1...4, images: [0..<1, 3..<4]) == [9])
        #expect(try guessed([60, 5, 9, 60, 5], 1, 2...4, images: [0..<1, 3..<4]) == [], "a run has no image in it")
        #expect(try guessed([60, 60], 1, 1...4, images: [0..<2]) == [])
        #expect(try guessed([60, 60, 60, 4], 1, 1...4, images: [0..<1, 1..<3]) == [])
    }

    /// The rule of vLLM's `NGramWorker`: of the runs from the longest to the shortest the first place of the first that is found.
    @Test func isWhatTheDefinitionSays() throws {
        var dice = Dice(4)
        for _ in 0..<3000 {
            let tokens = (0..<dice.below(24)).map { _ in Int32(dice.below(4)) }
            let most = 1 + dice.below(5), least = 1 + dice.below(most)
            var expected: [Int32] = []
            for size in stride(from: min(most, tokens.count - 1), through: least, by: -1) where expected.isEmpty {
                guard let start = (0..<tokens.count - size).first(where: { Array(tokens[$0..<$0 + size]) == Array(tokens.suffix(size)) })
                else { continue }
                expected = Array(tokens[(start + size)...].prefix(3))
            }
            #expect(try Array(guessed(tokens, 3, least...most).prefix(expected.count)) == expected, "\(tokens), \(least)…\(most)")
            if expected.isEmpty { #expect(try guessed(tokens, 3, least...most) == []) }
        }
    }

    @Test func numbersBelowOneAreNone() {
        #expect(PromptLookup(count: 0, runs: 1...2) == nil && PromptLookup(count: 1, runs: 0...2) == nil)
    }
}
