package import Plan

/// One step's work.
package struct Batch: Sendable {
    package struct Item: Sendable {
        /// Index into the scheduler's `running`.
        package var index: Int
        package var id: Int
        /// First token to compute.
        package var start: Int
        package var count: Int
        /// Tokens whose logits are wanted, by place in the sequence: some of those to compute, or none, then behind them.
        package var logits: Range<Int>
        /// Whether the next token follows from the last of them.
        package var samples: Bool
        /// Whether the token that they would yield is known: a decode step of a sequence that begins anew.
        package var isReplay: Bool
        /// How many of the last tokens are guessed: another token follows from the logits of each, if it comes true.
        package private(set) var guessed = 0

        package init(index: Int, id: Int, start: Int, count: Int, logits: Range<Int>, samples: Bool, isReplay: Bool = false) {
            self.logits = logits
            self.isReplay = isReplay
            self.index = index
            self.id = id
            self.start = start
            self.count = count
            self.samples = samples
        }

        /// The last token that is known, from whose logits the next one follows where the item samples.
        package var lastKnown: Int { logits.upperBound - 1 - guessed }

        /// Computes tokens behind the last known one as well, with their logits.
        package mutating func addGuess(_ count: Int) {
            guessed += count
            self.count += count
            logits = logits.lowerBound..<logits.upperBound + count
        }

        /// Whether these are the last logits that are wanted of the tokens; else they are computed again for others.
        package var isWhole: Bool { logits.upperBound == start + count }
    }
    package var entry: Entry = .extend
    package var items: [Item] = []

    package init() {}

    /// Token rows, without padding.
    package var tokenCount: Int { items.reduce(0) { $0 + $1.count } }
}
