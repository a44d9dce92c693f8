internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
internal import NIOHTTP1
internal import Serving

/// Checks access, turns every error into the form of its route, counts requests, and logs them without their content.
struct ErrorMapping: RouterMiddleware {
    typealias Context = APIContext

    let model: ServedModel
    let access: AccessRules
    let log: (@Sendable (LogLine) -> Void)?

    func handle(
        _ request: Request, context: APIContext, next: (Request, APIContext) async throws -> Response
    ) async throws -> Response {
        let began = ContinuousClock.now
        var response: Response
        var fault: String?
        var context = context
        let id = RequestID(request.head)
        context.requestID = id
        do {
            if access.isPreflight(request.head) {
                response = Response(status: .noContent, headers: try access.preflight(request.head))
            } else {
                try access.check(request.head, path: request.uri.path)
                try RequestID.check(request.head)
                response = try await next(request, context)
            }
        } catch {
            let answer = Self.answer(error, request)
            if answer.status != 404 || answer.code == "model_not_found" { fault = answer.text.logged }
            response = .error(answer, body: Self.isOfMessages(request.uri.path) ? answer.messagesBody : answer.body)
            if request.method == .head { response = response.createHeadResponse() }
        }
        for field in access.headers(for: request.head) where response.headers[field.name] == nil { response.headers.append(field) }
        response.headers[RequestID.header] = id.text
        let handler = context.endpointPath ?? "none"
        let status = response.status.code
        let (model, log) = (model, log)
        let line = RequestLine(id: id.text, method: request.method.rawValue, path: request.uri.path, status: status, fault: fault)
        let tally = context.tally
        response.body = response.body.noting {
            let seconds = (ContinuousClock.now - began).seconds
            model.engine.updateMetrics { metrics in
                metrics.http[Metrics.HTTPKey(handler: handler, status: status), default: 0] += 1
                metrics.httpDuration.observe(seconds)
            }
            log?(line.whole(seconds: seconds, tally.known))
        }
        return response
    }

    /// Whether a path's errors have Anthropic's form.
    private static func isOfMessages(_ path: String) -> Bool { path.split(separator: "/").prefix(2) == ["v1", "messages"] }

    private static func answer(_ error: any Error, _ request: Request) -> APIError {
        switch error {
        case let error as APIError: return error
        case let error as HTTPParserError: return APIError(error)
        case let error as ConnectionRules.BodyTimeout: return APIError(error)
        case let error as ConnectionRules.BodyGivesWay: return APIError(error)
        case let error as HTTPError where error.status == .notFound:
            return .invalid(
                "\(request.method.rawValue) \(request.uri.path.prefix(200)) is not served; see /v1/chat/completions, /v1/responses, /v1/messages, /v1/completions, /v1/embeddings, /v1/models",
                code: "not_found", status: 404)
        case let error as any HTTPResponseError:
            return .invalid("\(error)", status: error.status.code)
        case is CancellationError: return .unavailable("the request was cancelled")
        default: return .failed("the request failed: \(error)")
        }
    }
}

extension ResponseBody {
    /// The same body; `action` runs once it has been written, or could not be.
    fileprivate func noting(_ action: @escaping @Sendable () -> Void) -> ResponseBody {
        let body = self
        return ResponseBody(contentLength: contentLength) { writer in
            defer { action() }
            try await body.write(writer)
        }
    }
}
