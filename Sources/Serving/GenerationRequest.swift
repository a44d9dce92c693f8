package import Plan

/// A prompt in the engine's terms.
package struct Prompt: Sendable {
    /// Token ids, placeholder tokens of images already repeated.
    package var ids: [Int32]
    /// i32[axes, ids.count]: rotary positions, axis after axis.
    package var positions: [Int32]
    /// Rotary position minus index of every token that follows the prompt.
    package var positionDelta: Int32
    /// Which axis positions stand on, where lengths tell; the others are 0.
    package var lengths: LengthAxes?
    package var images: [PromptImage]
    /// Ranges of tokens that see each other whole, for models whose masks have spans; ascending and disjoint.
    package var spans: [Range<Int>]

    package init(
        ids: [Int32], positions: [Int32], positionDelta: Int32, images: [PromptImage] = [], spans: [Range<Int>] = [],
        lengths: LengthAxes? = nil
    ) {
        self.spans = spans
        self.ids = ids
        self.positions = positions
        self.positionDelta = positionDelta
        self.lengths = lengths
        self.images = images
    }

    /// A prompt without images: every axis counts the tokens.
    package init(text ids: [Int32], axes: Int) {
        let line = (0..<Int32(ids.count)).map { $0 }
        self.init(ids: ids, positions: Array(repeatElement(line, count: axes).joined()), positionDelta: 0)
    }
}

/// An image of a prompt, ready for the vision tower.
package struct PromptImage: Sendable {
    /// The prompt's tokens that stand for the image; as many as the image has embeddings.
    package var tokens: TokenRanges
    /// SHA-256 of canonical pixels, size, processor parameters and model.
    package var digest: ContentDigest
    /// What the vision entry reads of this image alone.
    package var input: VisionInput
    /// What the request gives in place of what the vision entry would make.
    package var embeddings: Embeddings?

    package init(tokens: TokenRanges, digest: ContentDigest, input: VisionInput, embeddings: Embeddings? = nil) {
        self.embeddings = embeddings
        self.tokens = tokens
        self.digest = digest
        self.input = input
    }
}

/// Turns a sequence of tokens into text, piece by piece, never splitting a character. Throws where the model's own rules for
/// that take too much.
package protocol TokenTextDecoder: Sendable {
    /// The text that is certain once `token` is known.
    mutating func append(_ token: Int32) throws -> String
    /// What is left at the end.
    mutating func finish() throws -> String
}

/// For requests whose text nobody reads.
package struct NoText: TokenTextDecoder {
    package init() {}

    package mutating func append(_ token: Int32) -> String { "" }
    package mutating func finish() -> String { "" }
}

/// What to generate for one prompt.
package struct GenerationRequest: Sendable {
    package var prompt: Prompt
    package var sampling: SamplingParameters
    package var rules = TokenRules()
    /// The search that finds the answers, of which the group's `count` best are shown; nil for answers of their own.
    package var beams: BeamParameters?
    /// Most tokens to generate, at least 1 of a search; with 0 the prompt alone is computed.
    package var maxTokens: Int
    /// Tokens that end the text, such as the model's end-of-text; ignored under `ignoresEnd`.
    package var endTokens: [Int32]
    package var ignoresEnd: Bool
    /// Further tokens that end the text, `ignoresEnd` or not.
    package var stopTokens: [Int32] = []
    /// Texts that end the text.
    package var stops: [String]
    /// Whether the stop string or the text of the stop token that was met is shown.
    package var includesStop = false
    package var decoder: any TokenTextDecoder
    /// How many of the likeliest tokens are told beside each token and its log probability, at most `likeliestMax`; nil for neither.
    package var logprobs: Int?
    /// The same of each token of the prompt but the first; nil for nothing. The prompt is computed whole then, whatever is cached.
    package var promptLogprobs: Int?
    /// Prompts share cached prefixes only under the same salt.
    package var cacheSalt: String
    /// Nil for the model as it is.
    package var adapter: ChosenAdapter?
    /// The smaller, the sooner it is computed, before what came earlier.
    package var priority = 0
    /// What is shown of the computation; nil for nothing.
    package var probe: Probe?

    package init(
        prompt: Prompt, sampling: SamplingParameters = SamplingParameters(), maxTokens: Int, endTokens: [Int32] = [],
        ignoresEnd: Bool = false, stops: [String] = [], decoder: any TokenTextDecoder, cacheSalt: String = "",
        probe: Probe? = nil
    ) {
        self.prompt = prompt
        self.sampling = sampling
        self.maxTokens = maxTokens
        self.endTokens = endTokens
        self.ignoresEnd = ignoresEnd
        self.stops = stops
        self.decoder = decoder
        self.cacheSalt = cacheSalt
        self.probe = probe
    }

    /// Whether the logits of all tokens of the prompt are read.
    var readsPrompt: Bool { promptLogprobs != nil || probe?.readsWholePrompt == true }

    /// Most tokens that prompt and output have together.
    var longest: Int { prompt.ids.count + maxTokens }

    /// Bytes that the request holds until it ends, about.
    package var heldBytes: Int {
        let tokens = MemoryLayout<Int32>.stride * (prompt.ids.count + prompt.positions.count)
        let ruleBytes = MemoryLayout<Int32>.stride * (2 * rules.biases.count + (rules.allowed?.count ?? 0) + rules.barred.reduce(0) { $0 + 8 + $1.count })
        let told = promptLogprobs.map { prompt.ids.count * (MemoryLayout<PromptToken>.stride + 32 + $0 * MemoryLayout<TokenLogprob>.stride) } ?? 0
        return prompt.images.reduce(4096 + tokens + ruleBytes + told) { sum, image in
            sum + image.input.byteCount + (image.embeddings?.byteCount ?? 0)
        }
    }
}

/// Why a text ended.
package enum FinishReason: String, Sendable, CaseIterable {
    /// An end token, a stop token or a stop string.
    case stop
    /// `maxTokens` or the end of the context.
    case length
    /// The server stopped or the client went away.
    case abort
}

/// What a request named as an end and its text met.
package enum StopCause: Sendable, Equatable {
    case text(String)
    case token(Int32)
}

/// How a request ended.
package struct Completion: Sendable {
    package var reason: FinishReason
    /// Nil where the model's own end or the length ended the text.
    package var stop: StopCause?
    package var usage: Usage
    /// The log probability of all tokens together; nil where none were asked for.
    package var logprob: Double?

    /// Whether the answer got as far as its first token, or needed none.
    package var hasBegun: Bool { reason != .abort || usage.completionTokens > 0 }

    package init(reason: FinishReason, stop: StopCause? = nil, usage: Usage, logprob: Double? = nil) {
        self.logprob = logprob
        self.reason = reason
        self.stop = stop
        self.usage = usage
    }
}

/// Tokens that a request took.
package struct Usage: Sendable, Equatable {
    package var promptTokens = 0
    package var completionTokens = 0
    /// Prompt tokens that the prefix cache held.
    package var cachedTokens = 0
    /// Prompt tokens that stand for images.
    package var imageTokens = 0
    /// Tokens of answers that are thoughts; nil where thoughts are not told apart.
    package var reasoningTokens: Int?

    package init() {}
}

/// Why a request failed.
package struct GenerationFailure: Error, Sendable, CustomStringConvertible {
    package let description: String
    /// Whether the request asks for what cannot be.
    package let isOfRequest: Bool

    package init(_ description: String, isOfRequest: Bool = false) {
        self.description = description
        self.isOfRequest = isOfRequest
    }
}

/// What a request yields, in order: any number of texts and tokens, then one end.
package enum GenerationEvent: Sendable {
    /// A token, before its text, where log probabilities were asked for.
    case token(TokenChoice)
    /// The prompt's next tokens, from its second one on, where their log probabilities were asked for; all come before the first token.
    case prompt([PromptToken])
    /// Text of one or more tokens, never empty.
    /// - tokens: the answer's so far, those whose text waits included.
    case text(String, tokens: Int)
    case finished(Completion)
    /// The request failed alone; the server goes on.
    case failed(GenerationFailure)

    /// Whether nothing follows.
    var isLast: Bool {
        switch self {
        case .text, .token, .prompt: false
        case .finished, .failed: true
        }
    }
}

/// A request at work.
package struct Generation: Sendable {
    /// Ends with exactly one `finished` or `failed`.
    package let events: AsyncStream<GenerationEvent>
    private let onCancel: @Sendable () -> Void

    init(events: AsyncStream<GenerationEvent>, onCancel: @escaping @Sendable () -> Void) {
        self.events = events
        self.onCancel = onCancel
    }

    /// Ends the request with reason `abort` and frees its memory within one step.
    package func cancel() { onCancel() }
}

/// Why a request is not accepted.
package enum AdmissionError: Error, Sendable, Equatable, CustomStringConvertible {
    case promptEmpty
    case promptTooLong(promptTokens: Int, maxModelLength: Int)
    case maxTokensTooLarge(maxTokens: Int, promptTokens: Int, maxModelLength: Int)
    /// More patches than a vision call takes.
    case imageTooLarge(index: Int, patches: Int, maxPatches: Int)
    /// Embeddings in place of an image have other rows than the model's.
    case embeddingsTooWide(index: Int, width: Int, modelWidth: Int)
    /// More tokens that see each other than a batch surely has room for.
    case spanTooLong(tokens: Int, limit: Int)
    case tokenOutOfRange(token: Int32, vocabularySize: Int)
    /// A prompt is to be read whose tokens see each other: they may have to be computed several times, which states of a sequence forbid.
    case promptNotReadable
    /// More answers than the engine ever takes at once.
    case tooManyAnswers(count: Int, limit: Int)
    /// A search has more beams than run at once.
    case tooManyBeams(width: Int, limit: Int)
    /// The beams of a search do not fit the KV cache together.
    case beamsTooLong(width: Int, tokens: Int, capacity: Int)
    case queueFull(waiting: Int)
    case notServing(EnginePhase)

    /// What is said of a prompt that is too long; not where nothing is generated behind it.
    package static let roomForAnswer = ", at least one of them generated"

    package var description: String {
        switch self {
        case .promptEmpty: "the prompt is empty"
        case .promptTooLong(let tokens, let length):
            "the prompt has \(tokens) tokens, but the model's context holds \(length) tokens" + Self.roomForAnswer
        case .maxTokensTooLarge(let maxTokens, let tokens, let length):
            "max_tokens \(maxTokens) is too large: the model's context holds \(length) tokens and the prompt has \(tokens)"
        case .imageTooLarge(let index, let patches, let maxPatches):
            "image \(index) has \(patches) patches, the model was compiled for at most \(maxPatches)"
        case .embeddingsTooWide(let index, let width, let modelWidth):
            "image \(index): image_embeds has rows of \(width) numbers, the model's have \(modelWidth)"
        case .spanTooLong(let tokens, let limit):
            "\(tokens) tokens of the prompt have to be computed at once, and a batch has room for \(limit); compile with a larger "
                + "--max-num-batched-tokens"
        case .tokenOutOfRange(let token, let size): "token \(token) is outside the vocabulary of \(size)"
        case .promptNotReadable:
            "the model keeps states of each sequence, so that prompts whose image tokens see each other have no log probabilities"
        case .tooManyAnswers(let count, let limit): "\(count) answers are asked for, more than the \(limit) that may wait and run at once"
        case .tooManyBeams(let width, let limit): "\(width) beams are asked for, and \(limit) sequences run at once (--max-num-seqs)"
        case .beamsTooLong(let width, let tokens, let capacity):
            "\(width) beams of up to \(tokens) tokens do not fit the KV cache of \(capacity) tokens together; ask for less max_tokens or fewer beams"
        case .queueFull(let waiting): "the server is busy: \(waiting) answers wait (--max-num-queued-reqs)"
        case .notServing(let phase): "the server is \(phase)"
        }
    }
}

/// Where the engine is in its life.
package enum EnginePhase: Sendable, Equatable, CustomStringConvertible {
    case loading
    case warming(done: Int, of: Int)
    case serving
    case draining
    case stopped
    case failed(String)

    package var description: String {
        switch self {
        case .loading: "loading"
        case .warming(let done, let count): "warming up (\(done) of \(count))"
        case .serving: "serving"
        case .draining: "draining"
        case .stopped: "stopped"
        case .failed(let why): "failed: \(why)"
        }
    }
}
