/// What a beam has written behind the prompt.
struct Beam {
    var progress: AnswerProgress
    /// Log probability of its tokens under the logits that they are chosen from, penalties and rules applied.
    var sum = 0.0
    /// Log probability under the model's own logits, where it is asked for.
    var logprob = 0.0
    var text = ""
    /// Its tokens, where log probabilities were asked for.
    var tokens: [TokenChoice] = []
    /// Nil for one that goes on.
    var reason: FinishReason?
}

/// A token that may follow a beam.
struct BeamCandidate {
    var token: Int32
    /// Under the logits that it is chosen from.
    var logprob: Float
    /// What is told of it; nil where nothing is asked.
    var choice: TokenChoice?
}

/// One request's beams: what each of them has said of its next token, and the search among them.
final class BeamGroup {
    /// A beam and the token that it ends in.
    struct Step {
        var token: Int32
        var beam: Beam
    }

    /// A beam that goes on.
    struct Survivor {
        /// The id of the sequence that it goes on from.
        var parent: Int
        var step: Step
    }

    /// Ids that its sequences have.
    let ids: Range<Int>
    private let request: GenerationRequest
    /// How many answers are shown.
    private let count: Int
    private let deliver: @Sendable (_ branch: Int, GenerationEvent) -> Void
    private var search: BeamSearch<Step>
    /// By the id of the sequence, what has been written; how far it is is the sequence's to know.
    private var beams: [Int: Beam]
    private var reports: [Int: [BeamCandidate]] = [:]

    /// - Parameter first: the id of the sequence that all beams fork from.
    init(
        _ group: GenerationGroup, _ parameters: BeamParameters, first: Int, maxModelLength: Int,
        deliver: @escaping @Sendable (_ branch: Int, GenerationEvent) -> Void
    ) {
        ids = first..<first + parameters.width
        (request, count) = (group.request, group.count)
        self.deliver = deliver
        search = BeamSearch(parameters, longest: max(request.longest, maxModelLength))
        beams = [first: Beam(progress: AnswerProgress(request))]
    }

    /// Takes what may follow a beam; returns whether all have said it.
    func report(_ candidates: [BeamCandidate], of id: Int) -> Bool {
        reports[id] = candidates
        return reports.count == beams.count
    }

    /// Goes a token further with the beams that are worth it, the best first; none where the search is over. Throws where tokens have no text.
    ///
    /// - Parameter progress: how far a sequence is.
    func advance(maxModelLength: Int, _ progress: (Int) -> AnswerProgress?) throws -> [Survivor] {
        var parents: [(id: Int, beam: Beam, candidates: [BeamCandidate])] = []
        for (id, candidates) in reports.sorted(by: { $0.key < $1.key }) {
            guard var beam = beams[id], let own = progress(id) else { continue }
            beam.progress = own
            parents.append((id, beam, candidates))
        }
        reports.removeAll(keepingCapacity: true)
        let places = search.candidates(parents.map { ($0.beam.sum, $0.candidates.map(\.logprob)) })
        let children = try places.map { beam, place in
            try child(of: parents[beam].beam, parents[beam].id, parents[beam].candidates[place], maxModelLength)
        }
        return search.advance(children).map { Survivor(parent: $0.parent, step: $0.answer) }
    }

    /// Takes note of which sequences the beams are now.
    func follow(_ survivors: [(id: Int, beam: Beam)]) { beams = Dictionary(uniqueKeysWithValues: survivors.map { ($0.id, $0.beam) }) }

    private func child(of parent: Beam, _ id: Int, _ candidate: BeamCandidate, _ maxModelLength: Int) throws -> BeamChild<Step> {
        var beam = parent
        let (text, reason) = try beam.progress.take(candidate.token, of: request, maxModelLength: maxModelLength)
        beam.text += text
        beam.reason = reason
        beam.sum += Double(candidate.logprob)
        if let choice = candidate.choice {
            beam.tokens.append(choice)
            beam.logprob += Double(choice.chosen.logprob)
        }
        let length = request.prompt.ids.count + beam.progress.generatedCount - (request.endTokens.contains(candidate.token) ? 1 : 0)
        return BeamChild(
            answer: Step(token: candidate.token, beam: beam), parent: id, sum: beam.sum, length: length, hasEnded: reason != nil)
    }
}

extension BeamGroup {
    /// The answers that were found, the best first; nil where they are fewer than are asked for.
    var found: [Beam]? { search.ended.count < count ? nil : search.ended.prefix(count).map(\.answer.beam) }

    /// Why there are too few answers.
    var shortage: String {
        "the search found \(search.ended.count) of \(count) answers: what may follow the prompt leaves no more; ask for a smaller n"
    }

    /// How an answer of the search ended.
    func completion(_ beam: Beam, cachedTokens: Int) -> Completion {
        beam.progress.completion(of: request, beam.reason ?? .abort, logprob: beam.logprob, cachedTokens: cachedTokens)
    }

    /// What each answer's last event says where the search is not over.
    func aborted() -> [Completion] {
        let none = Beam(progress: AnswerProgress(request))
        return Array(repeating: completion(none, cachedTokens: 0), count: count)
    }

    /// Passes each answer on, or its end alone.
    func finish(_ completions: [Completion], _ beams: [Beam] = []) {
        for (branch, completion) in completions.enumerated() {
            if branch < beams.count {
                for choice in beams[branch].tokens { deliver(branch, .token(choice)) }
                if !beams[branch].text.isEmpty { deliver(branch, .text(beams[branch].text, tokens: completion.usage.completionTokens)) }
            }
            deliver(branch, .finished(completion))
        }
    }

    func fail(_ failure: GenerationFailure) {
        for branch in 0..<count { deliver(branch, .failed(failure)) }
    }
}
