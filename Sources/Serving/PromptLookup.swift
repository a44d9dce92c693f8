/// Guesses how a sequence goes on: as it went on where the tokens that it ends in stood before. Nothing is computed for a guess (Saxena,
/// "Prompt Lookup Decoding", 2023; vLLM's speculative model `[ngram]`).
package struct PromptLookup: Sendable, Equatable {
    /// Most tokens that are guessed at once, at least 1.
    package let count: Int
    /// How many of the last tokens must have stood there before, at least 1: of the runs that have, the longest decides.
    package let runs: ClosedRange<Int>

    /// Nil for numbers below 1.
    package init?(count: Int, runs: ClosedRange<Int>) {
        guard count >= 1, runs.lowerBound >= 1 else { return nil }
        self.count = count
        self.runs = runs
    }

    /// So many tokens, each the one that stands `distance` places before it, which may be a guessed one.
    package struct Guess: Sendable, Equatable {
        package var count: Int
        package let distance: Int
    }

    /// What may follow `tokens`; nil where their last ones stood nowhere before. Where they stood several times the first counts, behind which there is
    /// most.
    ///
    /// - Parameter images: places whose tokens stand for no text, ascending and disjoint. Neither runs nor what is guessed have any of them.
    package func guess(behind tokens: [Int32], outside images: [Range<Int>] = []) -> Guess? {
        let most = min(runs.upperBound, tokens.count - (images.last?.upperBound ?? 0))
        guard most >= runs.lowerBound else { return nil }
        return tokens.withUnsafeBufferPointer { tokens in
            var (longest, found) = (runs.lowerBound - 1, Guess?.none)
            var first = 0
            for index in 0...images.count {
                let isLast = index == images.count
                let end = isLast ? tokens.count : images[index].lowerBound
                for place in first..<max(first, end - 1) where tokens[place] == tokens[tokens.count - 1] {
                    let length = run(endingAt: place, in: tokens[first...], most: most)
                    guard length > longest else { continue }
                    // What is guessed from the last text goes on in itself.
                    found = Guess(count: isLast ? count : min(count, end - place - 1), distance: tokens.count - place - 1)
                    longest = length
                    if length == most { return found }
                }
                if !isLast { first = images[index].upperBound }
            }
            return found
        }
    }

    /// How many tokens up to `place` are those that `text` ends in.
    private func run(endingAt place: Int, in text: Slice<UnsafeBufferPointer<Int32>>, most: Int) -> Int {
        var length = 1
        while length < most, place - length >= text.startIndex, text[place - length] == text[text.endIndex - 1 - length] { length += 1 }
        return length
    }
}
