internal import Plan

/// How far an answer is: what it has of text and what its next token is chosen by. A value, so that answers may go on from the same one.
struct AnswerProgress {
    private var decoder: any TokenTextDecoder
    private var stream: TextStream
    /// Nil until the first token is to be chosen: what waits holds no memory for it.
    private(set) var policy: TokenPolicy?
    /// Tokens generated so far.
    private(set) var generatedCount = 0
    private var stopToken: Int32?

    init(_ request: GenerationRequest) {
        decoder = request.decoder
        stream = TextStream(stops: request.stops, includesStop: request.includesStop)
    }

    /// Makes the policy where there is none yet.
    mutating func beginChoice(_ request: GenerationRequest, vocabularySize: Int) {
        guard policy == nil else { return }
        policy = TokenPolicy(
            request.sampling, request.rules, ends: request.endTokens + request.stopTokens, prompt: request.prompt.ids,
            maxTokens: request.maxTokens, vocabularySize: vocabularySize)
    }

    /// Takes a token; gives the text that can be shown now, and why the answer has ended, where it has. Throws where its tokens have no text.
    mutating func take(
        _ token: Int32, of request: GenerationRequest, maxModelLength: Int
    ) throws -> (text: String, reason: FinishReason?) {
        policy?.take(token)
        generatedCount += 1
        let mayStop = generatedCount >= request.rules.minTokens
        if mayStop, ends(token, request) {
            var text = ""
            if stopToken != nil, request.includesStop { text += stream.append(try decoder.append(token)) }
            text += stream.append(try decoder.finish())
            return (text + stream.finish(), .stop)
        }
        var text = stream.append(try decoder.append(token), mayStop: mayStop)
        if stream.stop != nil { return (text, .stop) }
        // A guide that lets no more come ends an answer of fewer tokens than asked for.
        let isComplete = policy?.isComplete == true
        guard isComplete || generatedCount >= request.maxTokens || request.prompt.ids.count + generatedCount >= maxModelLength else {
            return (text, nil)
        }
        text += stream.append(try decoder.finish(), mayStop: mayStop)
        if stream.stop != nil { return (text, .stop) }
        return (text + stream.finish(), isComplete ? .stop : .length)
    }

    private mutating func ends(_ token: Int32, _ request: GenerationRequest) -> Bool {
        if !request.ignoresEnd, request.endTokens.contains(token) { return true }
        guard request.stopTokens.contains(token) else { return false }
        stopToken = token
        return true
    }

    /// What the answer's last event says.
    func completion(of request: GenerationRequest, _ reason: FinishReason, logprob: Double, cachedTokens: Int) -> Completion {
        var usage = Usage()
        usage.promptTokens = request.prompt.ids.count
        usage.completionTokens = generatedCount
        usage.cachedTokens = min(cachedTokens, usage.promptTokens)
        usage.imageTokens = request.prompt.images.reduce(0) { $0 + $1.tokens.count }
        let stop = stream.stop.map { StopCause.text($0) } ?? stopToken.map { .token($0) }
        return Completion(reason: reason, stop: stop, usage: usage, logprob: request.logprobs.map { _ in logprob })
    }
}
