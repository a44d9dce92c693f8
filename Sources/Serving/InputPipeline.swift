package import Budgets
internal import Execution
package import Inputs
package import JSON
package import Plan

extension IncrementalDecoder: TokenTextDecoder {}

/// Why a request does not become a prompt.
package enum InputError: Error, Sendable, CustomStringConvertible {
    case badImage(place: String, reason: String, isVideo: Bool = false)
    /// `quoting` is what may repeat words of the request, and follows a colon.
    case badPrompt(String, quoting: String? = nil)
    /// More than the context holds, told without tokenizing text or decoding images; `what` is `5 images`.
    case tooLong(what: String, leastTokens: Int, contextLength: Int)
    /// The images together have more pixels than one request may decode.
    case tooManyPixels(count: Int, limit: Int)
    /// The request costs too much, waited too long, or its client went away.
    case stopped(WorkLimitError)

    package var description: String {
        switch self {
        case .badImage(let place, let reason, _): "\(place): \(reason)"
        case .badPrompt(let reason, let quote): reason + (quote.map { ": \($0)" } ?? "")
        case .tooLong(let what, let tokens, let length):
            "the prompt's \(what) are at least \(tokens) tokens, but the model's context holds \(length) tokens"
                + AdmissionError.roomForAnswer
        case .tooManyPixels(let count, let limit):
            "the images have \(count) pixels together, more than the limit of \(limit); send fewer or smaller ones"
        case .stopped(let reason): reason.description
        }
    }
}

/// Turns messages and images into prompts, as the model was compiled to read them.
package struct InputPipeline: Sendable {
    /// What a chat template makes of messages, and of what else it may see.
    package typealias Render = @Sendable (_ messages: JSONValue, _ extra: JSONObject, WorkBudget) throws -> String

    package let spec: InputSpec
    /// What answers are like where requests do not say; at first the model's own.
    package var generation: GenerationDefaults
    /// Bounds of resized images where requests say no others; at first the processor's own.
    var bounds = PixelBounds()
    /// Which frames of video files are read where requests do not say; at first the processor's own.
    var sampling = FrameSampling.Request()
    /// Decodes video files.
    package var videoDecoder: any VideoDecoder = NoVideoDecoder()
    /// Told how long each image took to decode, and to prepare after that.
    package var onImageRead: @Sendable (_ decoding: Duration, _ preparing: Duration) -> Void = { _, _ in }
    /// The model's chat template, or that of a request.
    var template: TemplateUse
    /// Reads the source of a template.
    let parse: @Sendable (_ source: String) throws -> Render
    private let encode: @Sendable (String, Bool, WorkBudget) throws -> [Int32]
    /// Why no messages can be rendered; nil where they can.
    package internal(set) var refusal: String?
    private let newDecoder: @Sendable (TokenShowing) -> any TokenTextDecoder
    /// The bytes that a token stands for inside a text.
    package let tokenBytes: @Sendable (Int32) -> [UInt8]
    /// What answers must be, over the model's tokens.
    package let guides: GuideShelf
    let imageDecoder: ImageDecoder
    let reader: ImageReader?
    let videoReader: ImageReader?
    let maxPatches: Int
    let modelDigest: ContentDigest
    let contextLength: Int
    private let tokenBytesMax: Int?

    /// - Parameters:
    ///   - modelKey: tells models apart whose image embeddings differ.
    ///   - maxPatches: most patches of one image.
    ///   - maxImagePixels: more pixels than this are refused by an image's header alone.
    ///   - contextLength: tokens; what is certainly longer is refused before it is decoded or tokenized.
    ///   - refusal: why no messages can be rendered, which then is the answer to all of them; nil where they can.
    ///   - tokenBytesMax: most bytes of text that one token stands for; nil where bytes tell nothing about tokens.
    ///   - render: the chat template over `messages`, with the prompt for an answer appended, and over what else it may see.
    ///   - parse: reads the source of a template that takes the place of `render`.
    ///   - isSpecial: whether a token spells no text of an answer.
    ///   - tokenTrie: the tree of the tokens' texts, compiled; nil where it is to be built.
    ///   - encode: text with special tokens spelled out to ids, nothing added.
    package init(
        spec: InputSpec, modelKey: String, maxPatches: Int, maxImagePixels: Int, contextLength: Int = .max,
        tokenBytesMax: Int? = nil, refusal: String? = nil,
        render: @escaping Render,
        encode: @escaping @Sendable (String, _ addsSpecialTokens: Bool, WorkBudget) throws -> [Int32],
        newDecoder: @escaping @Sendable (TokenShowing) -> any TokenTextDecoder,
        tokenBytes: @escaping @Sendable (Int32) -> [UInt8], isSpecial: @escaping @Sendable (Int32) -> Bool = { _ in false },
        tokenTrie: @escaping @Sendable () -> [UInt8]? = { nil },
        parse: @escaping @Sendable (_ source: String) throws -> Render = { _ in throw InputError.badPrompt("no templates are read here") }
    ) {
        self.tokenBytes = tokenBytes
        let unspelled = spec.unspelledTokens
        guides = GuideShelf(vocabularySize: spec.vocabularySize, stored: tokenTrie) {
            unspelled.contains($0) || isSpecial($0) ? nil : tokenBytes($0)
        }
        self.spec = spec
        generation = spec.generation
        template = TemplateUse(render: render)
        self.parse = parse
        self.refusal = refusal
        self.newDecoder = newDecoder
        self.encode = encode
        imageDecoder = ImageDecoder(spec.image, maxPixels: maxImagePixels)
        reader = spec.image.map { ImageReader($0) }
        videoReader = spec.video.map { ImageReader($0.frames) }
        self.maxPatches = maxPatches
        self.contextLength = contextLength
        self.tokenBytesMax = tokenBytesMax
        modelDigest = ContentDigest { hasher in
            hasher.update(modelKey)
            hasher.update(spec.image.map { "\($0)" } ?? "")
            hasher.update(spec.video.map { "\($0)" } ?? "")
        }
    }

    /// The same with another choice of frames of video files where requests say none.
    package func sampling(_ sampling: FrameSampling.Request) -> InputPipeline {
        var pipeline = self
        pipeline.sampling = sampling
        return pipeline
    }

    /// The same with other bounds of resized images where requests say none; throws where the model's processor has none.
    package func bounding(_ bounds: PixelBounds) throws(ImageError) -> InputPipeline {
        guard bounds != PixelBounds() else { return self }
        guard let image = spec.image else { throw .noPixelBounds }
        _ = try image.bounded(by: bounds)
        var pipeline = self
        pipeline.bounds = bounds
        return pipeline
    }

    /// Tokens that end the model's texts.
    package var endTokens: [Int32] { spec.endTokenIDs }

    /// Sampling where requests do not say: the model's own, from its generation_config.json; greedy where that says so.
    package var defaultSampling: SamplingParameters {
        var sampling = SamplingParameters()
        sampling.temperature = generation.doSample == false ? 0 : Float(generation.temperature ?? 1)
        sampling.topP = Float(generation.topP ?? 1)
        sampling.topK = max(generation.topK ?? 0, 0)
        sampling.minP = Float(generation.minP ?? 0)
        sampling.repetitionPenalty = Float(generation.repetitionPenalty ?? 1)
        return sampling
    }

    /// Most tokens of an answer where the request sets no number; nil where the model does not either.
    package var defaultMaxTokens: Int? { generation.maxNewTokens.flatMap { $0 > 0 ? $0 : nil } }

    package func makeDecoder(_ showing: TokenShowing = TokenShowing()) -> any TokenTextDecoder { newDecoder(showing) }

    /// How the chat template tells the model of tools.
    package var tools: ToolForm { template.tools }

    /// The runs of tokens that spell a word, as it stands and behind a space, of which an output must hold none, as with vLLM's `bad_words`.
    /// The form behind a space counts where it does not end with the other one, which then is barred anyway.
    package func barred(_ words: [String], budget: WorkBudget) throws(InputError) -> [[Int32]] {
        var runs: [[Int32]] = []
        for word in words {
            let bare = String(word.drop { $0.isWhitespace })
            let plain = try tokens(of: bare, addsSpecialTokens: false, budget: budget)
            let spaced = try tokens(of: " " + bare, addsSpecialTokens: false, budget: budget)
            runs += Self.barred(plain, behindSpace: spaced)
        }
        return runs
    }

    package static func barred(_ plain: [Int32], behindSpace spaced: [Int32]) -> [[Int32]] {
        ([plain] + (spaced.suffix(plain.count) == plain[...] ? [] : [spaced])).filter { !$0.isEmpty }
    }

    /// The tokens of a text in which special tokens may be spelled out.
    ///
    /// - Parameter mayBeCut: whether it may have more than the context holds, being cut later.
    package func tokens(
        of text: String, addsSpecialTokens: Bool, mayBeCut: Bool = false, budget: WorkBudget
    ) throws(InputError) -> [Int32] {
        if !mayBeCut { try checkLength(of: text) }
        try Self.check(budget)
        do { return try encode(text, addsSpecialTokens, budget) } catch {
            try Self.check(budget)
            throw .badPrompt("\(error)")
        }
    }

    /// The prompt for messages in the template's form, whose images are `images` in order; every stage charges `budget`.
    /// Images of another `salt` are other images to the cache of embeddings. Only the last `truncatedTo` tokens are kept, where it is given.
    package func prompt(
        messages: JSONValue, form: PromptForm = PromptForm(), images: [EncodedImage], salt: String = "", truncatedTo most: Int? = nil,
        budget: WorkBudget = .generous()
    ) throws(InputError) -> Prompt {
        var prepared = try prepared(messages: messages, form: form, images: images, mayBeCut: most != nil, budget: budget)
        if let most {
            do { prepared = try prepared.truncated(to: most, spec: spec) } catch { throw .badPrompt("\(error)") }
        }
        return prompt(prepared, salt: salt)
    }

    /// A prepared prompt in the engine's terms.
    package func prompt(_ prepared: PreparedPrompt, salt: String = "") -> Prompt {
        Prompt(
            ids: prepared.tokens, positions: prepared.positions.ids, positionDelta: prepared.positions.delta,
            images: prepared.images.flatMap { images($0.image, $0.tokens, salt) }, spans: prepared.spans, lengths: spec.positions.lengths)
    }

    /// A prompt of tokens alone.
    package func prompt(tokens: [Int32]) -> Prompt {
        let positions = spec.positions.positions(count: tokens.count, images: [])
        let spans: [Range<Int>] = spec.spans == .prompt && !tokens.isEmpty ? [tokens.indices] : []
        return Prompt(
            ids: tokens, positions: positions.ids, positionDelta: positions.delta, spans: spans, lengths: spec.positions.lengths)
    }

    /// The text of tokens.
    package func text(of tokens: [Int32], _ showing: TokenShowing, budget: WorkBudget) throws(InputError) -> String {
        var decoder = makeDecoder(showing)
        var text = ""
        do {
            for token in tokens {
                try budget.check()
                text += try decoder.append(token)
            }
            return text + (try decoder.finish())
        } catch {
            try Self.check(budget)
            throw .badPrompt("\(error)")
        }
    }

    /// Tokens, positions and images of messages in the template's form.
    ///
    /// - Parameters:
    ///   - keepsPixels: whether the images' pixel values will be asked for.
    ///   - mayBeCut: whether the text may have more than the context holds, being cut later.
    package func prepared(
        messages: JSONValue, form: PromptForm = PromptForm(), images: [EncodedImage], keepsPixels: Bool = false, mayBeCut: Bool = false,
        budget: WorkBudget = .generous()
    ) throws(InputError) -> PreparedPrompt {
        if let refusal { throw .badPrompt(refusal) }
        let read = try read(images, keepsPixels, budget)
        let typed = TypedPlaceholders(messages, prompt: spec.image?.prompt, video: spec.video?.frames.prompt)
        let messages = template.forms.adapted(typed.messages, spec.image?.prompt)
        let text: String
        do {
            let last = form.continuesLast ? try FinalMessage(of: messages) : nil
            let rendered = try template.render(last?.messages ?? messages, form.extra, budget)
            text = try last?.end(of: rendered) ?? rendered
        } catch let fault as FinalMessageError {
            throw .badPrompt(fault.description)
        } catch {
            try Self.check(budget)
            throw .badPrompt("the chat template refuses these messages", quoting: "\(error)")
        }
        if !mayBeCut { try checkLength(of: text) }
        return try assembled(text, read, mark: typed.mark, adds: form.addsSpecialTokens, budget)
    }

    /// The same of a text that a template has rendered, in which what stands for the images may be written out.
    package func prepared(
        rendered text: String, images: [EncodedImage], keepsPixels: Bool = false, budget: WorkBudget = .generous()
    ) throws(InputError) -> PreparedPrompt {
        let read = try read(images, keepsPixels, budget)
        let collapsed = assembler(budget).collapsed(text, read)
        try checkLength(of: collapsed)
        return try assembled(collapsed, read, mark: nil, adds: nil, budget)
    }

    private func assembler(_ budget: WorkBudget) -> PromptAssembler {
        PromptAssembler(spec: spec) { [encode] text, adds in try encode(text, adds, budget) }
    }

    private func assembled(
        _ text: String, _ images: [ReadImage], mark: Unicode.Scalar?, adds: Bool?, _ budget: WorkBudget
    ) throws(InputError) -> PreparedPrompt {
        try Self.check(budget)
        do {
            return try assembler(budget).prepare(rendered: text, images: images, mark: mark, addsSpecialTokens: adds)
        } catch {
            try Self.check(budget)
            throw .badPrompt("\(error)")
        }
    }

    private func checkLength(of text: String) throws(InputError) {
        guard let tokenBytesMax else { return }
        let bytes = text.utf8.count
        let leastTokens = bytes / tokenBytesMax + (bytes % tokenBytesMax == 0 ? 0 : 1)
        guard leastTokens < contextLength else {
            throw .tooLong(what: "\(bytes) bytes of text", leastTokens: leastTokens, contextLength: contextLength)
        }
    }

    static func check(_ budget: WorkBudget) throws(InputError) {
        do { try budget.check() } catch { throw .stopped(error) }
    }
}
