internal import HTTPTypes

/// A route of the server: where it is, what it takes and what it answers with.
///
/// The router serves endpoints and nothing else, and the OpenAPI document lists them.
enum Endpoint: CaseIterable, Sendable {
    case chat, responses, completions, embeddings, generate, messages, countMessages, tokenize, detokenize
    case models, model, health, ready, live, ping, version, load, metrics
    case playground, document, documentPage

    /// The route, as the router spells it.
    var path: String {
        switch self {
        case .chat: "/v1/chat/completions"
        case .responses: "/v1/responses"
        case .completions: "/v1/completions"
        case .embeddings: "/v1/embeddings"
        case .generate: "/generate"
        case .messages: "/v1/messages"
        case .countMessages: "/v1/messages/count_tokens"
        case .tokenize: "/tokenize"
        case .detokenize: "/detokenize"
        case .models: "/v1/models"
        case .model: "/v1/models/**"
        case .health: "/health"
        case .ready: "/ready"
        case .live: "/live"
        case .ping: "/ping"
        case .version: "/version"
        case .load: "/load"
        case .metrics: "/metrics"
        case .playground: "/"
        case .document: "/openapi.json"
        case .documentPage: "/docs"
        }
    }

    /// HEAD is answered wherever GET is.
    var methods: [HTTPRequest.Method] {
        if body != nil { return [.post] }
        return self == .ping ? [.get, .post] : [.get]
    }

    /// What it does, in a line.
    var summary: String {
        switch self {
        case .chat: "Answers a chat of texts and images."
        case .responses: "Answers a chat in the form of OpenAI's Responses; nothing is kept."
        case .completions: "Goes on from a text."
        case .embeddings: "Tells what a text, or a chat, is to the model as numbers."
        case .generate: "Goes on from a text, in the form of vLLM's plain server."
        case .messages: "Answers a chat in Anthropic's form."
        case .countMessages: "Counts the tokens of a chat in Anthropic's form."
        case .tokenize: "Turns a text, or a chat, into tokens."
        case .detokenize: "Turns tokens into a text."
        case .models: "Lists the model that is served."
        case .model: "Tells of the model that is served."
        case .health, .ready, .ping: "Tells whether requests are answered: 503 while the server starts and while it stops."
        case .live: "Answers while the process lives."
        case .version: "Tells the version."
        case .load: "Counts the requests that are being answered."
        case .metrics: "Figures for Prometheus."
        case .playground: "A page to try the model with."
        case .document: "This document."
        case .documentPage: "A page that shows this document."
        }
    }

    /// What a request's body holds.
    struct Body: Sendable {
        /// The name of its schema.
        var name: String
        /// The fields that are read, and those that are not yet.
        var fields: FieldTable
        /// Those that must be there.
        var required: [String]
        /// Those of which exactly one must be there.
        var choice: [String] = []
    }

    var body: Body? {
        switch self {
        case .chat: Body(name: "ChatRequest", fields: .chat, required: ["model", "messages"])
        case .responses: Body(name: "ResponseRequest", fields: .responses, required: ["model", "input"])
        case .completions: Body(name: "CompletionRequest", fields: .completion, required: ["model", "prompt"])
        case .embeddings: Body(name: "EmbeddingRequest", fields: .embeddings, required: ["model"], choice: ["input", "messages"])
        case .generate: Body(name: "GenerateRequest", fields: .generate, required: ["prompt"])
        case .messages: Body(name: "MessageRequest", fields: .messages, required: ["model", "messages", "max_tokens"])
        case .countMessages: Body(name: "MessageCountRequest", fields: .countedMessages, required: ["model", "messages"])
        case .tokenize: Body(name: "TokenizeRequest", fields: .tokenize, required: [], choice: ["prompt", "messages"])
        case .detokenize: Body(name: "DetokenizeRequest", fields: .detokenize, required: ["tokens"])
        default: nil
        }
    }

    /// The form of an answer.
    enum Answer: Sendable {
        /// JSON of a schema, and server-sent events where a request says `stream`.
        case json(String, streams: Bool)
        case text(String)
    }

    var answer: Answer {
        switch self {
        case .chat: .json("ChatCompletion", streams: true)
        case .responses: .json("Response", streams: true)
        case .completions: .json("Completion", streams: true)
        case .embeddings: .json("Embeddings", streams: false)
        case .generate: .json("Generated", streams: true)
        case .messages: .json("Message", streams: true)
        case .countMessages: .json("MessageCount", streams: false)
        case .tokenize: .json("Tokens", streams: false)
        case .detokenize: .json("Text", streams: false)
        case .models: .json("Models", streams: false)
        case .model: .json("Model", streams: false)
        case .health, .ready, .ping: .json("Health", streams: false)
        case .live: .json("Status", streams: false)
        case .version: .json("Version", streams: false)
        case .load: .json("Load", streams: false)
        case .metrics: .text("text/plain")
        case .playground, .documentPage: .text("text/html")
        case .document: .json("Document", streams: false)
        }
    }

    /// Whether a server that is not ready answers with 503 in the form of its answer.
    var tellsOfReadiness: Bool { [.health, .ready, .ping].contains(self) }
}
