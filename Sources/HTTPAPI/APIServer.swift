internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
package import MediaFetching
internal import ServiceLifecycle
internal import Serving

/// The HTTP server: OpenAI's and Anthropic's routes over a served model.
package struct APIServer: Service {
    package struct Options: Sendable {
        package var host = "127.0.0.1"
        /// 0 for any free port.
        package var port = 8000
        /// Connections beyond these wait to be accepted until others close; a few more may slip in at once.
        package var maxConnections = 4096
        package var maxBodyBytes = 64 << 20
        /// Images of one request; nil for as many as fit.
        package var maxImages: Int?
        /// Most videos of one request; nil for as many as fit.
        package var maxVideos: Int?
        /// Images that are fetched for requests; by default none.
        package var media = MediaRules()
        /// Bytes of all requests at once, in all their forms.
        package var maxHeldBytes = 1 << 30
        /// Threads that read texts, and as many again that decode images.
        package var workers = 2
        /// Seconds of processor time that preparing one request may take.
        package var preparationCPUSeconds = 30.0
        /// Seconds after which a request that is not prepared yet is refused as too late.
        package var preparationSeconds = 120.0
        /// Seconds without a byte of a body that is waited for, without the client taking a byte, without a request.
        package var bodyTimeoutSeconds = 30.0
        package var writeTimeoutSeconds = 120.0
        package var idleTimeoutSeconds = 75.0
        package var version = "0"
        package var access = AccessRules()
        /// What the server speaks; nil for plain HTTP.
        package var tls: ServerTLS?
        /// Whether answers say how many prompt tokens were cached.
        package var reportsCachedTokens = true
        /// Whether a page to try the model with is at `/`.
        package var hasPlayground = true
        /// Whether `/openapi.json` and `/docs` are there.
        package var hasDocuments = true
        /// Takes one line per request, and what went wrong beside them; nil for none.
        package var requestLog: (@Sendable (LogLine) -> Void)?
        /// Told the port once the server listens.
        package var onListening: @Sendable (_ port: Int) -> Void = { _ in }

        package init() {}
    }

    private let model: ServedModel
    private let options: Options
    private let port: OpenPort?

    /// - Parameter port: one that is open already, else the server opens that of the options.
    package init(model: ServedModel, options: Options, port: OpenPort? = nil) {
        self.model = model
        self.options = options
        self.port = port
    }

    /// Serves until graceful shutdown; throws `ListenError` when the address cannot be had.
    package func run() async throws {
        let access = options.access.telling(RefusalLog(engine: model.engine, log: options.requestLog))
        let responder = router().buildResponder()
        let open: OpenPort
        if let port {
            open = port
            open.answers(by: responder, access)
        } else {
            open = try await OpenPort(options, access, responder)
        }
        options.onListening(open.number)
        try await open.untilClosed()
    }

    private func router() -> Router<APIContext> {
        let router = Router(context: APIContext.self, options: .autoGenerateHeadEndpoints)
        router.add(middleware: ErrorMapping(model: model, frame: AnswerFrame(access: options.access), log: options.requestLog))
        StatusRoutes(model: model, version: options.version, created: Int(Date().timeIntervalSince1970)).add(to: router)
        addPages(to: router)
        let intake = RequestIntake(model, options)
        let answers = AnswerRoute(intake: intake, reportsCachedTokens: options.reportsCachedTokens)
        func serve<Form: ChatForm>(_ endpoint: Endpoint, as form: Form.Type) {
            router.serve(endpoint) { request, context in
                try await answers.response(to: answers.chat(.connection(request, context), as: form), context)
            }
        }
        serve(.chat, as: ChatCompletions.self)
        serve(.responses, as: Responses.self)
        serve(.messages, as: Messages.self)
        router.serve(.completions) { request, context in
            try await answers.response(to: answers.complete(.connection(request, context)), context)
        }
        let embeddings = EmbeddingRoute(intake: intake)
        router.serve(.embeddings) { request, context in .json(try await embeddings.answer(.connection(request, context), context.tally)) }
        router.serve(.generate) { request, context in
            try await answers.response(to: answers.generate(.connection(request, context)), context)
        }
        let tokens = TokenRoutes(intake: intake)
        router.serve(.countMessages) { request, context in try await tokens.count(request, context) }
        router.serve(.tokenize) { request, context in try await tokens.tokenize(request, context) }
        router.serve(.detokenize) { request, context in try await tokens.detokenize(request, context) }
        return router
    }

    /// The playground, and the document of what is served.
    private func addPages(to router: Router<APIContext>) {
        if options.hasPlayground {
            let playground = Playground.page
            router.serve(.playground) { request, _ in playground.response(to: request) }
        }
        guard options.hasDocuments else { return }
        let endpoints = Endpoint.allCases.filter { options.hasPlayground || $0 != .playground }
        let document = OpenAPIDocument(endpoints: endpoints, version: options.version, model: model.name, access: options.access).json
        let page = DocumentPage.page(of: document)
        router.serve(.document) { _, _ in Response.json(document) }
        router.serve(.documentPage) { request, _ in page.response(to: request) }
    }
}

/// Why the server cannot listen.
package struct ListenError: Error, CustomStringConvertible {
    package var host: String
    package var port: Int
    package var reason: String

    package var description: String {
        "cannot listen on \(host.contains(":") ? "[\(host)]" : host):\(port): \(reason); choose another --host or --port (0 for a free one)"
    }
}
