internal import Execution
internal import Plan

/// Embeddings of the images of a prompt, which all answers to it read.
final class ImageEmbeddings {
    /// By image, once at hand.
    fileprivate(set) var values: [Embeddings?]

    init(count: Int) { values = Array(repeating: nil, count: count) }
}

/// A request that the engine works on: one answer to a prompt.
final class ActiveRequest {
    let id: Int
    let request: GenerationRequest
    let arrival: ContinuousClock.Instant
    private let deliver: @Sendable (GenerationEvent) -> Void
    private var decoder: any TokenTextDecoder
    private var stream: TextStream
    /// Nil until the first token is to be chosen: what waits holds no memory for it.
    private(set) var policy: TokenPolicy?
    private let vocabularySize: Int
    /// Tokens generated so far.
    private(set) var generatedCount = 0
    private var stopToken: Int32?
    private var logprobSum = 0.0
    /// The id of the first answer to the same prompt; nil for an answer alone.
    private let group: Int?
    private let images: ImageEmbeddings
    var firstStep: ContinuousClock.Instant?
    var firstToken: ContinuousClock.Instant?
    var lastToken: ContinuousClock.Instant?

    init(
        id: Int, request: GenerationRequest, of group: Int?, embeddings: ImageEmbeddings, arrival: ContinuousClock.Instant,
        vocabularySize: Int, deliver: @escaping @Sendable (GenerationEvent) -> Void
    ) {
        self.id = id
        self.request = request
        self.arrival = arrival
        self.deliver = deliver
        decoder = request.decoder
        stream = TextStream(stops: request.stops, includesStop: request.includesStop)
        self.group = group
        images = embeddings
        self.vocabularySize = vocabularySize
    }

    var isFirstOfGroup: Bool { group == nil || group == id }

    /// Embeddings of each image, once at hand.
    var embeddings: [Embeddings?] { images.values }

    var sequence: SequenceState {
        let images = request.prompt.images.map { ImageTokens(tokens: $0.tokens, digest: $0.digest) }
        let prompt = request.prompt
        return SequenceState(
            id: id, group: group, prompt: prompt.ids, longest: request.longest, images: images, spans: prompt.spans, lengths: prompt.lengths,
            salt: request.cacheSalt, gears: request.probe?.gears ?? [], readsPrompt: request.readsPrompt,
            readsHidden: request.probe?.readsHidden ?? false)
    }

    /// Which logits of the next step that chooses a token are read, as `StepIO` counts them; a probe and log probabilities read all.
    func beginChoice() -> (count: Int32, reach: Float) {
        guard request.maxTokens > 0 else { return request.probe?.readsHidden ?? true ? (StepIO.noLogits, 0) : (0, 0) }
        if policy == nil {
            policy = TokenPolicy(
                request.sampling, request.rules, ends: request.endTokens + request.stopTokens, prompt: request.prompt.ids,
                maxTokens: request.maxTokens, vocabularySize: vocabularySize)
        }
        return request.probe == nil && request.logprobs == nil ? policy?.wantedLogits ?? (0, 0) : (0, 0)
    }

    func setEmbeddings(_ embeddings: Embeddings, of image: Int) {
        images.values[image] = embeddings
        request.probe?.take(.image(image, embeddings.values))
    }

    /// Passes on what the model would have said in place of the prompt's next tokens.
    func tell(_ tokens: [PromptToken]) { deliver(.prompt(tokens)) }

    /// Takes a sampled token, passes its text on, and says whether the request has ended; throws where its tokens have no text.
    ///
    /// - Parameter choice: the token's log probability and its company, where they were asked for.
    func take(_ token: Int32, _ choice: TokenChoice?, maxModelLength: Int) throws -> FinishReason? {
        policy?.take(token)
        generatedCount += 1
        if let choice {
            logprobSum += Double(choice.chosen.logprob)
            deliver(.token(choice))
        }
        let mayStop = generatedCount >= request.rules.minTokens
        if mayStop, ends(token) {
            if stopToken != nil, request.includesStop { send(stream.append(try decoder.append(token))) }
            send(stream.append(try decoder.finish()))
            send(stream.finish())
            return .stop
        }
        send(stream.append(try decoder.append(token), mayStop: mayStop))
        if stream.stop != nil { return .stop }
        let isComplete = mayStop && policy?.isComplete == true
        guard isComplete || generatedCount >= request.maxTokens || request.prompt.ids.count + generatedCount >= maxModelLength else { return nil }
        send(stream.append(try decoder.finish(), mayStop: mayStop))
        if stream.stop != nil { return .stop }
        send(stream.finish())
        return isComplete ? .stop : .length
    }

    private func ends(_ token: Int32) -> Bool {
        if !request.ignoresEnd, request.endTokens.contains(token) { return true }
        guard request.stopTokens.contains(token) else { return false }
        stopToken = token
        return true
    }

    /// What the answer's last event says.
    func completion(_ reason: FinishReason, cachedTokens: Int) -> Completion {
        var usage = Usage()
        usage.promptTokens = request.prompt.ids.count
        usage.completionTokens = generatedCount
        usage.cachedTokens = min(cachedTokens, usage.promptTokens)
        usage.imageTokens = request.prompt.images.reduce(0) { $0 + $1.tokens.count }
        let stop = stream.stop.map { StopCause.text($0) } ?? stopToken.map { .token($0) }
        return Completion(reason: reason, stop: stop, usage: usage, logprob: request.logprobs.map { _ in logprobSum })
    }

    func finish(_ completion: Completion) {
        deliver(.finished(completion))
    }

    func fail(_ failure: GenerationFailure) {
        deliver(.failed(failure))
    }

    private func send(_ text: String) {
        if !text.isEmpty { deliver(.text(text)) }
    }
}
