internal import Execution
internal import Plan

/// Embeddings of the images of a prompt, which all answers to it read.
final class ImageEmbeddings {
    /// By image, once at hand.
    fileprivate(set) var values: [Embeddings?]

    init(given: [Embeddings?]) { values = given }
}

/// A sequence that the engine works on: one answer to a prompt, or one beam of the search for several.
final class ActiveRequest {
    let id: Int
    let request: GenerationRequest
    let arrival: ContinuousClock.Instant
    /// The search that the sequence is a beam of; nil for an answer.
    let beams: BeamGroup?
    private let deliver: @Sendable (GenerationEvent) -> Void
    private(set) var progress: AnswerProgress
    private let vocabularySize: Int
    private var logprobSum = 0.0
    /// The id of the first answer to the same prompt; nil for an answer alone.
    private let group: Int?
    private let images: ImageEmbeddings
    var firstStep: ContinuousClock.Instant?
    var firstToken: ContinuousClock.Instant?
    var lastToken: ContinuousClock.Instant?

    init(
        id: Int, request: GenerationRequest, of group: Int?, beams: BeamGroup? = nil, embeddings: ImageEmbeddings,
        arrival: ContinuousClock.Instant, vocabularySize: Int, deliver: @escaping @Sendable (GenerationEvent) -> Void
    ) {
        self.id = id
        self.request = request
        self.arrival = arrival
        self.beams = beams
        self.deliver = deliver
        progress = AnswerProgress(request)
        self.group = group
        images = embeddings
        self.vocabularySize = vocabularySize
    }

    /// The sequence that goes on from another one, or that one with a token more.
    init(_ parent: ActiveRequest, as id: Int, _ progress: AnswerProgress) {
        self.id = id
        request = parent.request
        arrival = parent.arrival
        beams = parent.beams
        deliver = parent.deliver
        self.progress = progress
        group = parent.group
        images = parent.images
        vocabularySize = parent.vocabularySize
        (firstStep, firstToken, lastToken) = (parent.firstStep, parent.firstToken, parent.lastToken)
    }

    var isFirstOfGroup: Bool { group == nil || group == id }

    var readsImagesAlone: Bool { request.probe?.readsImagesAlone == true }

    /// Embeddings of each image, once at hand.
    var embeddings: [Embeddings?] { images.values }

    /// Tokens generated so far.
    var generatedCount: Int { progress.generatedCount }

    /// What the next token is chosen by; nil before `beginChoice`.
    var policy: TokenPolicy? { progress.policy }

    var sequence: SequenceState {
        let images = request.prompt.images.map { ImageTokens(tokens: $0.tokens, digest: $0.digest, isReady: $0.embeddings != nil) }
        let prompt = request.prompt
        return SequenceState(
            id: id, group: group, seats: request.beams?.width ?? 1, prompt: prompt.ids, longest: request.longest, images: images,
            spans: prompt.spans, lengths: prompt.lengths, salt: request.cacheSalt, adapter: request.adapter,
            gears: request.probe?.gears ?? [], readsPrompt: request.readsPrompt, readsHidden: request.probe?.readsHidden ?? false,
            mayGuess: beams == nil && request.probe == nil && request.maxTokens > 0, priority: request.priority)
    }

    /// Which logits of the next step that chooses a token are read, as `StepIO` counts them; a probe, log probabilities and a search read all.
    ///
    /// - Parameter guessed: tokens before it that are there on a guess.
    func beginChoice(behind guessed: Int) -> (count: Int32, reach: Float) {
        guard request.maxTokens > 0 else { return request.probe?.readsHidden ?? true ? (StepIO.noLogits, 0) : (0, 0) }
        progress.beginChoice(request, vocabularySize: vocabularySize)
        return request.probe == nil && request.logprobs == nil && beams == nil ? policy?.wantedLogits(behind: guessed) ?? (0, 0) : (0, 0)
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
        if let choice {
            logprobSum += Double(choice.chosen.logprob)
            deliver(.token(choice))
        }
        let (text, reason) = try progress.take(token, of: request, maxModelLength: maxModelLength)
        if !text.isEmpty { deliver(.text(text, tokens: progress.generatedCount)) }
        return reason
    }

    /// What the answer's last event says.
    func completion(_ reason: FinishReason, cachedTokens: Int) -> Completion {
        progress.completion(of: request, reason, logprob: logprobSum, cachedTokens: cachedTokens)
    }

    func finish(_ completion: Completion) {
        deliver(.finished(completion))
    }

    func fail(_ failure: GenerationFailure) {
        deliver(.failed(failure))
    }
}
