/// A token and the natural logarithm of its probability under the model's own logits, before temperature, penalties and rules.
package struct TokenLogprob: Sendable, Equatable {
    package var token: Int32
    package var logprob: Float

    package init(token: Int32, logprob: Float) {
        self.token = token
        self.logprob = logprob
    }
}

/// A token of an answer with its log probability, and the likeliest tokens in its place.
package struct TokenChoice: Sendable, Equatable {
    package var chosen: TokenLogprob
    /// As many as were asked for, the likeliest first; of equally likely ones the one of the least id.
    package var likeliest: [TokenLogprob]

    package init(chosen: TokenLogprob, likeliest: [TokenLogprob]) {
        self.chosen = chosen
        self.likeliest = likeliest
    }
}

/// A token of a prompt, and what the model would have said in its place.
package struct PromptToken: Sendable, Equatable {
    package var choice: TokenChoice
    /// One more than the number of tokens that are likelier.
    package var rank: Int

    package init(choice: TokenChoice, rank: Int) {
        self.choice = choice
        self.rank = rank
    }
}

/// Most of the likeliest tokens that a request is told of.
package let likeliestMax = 20

/// Log probabilities of a batch's rows, each row's where one thread writes them.
final class RowLogprobs: @unchecked Sendable {
    private let chosen: UnsafeMutableBufferPointer<Float>
    private let ranks: UnsafeMutableBufferPointer<Int32>
    private let counts: UnsafeMutableBufferPointer<Int32>
    private let likeliest: UnsafeMutableBufferPointer<TokenLogprob>

    /// - Parameter capacity: most rows of a batch.
    init(capacity: Int) {
        chosen = .allocate(capacity: capacity)
        ranks = .allocate(capacity: capacity)
        counts = .allocate(capacity: capacity)
        likeliest = .allocate(capacity: capacity * likeliestMax)
    }

    deinit {
        chosen.deallocate()
        ranks.deallocate()
        counts.deallocate()
        likeliest.deallocate()
    }

    /// Room for a row's likeliest tokens.
    func room(row: Int) -> UnsafeMutableBufferPointer<TokenLogprob> {
        UnsafeMutableBufferPointer(rebasing: likeliest[row * likeliestMax..<(row + 1) * likeliestMax])
    }

    /// - Parameter rank: of rows of a prompt.
    func set(_ logprob: Float, rank: Int = 0, likeliest count: Int, row: Int) {
        chosen[row] = logprob
        ranks[row] = Int32(rank)
        counts[row] = Int32(count)
    }

    func promptToken(_ token: Int32, row: Int) -> PromptToken { PromptToken(choice: choice(token, row: row), rank: Int(ranks[row])) }

    func choice(_ token: Int32, row: Int) -> TokenChoice {
        TokenChoice(
            chosen: TokenLogprob(token: token, logprob: chosen[row]), likeliest: Array(room(row: row).prefix(Int(counts[row]))))
    }
}

/// The tokens that each row of a batch is searched with, each row's where one thread writes them.
final class RowCandidates: @unchecked Sendable {
    private let width: Int
    private let counts: UnsafeMutableBufferPointer<Int>
    private let candidates: UnsafeMutableBufferPointer<TokenLogprob>
    /// Log probabilities of the candidates under the model's own logits.
    private let told: UnsafeMutableBufferPointer<Float>

    /// - Parameters:
    ///   - capacity: most rows of a batch.
    ///   - width: most candidates of a row.
    init(capacity: Int, width: Int) {
        self.width = width
        counts = .allocate(capacity: capacity)
        candidates = .allocate(capacity: capacity * width)
        told = .allocate(capacity: capacity * width)
    }

    deinit {
        counts.deallocate()
        candidates.deallocate()
        told.deallocate()
    }

    /// Room for a row's candidates.
    func room(row: Int) -> UnsafeMutableBufferPointer<TokenLogprob> {
        UnsafeMutableBufferPointer(rebasing: candidates[row * width..<(row + 1) * width])
    }

    func set(_ count: Int, row: Int) { counts[row] = count }
    func tell(_ logprob: Float, _ place: Int, row: Int) { told[row * width + place] = logprob }

    func found(row: Int) -> UnsafeMutableBufferPointer<TokenLogprob> { UnsafeMutableBufferPointer(rebasing: room(row: row)[..<counts[row]]) }
    func told(_ place: Int, row: Int) -> Float { told[row * width + place] }
}

extension Sampler {
    /// What turns a row's logits into log probabilities.
    package struct LogSum: Sendable {
        /// log Σ e^x over the row.
        var value: Double

        /// Whether some logit is a number, and none too large for one.
        var isNumber: Bool { value.isFinite }
        /// Whether every token is barred.
        var isNothing: Bool { value == -.infinity }

        /// At least −9999, which JSON can hold.
        package func logprob(of logit: Float) -> Float {
            let value = Float(Double(logit) - value)
            return value > -9999 ? value : -9999
        }
    }

    /// The logarithm of the summed exponentials of a row, which is left as it is.
    package func logSum(_ logits: UnsafeMutableBufferPointer<Float>) -> LogSum { LogSum(value: logSumOfExponentials(logits)) }

    /// Writes the `count` largest logits with their tokens to the beginning of `entries`, as log probabilities; returns how many there are.
    package func writeLikeliest(
        _ count: Int, of logits: UnsafeMutableBufferPointer<Float>, _ sum: LogSum, to entries: UnsafeMutableBufferPointer<TokenLogprob>
    ) -> Int {
        let most = min(count, entries.count)
        guard most > 0 else { return 0 }
        var kept = 0
        forEachAtLeast(kthLargest(logits, most), in: logits) { token in
            let logit = logits[Int(token)]
            // Equal ones come in the order of their ids: a later one never goes before an earlier.
            guard kept < most || logit > entries[kept - 1].logprob else { return }
            var place = kept < most ? kept : most - 1
            while place > 0, entries[place - 1].logprob < logit {
                entries[place] = entries[place - 1]
                place -= 1
            }
            entries[place] = TokenLogprob(token: token, logprob: logit)
            kept = min(kept + 1, most)
        }
        for place in 0..<kept { entries[place].logprob = sum.logprob(of: entries[place].logprob) }
        return kept
    }
}
