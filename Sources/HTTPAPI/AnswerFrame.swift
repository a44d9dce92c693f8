internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
internal import NIOHTTP1
internal import Serving

/// What all answers have in common, whoever gives them: who may ask, the request's name, errors in the form of their path, and headers for pages.
struct AnswerFrame: Sendable {
    let access: AccessRules

    /// A response, and why it is none to what was asked; nil where it is one.
    struct Framed {
        var response: Response
        var fault: APIError?
    }

    func answer(_ request: Request, _ id: RequestID, by respond: () async throws -> Response) async -> Framed {
        var framed: Framed
        do {
            if access.isPreflight(request.head) {
                framed = Framed(response: Response(status: .noContent, headers: try access.preflight(request.head)))
            } else {
                try access.check(request.head, path: request.uri.path)
                try RequestID.check(request.head)
                framed = Framed(response: try await respond())
            }
        } catch {
            let fault = Self.fault(error, request)
            framed = Framed(response: .error(fault, body: fault.body(onPath: request.uri.path)), fault: fault)
            if request.method == .head { framed.response = framed.response.createHeadResponse() }
        }
        for field in access.headers(for: request.head) where framed.response.headers[field.name] == nil { framed.response.headers.append(field) }
        framed.response.headers[RequestID.header] = id.text
        return framed
    }

    private static func fault(_ error: any Error, _ request: Request) -> APIError {
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
