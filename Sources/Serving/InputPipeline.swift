package import Budgets
internal import Execution
package import Inputs
package import JSON
package import Plan

extension IncrementalDecoder: TokenTextDecoder {}

/// An image of a request as it came.
package struct EncodedImage: Sendable {
    /// An image file, of a kind that `ImageFormat` names, or where it still has to be had from.
    package var source: ImageSource
    /// Where the request holds it, such as `messages[0].content[1]`.
    package var place: String
    /// What the request says of the resized image's size.
    package var bounds: PixelBounds
    /// What the request gives in place of a file.
    package var embeddings: GivenEmbeddings?

    package init(source: ImageSource, place: String, bounds: PixelBounds = PixelBounds()) {
        (self.source, self.place, self.bounds) = (source, place, bounds)
    }

    package init(file: [UInt8], place: String) { self.init(source: .bytes(file), place: place) }

    package init(embeddings: GivenEmbeddings, place: String, bounds: PixelBounds = PixelBounds()) {
        self.init(source: .bytes([]), place: place, bounds: bounds)
        self.embeddings = embeddings
    }

    /// Throws where the file has not been fetched.
    fileprivate var file: [UInt8] {
        get throws(InputError) {
            guard case .bytes(let file) = source else { throw .badImage(place: place, reason: "the image has not been fetched") }
            return file
        }
    }
}

/// Why a request does not become a prompt.
package enum InputError: Error, Sendable, CustomStringConvertible {
    case badImage(place: String, reason: String)
    case badPrompt(String)
    /// More than the context holds, told without tokenizing text or decoding images; `what` is `5 images`.
    case tooLong(what: String, leastTokens: Int, contextLength: Int)
    /// The images together have more pixels than one request may decode.
    case tooManyPixels(count: Int, limit: Int)
    /// The request costs too much, waited too long, or its client went away.
    case stopped(WorkLimitError)

    package var description: String {
        switch self {
        case .badImage(let place, let reason): "\(place): \(reason)"
        case .badPrompt(let reason): reason
        case .tooLong(let what, let tokens, let length):
            "the prompt's \(what) are at least \(tokens) tokens, but the model's context holds \(length) tokens, "
                + "at least one of them generated"
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
    private var bounds = PixelBounds()
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
    private let imageDecoder: ImageDecoder
    private let reader: ImageReader?
    private let maxPatches: Int
    private let modelDigest: ContentDigest
    private let contextLength: Int
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
    ///   - encode: text with special tokens spelled out to ids, nothing added.
    package init(
        spec: InputSpec, modelKey: String, maxPatches: Int, maxImagePixels: Int, contextLength: Int = .max,
        tokenBytesMax: Int? = nil, refusal: String? = nil,
        render: @escaping Render,
        encode: @escaping @Sendable (String, _ addsSpecialTokens: Bool, WorkBudget) throws -> [Int32],
        newDecoder: @escaping @Sendable (TokenShowing) -> any TokenTextDecoder,
        tokenBytes: @escaping @Sendable (Int32) -> [UInt8], isSpecial: @escaping @Sendable (Int32) -> Bool = { _ in false },
        parse: @escaping @Sendable (_ source: String) throws -> Render = { _ in throw InputError.badPrompt("no templates are read here") }
    ) {
        self.tokenBytes = tokenBytes
        let spellsNothing = Set(spec.endTokenIDs + (spec.image.map { [$0.prompt.token] } ?? []))
        guides = GuideShelf(vocabularySize: spec.vocabularySize) { spellsNothing.contains($0) || isSpecial($0) ? nil : tokenBytes($0) }
        self.spec = spec
        generation = spec.generation
        template = TemplateUse(render: render)
        self.parse = parse
        self.refusal = refusal
        self.newDecoder = newDecoder
        self.encode = encode
        imageDecoder = ImageDecoder(spec.image, maxPixels: maxImagePixels)
        reader = spec.image.map { ImageReader($0) }
        self.maxPatches = maxPatches
        self.contextLength = contextLength
        self.tokenBytesMax = tokenBytesMax
        modelDigest = ContentDigest { hasher in
            hasher.update(modelKey)
            hasher.update(spec.image.map { "\($0)" } ?? "")
        }
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

    /// Reads an image as its request bounds it.
    private func reader(for image: EncodedImage, _ reader: ImageReader) throws(ImageError) -> ImageReader {
        let bounds = image.bounds.over(bounds)
        return bounds == PixelBounds() ? reader : ImageReader(try reader.spec.bounded(by: bounds))
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

    /// The runs of tokens that spell a word, as it stands and behind a space, of which an output must hold none; by the rules of vLLM's
    /// `bad_words`: the form behind a space counts where it has as many tokens and begins with another one.
    package func barred(_ words: [String], budget: WorkBudget) throws(InputError) -> [[Int32]] {
        var runs: [[Int32]] = []
        for word in words {
            let bare = String(word.drop { $0.isWhitespace })
            let plain = try tokens(of: bare, addsSpecialTokens: false, budget: budget)
            let spaced = try tokens(of: " " + bare, addsSpecialTokens: false, budget: budget)
            if !plain.isEmpty { runs.append(plain) }
            if !spaced.isEmpty, spaced.count == plain.count, spaced[0] != plain[0] { runs.append(spaced) }
        }
        return runs
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

    /// Most pixels of all images of one request together, in multiples of what one image may have.
    private static let pixelShare = 8

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
            images: prepared.images.map { image($0.image, $0.tokens, salt) }, spans: prepared.spans, lengths: spec.positions.lengths)
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
        let typed = TypedPlaceholders(messages, prompt: spec.image?.prompt)
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
            throw .badPrompt("the chat template refuses these messages: \(error)")
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

    /// Reads headers alone: thousands of small files, or a few of very many pixels, would keep a worker busy for minutes.
    private func checkHeaders(of images: [EncodedImage], _ budget: WorkBudget) throws(InputError) -> ImageCompany {
        guard let reader else { return .none }
        var sizes: [ImageSize] = []
        for image in images {
            try Self.check(budget)
            let file = try image.file
            sizes.append(
                try Self.placed(image) { () throws(ImageError) in
                    let size = if let given = image.embeddings { try given.size(reader.spec) } else { try self.size(of: file) }
                    // Throws for a size that cannot be read.
                    _ = try self.reader(for: image, reader).layout(width: size.width, height: size.height)
                    return size
                })
        }
        guard let first = images.first else { return .none }
        let company = try Self.placed(first) { () throws(ImageError) in try ImageCompany(reader.spec, of: sizes) }
        var tokens = 0
        for (image, size) in zip(images, sizes) {
            try Self.check(budget)
            tokens += try Self.placed(image) { () throws(ImageError) in
                let reader = try self.reader(for: image, reader)
                let layout = try reader.layout(width: size.width, height: size.height, among: company)
                guard layout.rows <= maxPatches else { throw .tooManyPatches(count: layout.rows, limit: maxPatches) }
                return FeatureTable(reader.spec, layout).count
            }
        }
        let pixels = sizes.reduce(0) { $0 + $1.width * $1.height }
        let pixelLimit = imageDecoder.maxPixels.multipliedReportingOverflow(by: Self.pixelShare)
        guard pixelLimit.overflow || pixels <= pixelLimit.partialValue else {
            throw .tooManyPixels(count: pixels, limit: pixelLimit.partialValue)
        }
        guard tokens < contextLength else {
            throw .tooLong(what: "\(images.count) images", leastTokens: tokens, contextLength: contextLength)
        }
        return company
    }

    /// By the header alone.
    private func size(of file: [UInt8]) throws(ImageError) -> ImageSize {
        let size = try imageDecoder.header(of: file).uprightSize
        return ImageSize(width: size.width, height: size.height)
    }

    /// What `body` throws as an error of the image's place.
    private static func placed<Result>(_ image: EncodedImage, _ body: () throws(ImageError) -> Result) throws(InputError) -> Result {
        do throws(ImageError) { return try body() } catch {
            if case .stopped(let reason) = error { throw .stopped(reason) }
            throw .badImage(place: image.place, reason: "\(error)")
        }
    }

    private func read(_ images: [EncodedImage], _ keepsPixels: Bool, _ budget: WorkBudget) throws(InputError) -> [ReadImage] {
        let company = try checkHeaders(of: images, budget)
        var read: [ReadImage] = []
        for image in images { read.append(try self.read(image, among: company, keepsPixels, budget)) }
        return read
    }

    private func read(
        _ image: EncodedImage, among others: ImageCompany, _ keepsPixels: Bool, _ budget: WorkBudget
    ) throws(InputError) -> ReadImage {
        guard let reader else {
            throw .badImage(place: image.place, reason: "the model reads text only")
        }
        let file = try image.file
        return try Self.placed(image) { () throws(ImageError) in
            if let given = image.embeddings { return try self.reader(for: image, reader).read(given, among: others, maxPatches: maxPatches) }
            let began = ContinuousClock.now
            let decoded = try imageDecoder.decode(file, budget: budget)
            let between = ContinuousClock.now
            let read = try self.reader(for: image, reader).read(decoded, among: others, maxPatches: maxPatches, keepsPixels: keepsPixels, budget: budget)
            onImageRead(between - began, .now - between)
            return read
        }
    }

    /// An image as a prompt of the tokens that stand for it and no others, and its size in pixels.
    package func imageAlone(_ image: EncodedImage, budget: WorkBudget) throws(InputError) -> (prompt: Prompt, size: ImageSize) {
        guard let spec = spec.image, let read = try read([image], false, budget).first else {
            throw .badImage(place: image.place, reason: "the model reads text only")
        }
        let ids = [Int32](repeating: spec.prompt.token, count: read.features.count)
        var prompt = prompt(tokens: ids)
        prompt.images = [self.image(read, TokenRanges([ids.indices]), "")]
        return (prompt, read.layout.size)
    }

    private func image(_ image: ReadImage, _ tokens: TokenRanges, _ salt: String) -> PromptImage {
        let digest = ContentDigest { hasher in
            hasher.update(modelDigest)
            hasher.update(salt)
            hasher.update(image.layout.size.width)
            hasher.update(image.layout.size.height)
            hasher.update(image.features.count)
            if let embeddings = image.embeddings {
                hasher.update("embeddings")
                embeddings.withUnsafeBytes { hasher.update($0) }
            }
            for tensor in image.input.tensors {
                switch tensor.values {
                case .bytes(let bytes): bytes.withUnsafeBytes { hasher.update($0) }
                case .integers(let integers): integers.withUnsafeBytes { hasher.update($0) }
                case .floats(let floats): floats.withUnsafeBytes { hasher.update($0) }
                }
            }
        }
        return PromptImage(tokens: tokens, digest: digest, input: image.input, embeddings: image.embeddings.map { Embeddings($0) })
    }
}
