internal import Inputs
internal import Serving

/// How an answer is made. What is nil is the model's own, from its `generation_config.json`.
public struct GenerateParameters: Sendable, Hashable {
    /// Most tokens of the answer; fewer where the context ends. Nil: as many as the model's configuration says, or fit.
    public var maxTokens: Int?
    /// Before so many tokens nothing ends the answer.
    public var minTokens = 0
    /// At least 0; 0 takes the likeliest token.
    public var temperature: Float?
    /// (0, 1]: the likeliest tokens that have this probability together take part.
    public var topP: Float?
    /// So many of the likeliest tokens take part; 0 for all.
    public var topK: Int?
    /// [0, 1]: tokens less likely than this share of the likeliest do not take part.
    public var minP: Float?
    /// (0, 2]: makes what prompt and answer hold less likely.
    public var repetitionPenalty: Float?
    /// [−2, 2]: taken from the logit of each token that the answer holds.
    public var presencePenalty: Float?
    /// [−2, 2]: taken from a token's logit as many times as the answer holds it.
    public var frequencyPenalty: Float?
    /// The same seed and input give the same answer, whatever else the model computes; nil for another one each time.
    public var seed: UInt64?
    /// Texts that end the answer and are not shown.
    public var stopStrings: [String] = []
    /// How many of the likeliest tokens each `Generation.token` names, up to 20; 0 for the chosen one alone, nil for no such elements.
    public var logprobs: Int?

    public init(
        maxTokens: Int? = nil, minTokens: Int = 0, temperature: Float? = nil, topP: Float? = nil, topK: Int? = nil, minP: Float? = nil,
        repetitionPenalty: Float? = nil, presencePenalty: Float? = nil, frequencyPenalty: Float? = nil, seed: UInt64? = nil,
        stopStrings: [String] = [], logprobs: Int? = nil
    ) {
        self.maxTokens = maxTokens
        self.minTokens = minTokens
        self.temperature = temperature
        self.topP = topP
        self.topK = topK
        self.minP = minP
        self.repetitionPenalty = repetitionPenalty
        self.presencePenalty = presencePenalty
        self.frequencyPenalty = frequencyPenalty
        self.seed = seed
        self.stopStrings = stopStrings
        self.logprobs = logprobs
    }
}

extension GenerateParameters {
    /// Throws for what a request may not ask for.
    public func validate() throws(ModelError) {
        try check("maxTokens", maxTokens, "at least 1") { $0 >= 1 }
        guard (0...(maxTokens ?? .max)).contains(minTokens) else {
            throw .parameters("minTokens must be at least 0 and at most maxTokens, not \(minTokens)")
        }
        try check("temperature", temperature, .temperature)
        try check("topP", topP, .topP)
        try check("topK", topK, "at least 0") { $0 >= 0 }
        try check("minP", minP, .minP)
        try check("repetitionPenalty", repetitionPenalty, .repetitionPenalty)
        try check("presencePenalty", presencePenalty, .addedPenalty)
        try check("frequencyPenalty", frequencyPenalty, .addedPenalty)
        try check("logprobs", logprobs, "at least 0 and at most \(likeliestMax)") { (0...likeliestMax).contains($0) }
        guard !stopStrings.contains("") else { throw .parameters("stopStrings must not hold an empty string") }
    }

    private func check(_ name: String, _ value: Float?, _ bound: SamplingBound) throws(ModelError) {
        try check(name, value, bound.words) { bound.holds(Double($0)) }
    }

    private func check<Value>(_ name: String, _ value: Value?, _ words: String, _ holds: (Value) -> Bool) throws(ModelError) {
        guard let value, !holds(value) else { return }
        throw .parameters("\(name) must be \(words), not \(value)")
    }

    func sampling(over own: SamplingParameters) -> SamplingParameters {
        var sampling = own
        sampling.temperature = temperature ?? own.temperature
        sampling.topP = topP ?? own.topP
        sampling.topK = topK ?? own.topK
        sampling.minP = minP ?? own.minP
        sampling.repetitionPenalty = repetitionPenalty ?? own.repetitionPenalty
        sampling.presencePenalty = presencePenalty ?? own.presencePenalty
        sampling.frequencyPenalty = frequencyPenalty ?? own.frequencyPenalty
        sampling.seed = seed ?? .random(in: .min ... .max)
        return sampling
    }

    /// What the engine is asked for.
    func request(_ prompt: Prompt, _ pipeline: InputPipeline, contextLength: Int) throws(ModelError) -> GenerationRequest {
        let room = max(contextLength - prompt.ids.count, 1)
        var request = GenerationRequest(
            prompt: prompt, sampling: sampling(over: pipeline.defaultSampling), maxTokens: min(maxTokens ?? pipeline.defaultMaxTokens ?? room, room),
            endTokens: pipeline.endTokens, stops: stopStrings, decoder: pipeline.makeDecoder())
        request.logprobs = logprobs
        request.rules.minTokens = minTokens
        guard minTokens <= request.maxTokens else {
            throw .parameters("minTokens \(minTokens) is more than the \(request.maxTokens) tokens that the answer may have")
        }
        return request
    }
}
