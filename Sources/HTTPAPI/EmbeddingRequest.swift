internal import Budgets
internal import Foundation
internal import Inputs
internal import JSON
internal import Serving

/// A request for embeddings, checked: texts, or messages as chats have them.
struct EmbeddingRequest: Sendable {
    private enum Content: Sendable {
        case prompts(PromptSources, addsSpecialTokens: Bool)
        case messages(JSONValue, [EncodedImage], TemplateFields)
    }

    /// How numbers are written.
    enum Encoding: String, Sendable, CaseIterable {
        case float, base64
    }

    let model: String
    private var content: Content
    let encoding: Encoding
    /// Whether embeddings have length 1.
    let isNormalized: Bool
    private let cacheSalt: String
    private let truncation: PromptTokens
    private let requestID: String?

    private static let inputsMax = 2048
    private static let ofMessages = FieldTable.template.subtracting(["add_special_tokens"]).union(FieldTable.pixels).sorted()

    init(_ object: JSONObject, vocabularySize: Int) throws(APIError) {
        let fields = FieldReader(object: object)
        try FieldTable.embeddings.check(object)
        guard let model = try fields.string("model") else { throw .invalid("model is required", param: "model") }
        self.model = model
        _ = try PixelFields.readBody(fields)
        if fields.value("messages") == nil {
            content = .prompts(
                try PromptSources("input", fields, vocabularySize: vocabularySize, most: Self.inputsMax),
                addsSpecialTokens: try fields.boolean("add_special_tokens") ?? true)
            for name in Self.ofMessages where fields.value(name) != nil {
                throw .invalid("\(name) is of messages, not of input", param: name)
            }
        } else {
            guard fields.value("input") == nil else { throw .invalid("input and messages are not possible together", param: "input") }
            let (messages, images) = try MessageReader(fields).read(fields.value("messages"))
            var template = try TemplateFields(fields)
            // Nothing is generated, unless the request says how the prompt ends.
            if template.form.extra["add_generation_prompt"] == nil { template.form.extra["add_generation_prompt"] = false }
            content = .messages(messages, images, template)
        }
        let name = try fields.string("encoding_format") ?? Encoding.float.rawValue
        guard let encoding = Encoding(rawValue: name) else {
            throw .invalid("encoding_format must be float or base64, not \(quoted: name)", param: "encoding_format")
        }
        self.encoding = encoding
        isNormalized = try fields.boolean("normalize") ?? true
        cacheSalt = try fields.string("cache_salt") ?? ""
        truncation = try PromptTokens(fields)
        requestID = try AnswerOptions.requestID(fields)
    }

    var images: [EncodedImage] {
        get { if case .messages(_, let images, _) = content { images } else { [] } }
        set { if case .messages(let messages, _, let template) = content { content = .messages(messages, newValue, template) } }
    }

    /// Whether making prompts of it takes longer than tokenizing a text.
    var isLong: Bool {
        switch content {
        case .prompts(let prompts, _): prompts.sources.count > 1
        case .messages(_, let images, _): !images.isEmpty
        }
    }

    /// What is computed, and how it is told.
    struct Plan: Sendable {
        var prompts: [Prompt]
        var cacheSalt: String
        var encoding: Encoding
        var isNormalized: Bool
        var requestID: String?
        /// Nil for the model as it is.
        var adapter: ServedAdapter?
        /// The field that holds the prompts.
        var field: String

        var heldBytes: Int { prompts.reduce(0) { $0 + GenerationRequest(prompt: $1, maxTokens: 0, decoder: NoText()).heldBytes } }
    }

    func plan(_ pipeline: InputPipeline, contextLength: Int, _ budget: WorkBudget) throws(APIError) -> Plan {
        let kept = try truncation.most(contextLength: contextLength, answer: 0)
        var plan = Plan(
            prompts: [], cacheSalt: cacheSalt, encoding: encoding, isNormalized: isNormalized, requestID: requestID, field: "messages")
        switch content {
        case .prompts(let prompts, let adds):
            plan.field = prompts.name
            for index in prompts.sources.indices {
                plan.prompts.append(try prompts.prompt(index, addsSpecialTokens: adds, keeping: kept, pipeline, budget))
            }
        case .messages(let messages, let images, let template):
            let pipeline = try template.applied(to: pipeline, budget)
            do throws(InputError) {
                plan.prompts = [
                    try pipeline.prompt(messages: messages, form: template.form, images: images, salt: cacheSalt, truncatedTo: kept, budget: budget)
                ]
            } catch {
                throw APIError(error)
            }
        }
        return plan
    }
}
