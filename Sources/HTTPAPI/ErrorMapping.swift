internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
internal import Serving

/// Frames what the routes answer, counts requests, and logs them without their content.
struct ErrorMapping: RouterMiddleware {
    typealias Context = APIContext

    let model: ServedModel
    let frame: AnswerFrame
    let log: (@Sendable (LogLine) -> Void)?

    func handle(
        _ request: Request, context: APIContext, next: (Request, APIContext) async throws -> Response
    ) async throws -> Response {
        let began = ContinuousClock.now
        var context = context
        let id = RequestID(request.head)
        context.requestID = id
        let framed = await frame.answer(request, id) { try await next(request, context) }
        var response = framed.response
        let handler = context.endpointPath ?? "none"
        let status = response.status.code
        let (model, log) = (model, log)
        let fault = framed.fault.flatMap { $0.status != 404 || $0.code == "model_not_found" ? $0.text.logged : nil }
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
