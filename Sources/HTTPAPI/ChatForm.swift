package import JSON
internal import Serving

/// A form in which chats are asked for and answered: a body becomes the body of a chat request, which alone is checked and run.
protocol ChatForm: Sendable {
    associatedtype Writer: AnswerWriting
    /// What ids of answers begin with.
    static var idPrefix: String { get }

    static func translated(_ object: JSONObject) throws(APIError) -> ChatTranslation<Self>

    /// What writes the answers to a plan that was made of such a body.
    func writer(_ head: AnswerHead, _ texts: TokenTexts?, _ plan: AnswerPlan) -> Writer

    /// Bytes that the form holds until the answer is written, about.
    var heldBytes: Int { get }
}

/// What a body of some form means.
package struct ChatTranslation<Form: Sendable>: Sendable {
    var form: Form
    /// The body of a chat request.
    package var body: JSONObject
    package var names = GivenNames()
}

/// `POST /v1/chat/completions` itself.
struct ChatCompletions: ChatForm {
    static let idPrefix = "chatcmpl-"

    static func translated(_ object: JSONObject) -> ChatTranslation<ChatCompletions> { ChatTranslation(form: ChatCompletions(), body: object) }

    func writer(_ head: AnswerHead, _ texts: TokenTexts?, _ plan: AnswerPlan) -> ChatResponse {
        var writer = ChatResponse(head: head, texts: texts, toolCalls: plan.options.toolCalls, start: plan.options.start)
        writer.tellsThoughts = plan.options.tellsThoughts
        return writer
    }

    var heldBytes: Int { 0 }
}
