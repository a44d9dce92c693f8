internal import Plan

/// A request that the engine works on.
final class ActiveRequest {
    let id: Int
    let request: GenerationRequest
    let arrival: ContinuousClock.Instant
    private let deliver: @Sendable (GenerationEvent) -> Void
    private var decoder: any TokenTextDecoder
    private var stream: TextStream
    private var generated = 0
    /// Tokens of prompt and output; kept only for a repetition penalty.
    private(set) var seen: SeenTokens?
    /// Embeddings of each image, once at hand.
    private(set) var embeddings: [Embeddings?]
    var firstStep: ContinuousClock.Instant?
    var firstToken: ContinuousClock.Instant?
    var lastToken: ContinuousClock.Instant?

    init(
        id: Int, request: GenerationRequest, arrival: ContinuousClock.Instant, vocabularySize: Int,
        deliver: @escaping @Sendable (GenerationEvent) -> Void
    ) {
        self.id = id
        self.request = request
        self.arrival = arrival
        self.deliver = deliver
        decoder = request.decoder
        stream = TextStream(stops: request.stops)
        embeddings = Array(repeating: nil, count: request.prompt.images.count)
        if request.sampling.repetitionPenalty != 1 {
            var seen = SeenTokens(vocabularySize: vocabularySize, capacity: request.longest)
            for token in request.prompt.ids { seen.insert(token) }
            self.seen = seen
        }
    }

    var sequence: SequenceState {
        let images = request.prompt.images.map { ImageTokens(tokens: $0.tokens, digest: $0.digest) }
        let prompt = request.prompt
        return SequenceState(
            id: id, prompt: prompt.ids, longest: request.longest, images: images, spans: prompt.spans, lengths: prompt.lengths,
            salt: request.cacheSalt, gears: request.probe?.gears ?? [])
    }

    /// Which logits of a step are read, as `StepIO` counts them; a probe reads all.
    var wantedLogits: (count: Int32, reach: Float) { request.probe == nil ? request.sampling.wantedLogits : (0, 0) }

    /// Tokens generated so far.
    var generatedCount: Int { generated }

    func setEmbeddings(_ embeddings: Embeddings, of image: Int) {
        self.embeddings[image] = embeddings
        request.probe?.take(.image(image, embeddings.values))
    }

    /// Takes a sampled token, passes its text on, and says whether the request has ended; throws where its tokens have no text.
    func take(_ token: Int32, maxModelLength: Int) throws -> FinishReason? {
        generated += 1
        seen?.insert(token)
        if !request.ignoresEnd, request.endTokens.contains(token) {
            send(stream.append(try decoder.finish()))
            send(stream.finish())
            return .stop
        }
        send(stream.append(try decoder.append(token)))
        if stream.stop != nil { return .stop }
        guard generated >= request.maxTokens || request.prompt.ids.count + generated >= maxModelLength else { return nil }
        send(stream.append(try decoder.finish()))
        if stream.stop != nil { return .stop }
        send(stream.finish())
        return .length
    }

    func finish(_ reason: FinishReason, cachedTokens: Int) -> Completion {
        var usage = Usage()
        usage.promptTokens = request.prompt.ids.count
        usage.completionTokens = generated
        usage.cachedTokens = min(cachedTokens, usage.promptTokens)
        usage.imageTokens = request.prompt.images.reduce(0) { $0 + $1.tokens.count }
        let completion = Completion(reason: reason, stop: stream.stop, usage: usage)
        deliver(.finished(completion))
        return completion
    }

    func fail(_ message: String) {
        deliver(.failed(message))
    }

    private func send(_ text: String) {
        if !text.isEmpty { deliver(.text(text)) }
    }
}
