internal import JSON
internal import Serving

/// What requests for chats and for plain completions say alike of the answer.
struct AnswerOptions: Sendable {
    var sampling: SamplingParameters
    /// All but what `badWords` become.
    var rules: TokenRules
    /// Texts that the answer must not hold.
    var badWords: [String]
    /// What the answer must be; nil for anything.
    var guide: GuideFields.Choice?
    /// What would guide an answer that calls must stand in place of: nothing but an error where it cannot be made.
    var idleGuide: GuideFields.Choice?
    /// How many calls of functions an answer's text is read for.
    var toolCalls = AnswerReading.Limit.none
    /// What answers begin with, where the server splits off what the model thinks.
    var start = ReasoningReader.Start.saying
    /// Whether a chat's answer tells what the model thought.
    var tellsThoughts = true
    /// Nil for the model's own number, and at most what the context holds.
    var maxTokens: Int?
    /// The field that set it.
    var maxTokensField = "max_tokens"
    var stops: [String]
    var stopTokens: [Int32]
    var includesStop: Bool
    var ignoresEnd: Bool
    var showing: TokenShowing
    private var truncation: PromptTokens
    /// Whether answers list the tokens of prompt and answer.
    var returnsTokenIDs: Bool
    /// What the answer's id says behind its kind; nil for what no other answer has.
    var requestID: String?
    /// Requests of another salt share no cached prompts and images with this one.
    var cacheSalt: String
    /// The smaller, the sooner the request is computed.
    var priority: Int
    var streams: Bool
    var usage: ToldUsage
    /// How many of the likeliest tokens are told beside each token's log probability; nil for neither.
    var logprobs: Int?
    /// The same of each token of the prompt, which the answer then lists.
    var promptLogprobs: Int?
    /// Whether the prompt with which answers begin has `logprobs` as well.
    var echoesLogprobs: Bool
    /// Answers that are shown of each prompt, and those that are made, of which the likeliest are shown.
    var n: Int
    var bestOf: Int
    /// How the answers are searched for, `n` of them; nil where each is one of its own.
    var beams: BeamParameters?

    /// Most answers to one prompt.
    static let maxAnswers = 128
    /// Most stop strings, and most bytes of one.
    static let maxStops = 16
    static let maxStopBytes = 1024

    /// What the model and the server say of answers.
    struct Surroundings: Sendable {
        /// The model's own sampling.
        var sampling: SamplingParameters
        var vocabularySize: Int
        /// Tokens that end the model's texts.
        var endTokens: [Int32]
        /// Used when the request gives none.
        var seed: UInt64
        /// How the model marks what it thinks; nil where all is text.
        var reasoning: ReasoningReader.Form?
        /// Whether requests are computed by their priority.
        var takesPriorities: Bool
    }

    /// - Parameter echoes: whether answers begin with their prompt, which may then be all.
    init(_ fields: FieldReader, _ model: Surroundings, logprobs: Int?, echoes: Bool = false) throws(APIError) {
        self.logprobs = logprobs
        echoesLogprobs = echoes && logprobs != nil
        let tokens = SamplingFields(fields: fields, vocabularySize: model.vocabularySize)
        sampling = try tokens.sampling(defaults: model.sampling, seed: model.seed)
        stopTokens = try tokens.stopTokens()
        rules = try tokens.rules(ends: model.endTokens + stopTokens)
        badWords = try tokens.badWords()
        guide = try GuideFields(fields: fields).read()
        if let limit = try Self.maxTokens(fields, least: echoes ? 0 : 1) {
            maxTokensField = limit.field
            maxTokens = limit.count
            guard rules.minTokens <= limit.count else {
                throw .invalid("min_tokens \(rules.minTokens) is more than \(limit.field) \(limit.count)", param: "min_tokens")
            }
        }
        stops = try Self.stops(fields)
        includesStop = try fields.boolean("include_stop_str_in_output") ?? false
        ignoresEnd = try fields.boolean("ignore_eos") ?? false
        showing = TokenShowing(
            skipsSpecialTokens: try fields.boolean("skip_special_tokens") ?? true,
            spacesAddedTokens: try fields.boolean("spaces_between_special_tokens") ?? true)
        truncation = try PromptTokens(fields)
        returnsTokenIDs = try fields.boolean("return_token_ids") ?? false
        requestID = try Self.requestID(fields)
        cacheSalt = try fields.string("cache_salt") ?? ""
        priority = try Self.priority(fields, isTaken: model.takesPriorities)
        streams = try fields.boolean("stream") ?? false
        usage = try Self.usage(fields, streams: streams)
        promptLogprobs = try Self.promptLogprobs(fields, streams: streams)
        (n, bestOf) = try Self.answers(fields)
        beams = try BeamFields(fields: fields).read(width: bestOf, &sampling)
        if beams != nil {
            bestOf = n
            if maxTokens == 0 { throw .invalid("\(maxTokensField) must be at least 1 when use_beam_search is true", param: maxTokensField) }
        } else if sampling.isGreedy, bestOf > 1 {
            throw .invalid("\(n > 1 ? "n" : "best_of") must be 1 when temperature is 0: all answers would be the same", param: n > 1 ? "n" : "best_of")
        }
        if streams, bestOf > n { throw .invalid("best_of must be n when stream is true", param: "best_of") }
    }

    /// How many of the likeliest tokens the engine tells beside each token of the prompt; nil for none of it.
    var toldOfPrompt: Int? { [promptLogprobs, echoesLogprobs ? logprobs : nil].compactMap(\.self).max() }

    /// Whether the tokens of answers are listed in some form.
    var tellsTokens: Bool { logprobs != nil || returnsTokenIDs }

    /// Most tokens of the prompt that are kept; nil for all.
    func promptTokensMax(contextLength: Int) throws(APIError) -> Int? {
        try truncation.most(contextLength: contextLength, answer: maxTokens ?? 1)
    }

    /// What the request calls itself.
    static func requestID(_ fields: FieldReader) throws(APIError) -> String? {
        guard let id = try fields.string("request_id") else { return nil }
        guard RequestID.isAllowed(id) else { throw .invalid("request_id \(RequestID.rule)", param: "request_id") }
        return id
    }

    private static func priority(_ fields: FieldReader, isTaken: Bool) throws(APIError) -> Int {
        let priority = try fields.integer("priority") ?? 0
        guard priority == 0 || isTaken else {
            throw .invalid(
                "priority \(priority): requests are served in the order in which they come; start vlm-serve with --scheduling-policy priority",
                param: "priority")
        }
        return priority
    }

    private static func promptLogprobs(_ fields: FieldReader, streams: Bool) throws(APIError) -> Int? {
        guard let count = try fields.integer("prompt_logprobs") else { return nil }
        guard (0...likeliestMax).contains(count) else {
            throw .invalid("prompt_logprobs must be at least 0 and at most \(likeliestMax), not \(count)", param: "prompt_logprobs")
        }
        guard !streams else { throw .invalid("prompt_logprobs is only allowed when stream is false", param: "prompt_logprobs") }
        return count
    }

    private static func answers(_ fields: FieldReader) throws(APIError) -> (n: Int, bestOf: Int) {
        func count(_ name: String) throws(APIError) -> Int? {
            guard let count = try fields.integer(name) else { return nil }
            guard (1...maxAnswers).contains(count) else {
                throw .invalid("\(name) must be at least 1 and at most \(maxAnswers), not \(count)", param: name)
            }
            return count
        }
        let n = try count("n") ?? 1
        let bestOf = try count("best_of") ?? n
        guard bestOf >= n else { throw .invalid("best_of \(bestOf) must be at least n, which is \(n)", param: "best_of") }
        return (n, bestOf)
    }

    private static func maxTokens(_ fields: FieldReader, least: Int) throws(APIError) -> (field: String, count: Int)? {
        var result: (String, Int)?
        for name in ["max_tokens", "max_completion_tokens"] {
            guard let count = try fields.integer(name) else { continue }
            guard count >= least else { throw .invalid("\(name) must be at least \(least), not \(count)", param: name) }
            if let result, result.1 != count {
                throw .invalid("max_tokens \(result.1) and max_completion_tokens \(count) are two numbers for one thing; give one of them", param: name)
            }
            result = (name, count)
        }
        return result
    }

    private static func stops(_ fields: FieldReader) throws(APIError) -> [String] {
        let stops = try fields.strings("stop", orOne: true) ?? []
        guard !stops.contains("") else { throw .invalid("stop must not hold an empty string", param: "stop") }
        guard stops.count <= maxStops else {
            throw .invalid("stop holds \(stops.count) strings, more than \(maxStops)", param: "stop")
        }
        guard stops.allSatisfy({ $0.utf8.count <= maxStopBytes }) else {
            throw .invalid("stop holds a string of more than \(maxStopBytes) bytes", param: "stop")
        }
        return stops
    }

    private static func usage(_ fields: FieldReader, streams: Bool) throws(APIError) -> ToldUsage {
        guard let value = fields.value("stream_options") else { return .none }
        guard let options = value.objectValue else { throw fields.mismatch("stream_options", value, "an object") }
        let reader = FieldReader(object: options, prefix: "stream_options.")
        for (name, value) in options where !value.isNull && !["include_usage", "continuous_usage_stats", "include_obfuscation"].contains(name) {
            throw .unknown(field: name, in: "stream_options.")
        }
        if try reader.boolean("include_obfuscation") == true { throw .unsupported("stream_options.include_obfuscation", [false]) }
        let isTold = try reader.boolean("include_usage") ?? false
        let isContinuous = try reader.boolean("continuous_usage_stats") ?? false
        guard streams || !isTold else { throw .invalid("stream_options is only allowed when stream is true", param: "stream_options") }
        guard isTold || !isContinuous else {
            throw .invalid("continuous_usage_stats is only allowed when include_usage is true", param: "stream_options.continuous_usage_stats")
        }
        return isContinuous ? .everyPiece : isTold ? .atEnd : .none
    }
}

/// Where a stream tells how many tokens there were.
enum ToldUsage: Sendable {
    case none, atEnd
    /// With each piece as well, of its choice so far.
    case everyPiece
}
