internal import Budgets
internal import Hummingbird
internal import Inputs
internal import JSON
internal import Serving

/// `POST /tokenize` and `POST /detokenize`, in the form of vLLM, and `POST /v1/messages/count_tokens` in Anthropic's.
struct TokenRoutes: Sendable {
    let intake: RequestIntake

    /// What is to be tokenized.
    private struct Source: Sendable {
        enum Content: Sendable {
            case text(String, addsSpecialTokens: Bool)
            case messages(JSONValue, [EncodedImage], TemplateFields)
        }
        var content: Content
        private var offer: ToolFields.Offer?

        init(_ object: JSONObject, _ model: ServedModel) throws(APIError) {
            let fields = FieldReader(object: object)
            try FieldTable.tokenize.check(object)
            if let name = try fields.string("model") { try model.check(name: name) }
            _ = try PixelFields.readBody(fields)
            guard fields.value("messages") != nil else {
                guard let text = try fields.string("prompt") else { throw .invalid("prompt or messages is required", param: "prompt") }
                content = .text(text, addsSpecialTokens: try fields.boolean("add_special_tokens") ?? true)
                return
            }
            guard fields.value("prompt") == nil else {
                throw .invalid("prompt and messages are not possible together", param: "prompt")
            }
            let (messages, images) = try MessageReader(fields).read(fields.value("messages"))
            var template = try TemplateFields(fields)
            offer = try ToolFields(fields: fields).read()
            if let offer { template.form.extra["tools"] = .array(offer.tools) }
            content = .messages(messages, images, template)
        }

        var images: [EncodedImage] {
            get {
                if case .messages(_, let images, _) = content { return images }
                return []
            }
            set {
                if case .messages(let messages, _, let template) = content { content = .messages(messages, newValue, template) }
            }
        }

        func tokens(_ pipeline: InputPipeline, _ budget: WorkBudget) throws(APIError) -> [Int32] {
            var pipeline = pipeline
            if case .messages(_, _, let template) = content {
                pipeline = try template.applied(to: pipeline, budget)
                if let offer { _ = try pipeline.tools.form(mustCall: offer.mustCall) }
            }
            let isText = if case .text = content { true } else { false }
            do throws(InputError) {
                switch content {
                case .text(let text, let adds): return try pipeline.tokens(of: text, addsSpecialTokens: adds, budget: budget)
                case .messages(let messages, let images, let template):
                    return try pipeline.prepared(messages: messages, form: template.form, images: images, budget: budget).tokens
                }
            } catch {
                throw APIError(error, place: isText ? "prompt" : "messages")
            }
        }
    }

    private struct Counted: Sendable {
        var source: Source
        var names: GivenNames
    }

    func tokenize(_ request: Request, _ context: APIContext) async throws -> Response {
        let (model, intake) = (intake.model, intake)
        let images = ImageFetching.Places<Source>(images: \Source.images)
        let (tokens, holdings) = try await intake.prepare(.connection(request, context), images: images) { object, _ throws(APIError) in
            let source = try Source(object, model)
            try intake.checkImages(source.images)
            return source
        } isLong: { !$0.images.isEmpty } make: { source, pipeline, budget throws(APIError) in
            try source.tokens(pipeline, budget)
        } heldBytes: { 64 * $0.count }
        defer { withExtendedLifetime(holdings) {} }
        return .json([
            "count": .int(tokens.count), "max_model_len": .int(model.engine.configuration.maxModelLength),
            "tokens": .array(tokens.map { .int(Int($0)) }),
        ])
    }

    func count(_ request: Request, _ context: APIContext) async throws -> Response {
        let (model, intake) = (intake.model, intake)
        let images = ImageFetching.Places<Counted>(images: \Counted.source.images, names: \Counted.names)
        let (count, holdings) = try await intake.prepare(.connection(request, context), images: images) { object, _ throws(APIError) in
            let translation = try Messages.counted(object)
            let source = try translation.names.renaming { () throws(APIError) in
                let source = try Source(translation.body, model)
                try intake.checkImages(source.images)
                return source
            }
            return Counted(source: source, names: translation.names)
        } isLong: { !$0.source.images.isEmpty } make: { read, pipeline, budget throws(APIError) in
            try read.names.renaming { () throws(APIError) in try read.source.tokens(pipeline, budget).count }
        } heldBytes: { _ in 0 }
        defer { withExtendedLifetime(holdings) {} }
        return .json(["input_tokens": .int(count)])
    }

    func detokenize(_ request: Request, _ context: APIContext) async throws -> Response {
        let model = intake.model
        let (text, holdings) = try await intake.prepare(.connection(request, context)) { object, _ throws(APIError) in
            let fields = FieldReader(object: object)
            try FieldTable.detokenize.check(object)
            if let name = try fields.string("model") { try model.check(name: name) }
            let reader = SamplingFields(fields: fields, vocabularySize: model.engine.configuration.vocabularySize)
            guard let tokens = try reader.tokens("tokens") else { throw .invalid("tokens is required", param: "tokens") }
            return tokens
        } isLong: { _ in false } make: { tokens, pipeline, budget throws(APIError) in
            do throws(InputError) {
                return try pipeline.text(of: tokens, TokenShowing(skipsSpecialTokens: false), budget: budget)
            } catch {
                throw APIError(error, place: "tokens")
            }
        } heldBytes: { $0.utf8.count }
        defer { withExtendedLifetime(holdings) {} }
        return .json(["prompt": .string(text)])
    }
}
