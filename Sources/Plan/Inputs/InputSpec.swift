/// What the runtime must know to turn a request into tokens, patches and positions; the artifact carries it as JSON.
package struct InputSpec: Sendable, Hashable, Codable {
    /// How an image is read and stands in the prompt; nil for a model that reads text only.
    package var image: ImageSpec?
    /// The same of a video; nil for a model that takes none.
    package var video: VideoSpec?
    /// Why a model whose family reads videos takes none, by the file at fault; nil where there is nothing to mend.
    package var videoFault: String?
    /// Why the model's own chat template lets no videos into a chat; nil where it does, and where there is no `video`.
    package var videoRefusal: String?
    /// How token positions are counted.
    package var positions: PositionScheme
    /// Which tokens of a prompt see each other whatever their order.
    package var spans: SpanScheme
    /// Number of rows of the embedding table: every token id is below it.
    package var vocabularySize: Int
    /// Tokens that end a generation, from generation_config.json, else config.json.
    package var endTokenIDs: [Int32]
    /// Sampling defaults of generation_config.json.
    package var generation: GenerationDefaults
    /// Special tokens by the names under which chat templates know them: `bos_token`, `eos_token`, ….
    package var specialTokens: [String: String]
    /// The family's own template for chats, for directories that have none; nil where nobody has one.
    package var chatTemplate: String?

    package init(
        image: ImageSpec? = nil, video: VideoSpec? = nil, positions: PositionScheme, spans: SpanScheme = .none, vocabularySize: Int, endTokenIDs: [Int32],
        generation: GenerationDefaults = .init(), specialTokens: [String: String] = [:], chatTemplate: String? = nil
    ) {
        self.image = image
        self.video = video
        self.positions = positions
        self.spans = spans
        self.vocabularySize = vocabularySize
        self.endTokenIDs = endTokenIDs
        self.generation = generation
        self.specialTokens = specialTokens
        self.chatTemplate = chatTemplate
    }

    /// Tokens that spell nothing of an answer, whatever the tokenizer says: those that end it, and that stand for images.
    package var unspelledTokens: Set<Int32> { Set(endTokenIDs + [image, video?.frames].compactMap { $0?.prompt.token }) }
}

/// What prompts may hold beside text.
package struct MediaTaken: Sendable, Hashable, Codable {
    package let images: Bool
    package let videos: Bool
    /// See `InputSpec.videoFault` and `InputSpec.videoRefusal`.
    package let videoFault: String?

    package init(_ spec: InputSpec) {
        images = spec.image != nil
        videos = spec.video != nil && spec.videoRefusal == nil
        videoFault = spec.videoFault ?? spec.videoRefusal
    }

    /// `text, images, videos`, `text, images; no videos: FAULT`
    package var summary: String {
        let taken = "text" + (images ? ", images" : "") + (videos ? ", videos" : "")
        return taken + (videoFault.map { "; no videos: \($0)" } ?? "")
    }
}

/// Which tokens of a prompt see each other whatever their order.
package enum SpanScheme: String, Sendable, Hashable, Codable {
    case none
    /// The tokens of each run of features (Gemma 3).
    case images
    /// The whole prompt (PaliGemma).
    case prompt
}

/// How token positions are counted.
package enum PositionScheme: Sendable, Hashable, Codable {
    /// `start`, `start + 1`, … on one axis.
    case sequential(start: Int)
    /// Three axes (time, height, width); an image spans its merged grid (HF `Qwen2VLModel.get_rope_index`).
    case mrope(mergeSize: Int)
    /// One axis for each set of rotary frequencies: positions 0, 1, … stand on that of the sequence's length and are 0 on the others.
    case byLength(LengthAxes)

    /// Number of position rows per token.
    package var axes: Int {
        switch self {
        case .sequential: 1
        case .mrope: 3
        case .byLength(let lengths): lengths.longest.count + 1
        }
    }

    /// Which axis positions stand on, where lengths tell.
    package var lengths: LengthAxes? {
        if case .byLength(let lengths) = self { lengths } else { nil }
    }
}

/// Which of several axes a sequence's positions stand on, by its length.
package struct LengthAxes: Sendable, Hashable, Codable {
    /// The longest sequences of all axes but the last; they rise.
    package var longest: [Int]
    /// Whether all tokens count, so that a sequence that outgrows its axis is computed again (longrope), or those of the prompt alone (the
    /// first Qwen).
    package var grows: Bool

    package init(longest: [Int], grows: Bool) {
        self.longest = longest
        self.grows = grows
    }

    package func axis(prompt: Int, known: Int) -> Int {
        let length = grows ? known : prompt
        return longest.firstIndex { length <= $0 } ?? longest.count
    }
}

/// Sampling defaults of generation_config.json; nil where the file is silent.
package struct GenerationDefaults: Sendable, Hashable, Codable {
    package var doSample: Bool?
    package var temperature: Double?
    package var topP: Double?
    package var topK: Int?
    package var minP: Double?
    package var repetitionPenalty: Double?
    package var maxNewTokens: Int?

    package init(
        doSample: Bool? = nil, temperature: Double? = nil, topP: Double? = nil, topK: Int? = nil, minP: Double? = nil,
        repetitionPenalty: Double? = nil, maxNewTokens: Int? = nil
    ) {
        self.doSample = doSample
        self.temperature = temperature
        self.topP = topP
        self.topK = topK
        self.minP = minP
        self.repetitionPenalty = repetitionPenalty
        self.maxNewTokens = maxNewTokens
    }

    /// The same with what `other` says; a temperature there is one to sample by.
    package func overridden(by other: GenerationDefaults) -> GenerationDefaults {
        GenerationDefaults(
            doSample: other.doSample ?? (other.temperature == nil ? doSample : nil), temperature: other.temperature ?? temperature,
            topP: other.topP ?? topP, topK: other.topK ?? topK, minP: other.minP ?? minP,
            repetitionPenalty: other.repetitionPenalty ?? repetitionPenalty, maxNewTokens: other.maxNewTokens ?? maxNewTokens)
    }
}
