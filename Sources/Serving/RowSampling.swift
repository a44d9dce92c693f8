internal import CKernels
internal import Execution

/// The rows of a batch from which tokens are chosen, or that tell of the prompt's next token, several at once; what a row yields depends on
/// no other and on no thread.
final class RowSampling: RowWork {
    private struct Row {
        var logits: UnsafeMutableBufferPointer<Float>
        /// How many of the likeliest tokens are told beside the chosen one's log probability; nil for neither.
        var logprobs: Int?
        /// The prompt's token that follows; nil where one is chosen.
        var given: Int32?
        /// How many tokens are chosen, for a search; 0 where it is one.
        var candidates = 0
        /// Nil once the token is chosen.
        var policy: TokenPolicy?
        /// The logits as they were, for a request that shows them.
        var shown: [Float]?
    }
    private var rows: [Row] = []
    /// By thread.
    private let samplers: [Sampler]
    /// By row; below 0 where there is none.
    private let choices: UnsafeMutableBufferPointer<Int32>
    private let logprobs: RowLogprobs
    private let candidates: RowCandidates

    /// - Parameters:
    ///   - threads: most rows that are computed at once.
    ///   - capacity: most rows of a batch.
    ///   - candidatesMax: most tokens that a row is asked for.
    init(threads: Int, capacity: Int, candidatesMax: Int) {
        samplers = (0..<threads).map { _ in Sampler() }
        choices = .allocate(capacity: capacity)
        logprobs = RowLogprobs(capacity: capacity)
        candidates = RowCandidates(capacity: capacity, width: candidatesMax)
        rows.reserveCapacity(capacity)
    }

    deinit { choices.deallocate() }

    func removeAll() { rows.removeAll(keepingCapacity: true) }

    /// Adds a request's next row; the logits are changed when its token is chosen.
    func add(_ logits: UnsafeMutableBufferPointer<Float>, of request: ActiveRequest) {
        precondition(rows.count < choices.count, "more rows than a batch has")
        let shown = request.request.probe.map { _ in Array(logits) }
        let count = request.request.beams?.candidates ?? 0
        rows.append(Row(logits: logits, logprobs: request.request.logprobs, candidates: count, policy: request.policy, shown: shown))
    }

    /// Adds a row of a prompt, and the token that follows there; the logits are left as they are.
    ///
    /// - Parameter count: how many of the likeliest tokens are told.
    func add(_ logits: UnsafeMutableBufferPointer<Float>, before token: Int32, likeliest count: Int) {
        precondition(rows.count < choices.count, "more rows than a batch has")
        rows.append(Row(logits: logits, logprobs: count, given: token))
    }

    /// Computes each row.
    func run(on model: any LoadedModel) {
        model.run(rows: rows.count, self)
        // A row must not share the memory that its request goes on with.
        for row in rows.indices { rows[row].policy = nil }
    }

    func run(row: Int, thread: Int) {
        let (sampler, logits) = (samplers[thread], rows[row].logits)
        if let given = rows[row].given {
            let (sum, logit) = (sampler.logSum(logits), logits[Int(given)])
            let found = sampler.writeLikeliest(rows[row].logprobs ?? 0, of: logits, sum, to: logprobs.room(row: row))
            let rank = logits.reduce(1) { $1 > logit ? $0 + 1 : $0 }
            return logprobs.set(sum.logprob(of: logit), rank: rank, likeliest: found, row: row)
        }
        guard let policy = rows[row].policy else { return }
        if rows[row].candidates > 0 { return chooseSeveral(row, policy, sampler) }
        guard let count = rows[row].logprobs else {
            choices[row] = choose(logits, policy, sampler)
            return
        }
        let sum = sampler.logSum(logits)
        let found = sampler.writeLikeliest(count, of: logits, sum, to: logprobs.room(row: row))
        let raw = sampler.copy(logits)
        choices[row] = choose(logits, policy, sampler)
        if choices[row] >= 0 { logprobs.set(sum.logprob(of: raw[Int(choices[row])]), likeliest: found, row: row) }
    }

    /// Writes the likeliest tokens of a row, and what is told of them.
    private func chooseSeveral(_ row: Int, _ policy: TokenPolicy, _ sampler: Sampler) {
        let (logits, told) = (rows[row].logits, rows[row].logprobs)
        let raw = told.map { count in
            let sum = sampler.logSum(logits)
            logprobs.set(0, likeliest: sampler.writeLikeliest(count, of: logits, sum, to: logprobs.room(row: row)), row: row)
            return (sum: sum, logits: sampler.copy(logits))
        }
        policy.apply(to: logits)
        let sum = sampler.logSum(logits)
        choices[row] = sum.isNumber ? 0 : sum.isNothing && policy.rules.restricts ? Self.allBarred : Self.noNumber
        guard sum.isNumber else { return }
        let room = candidates.room(row: row)
        var found = sampler.writeLikeliest(rows[row].candidates, of: logits, sum, to: room)
        while found > 0, logits[Int(room[found - 1].token)] == -.infinity { found -= 1 }
        candidates.set(found, row: row)
        guard let raw else { return }
        for place in 0..<found { candidates.tell(raw.sum.logprob(of: raw.logits[Int(room[place].token)]), place, row: row) }
    }

    private func choose(_ logits: UnsafeMutableBufferPointer<Float>, _ policy: TokenPolicy, _ sampler: Sampler) -> Int32 {
        policy.apply(to: logits)
        let choice = sampler.sample(logits, policy.sampling, position: policy.position)
        // Only where nothing else is left is such a logit the greatest.
        let isBarred = policy.rules.restricts && choice.map { logits[Int($0)] == -.infinity } ?? false
        return isBarred ? Self.allBarred : choice ?? Self.noNumber
    }

    /// The log probabilities of a row's choice and of what was likely in its place; nil for a row that asks for none.
    func choice(row: Int) -> TokenChoice? {
        rows[row].logprobs == nil || choices[row] < 0 ? nil : logprobs.choice(choices[row], row: row)
    }

    /// What may follow a row's beam, the likeliest first; nothing where its rules leave no token.
    func candidates(row: Int) -> Result<[BeamCandidate], Fault> {
        guard choices[row] != Self.noNumber else { return .failure(.noNumber) }
        guard choices[row] != Self.allBarred else { return .success([]) }
        return .success(
            candidates.found(row: row).enumerated().map { place, found in
                var choice = rows[row].logprobs.map { _ in logprobs.choice(found.token, row: row) }
                choice?.chosen.logprob = candidates.told(place, row: row)
                return BeamCandidate(token: found.token, logprob: found.logprob, choice: choice)
            })
    }

    /// What the model would have said in place of the prompt's token behind a row of a prompt.
    func promptToken(row: Int) -> PromptToken? { rows[row].given.map { logprobs.promptToken($0, row: row) } }

    private static let noNumber: Int32 = -1
    private static let allBarred: Int32 = -2

    /// Why a row has no token.
    enum Fault: Error, CustomStringConvertible {
        case noNumber
        case allBarred

        var description: String {
            switch self {
            case .noNumber: "the model's output holds no numbers"
            case .allBarred: "no token may follow: allowed_token_ids, bad_words, min_tokens and what guides the text leave none"
            }
        }
    }

    /// A row's token, and its logits, where they are shown.
    subscript(row: Int) -> (choice: Result<Int32, Fault>, shown: [Float]?) {
        let choice: Result<Int32, Fault> =
            switch choices[row] {
            case Self.noNumber: .failure(.noNumber)
            case Self.allBarred: .failure(.allBarred)
            default: .success(choices[row])
            }
        return (choice, rows[row].shown)
    }
}
