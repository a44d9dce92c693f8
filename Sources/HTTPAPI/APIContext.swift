internal import Hummingbird
internal import HummingbirdCore
internal import Inputs
internal import JSON
internal import NIOCore

/// What a route knows of its request besides the request itself.
struct APIContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel
    /// Nil before the request's head was looked at.
    var requestID: RequestID?
    let tally = TokenTally()

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
    }
}

extension Router<APIContext> {
    /// Serves an endpoint by its methods, HEAD beside GET; any other method is answered 405 with `Allow`.
    func serve(_ endpoint: Endpoint, by respond: @escaping @Sendable (Request, APIContext) async throws -> Response) {
        let (path, methods) = (RouterPath(endpoint.path), endpoint.methods)
        for method in methods { on(path, method: method, use: respond) }
        let allowed = methods.contains(.get) ? methods + [.head] : methods
        let names = allowed.map(\.rawValue).joined(separator: ", ")
        let known: [HTTPRequest.Method] = [.get, .head, .post, .put, .delete, .patch, .options, .trace, .connect]
        for method in known + [HTTPRequest.Method("QUERY")].compactMap(\.self) where !allowed.contains(method) {
            on(path, method: method) { request, _ -> Response in
                throw APIError.wrongMethod(method.rawValue, path: request.uri.path, allowed: names)
            }
        }
    }
}

extension Response {
    /// A JSON answer with its length.
    static func json(_ value: JSONValue, status: HTTPResponse.Status = .ok) -> Response {
        Response(
            status: status, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: value.serialized)))
    }

    /// - Parameter body: the error in the form of its route.
    static func error(_ error: APIError, body: JSONValue) -> Response {
        var response = json(body, status: HTTPResponse.Status(code: error.status))
        if let seconds = error.retryAfter { response.headers[.retryAfter] = "\(seconds)" }
        if let allowed = error.allowed { response.headers[.allow] = allowed }
        if error.status == 401 { response.headers[.wwwAuthenticate] = "Bearer" }
        return response
    }
}
