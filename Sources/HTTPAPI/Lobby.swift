internal import Foundation
internal import Hummingbird
internal import HummingbirdCore
internal import JSON
internal import Serving

/// What answers on the port before there is a model: probes are told the phase, everybody else to come again.
package struct Lobby: Sendable {
    private let options: APIServer.Options
    private let progress: @Sendable () -> (phase: String, share: Double)
    private let began = ContinuousClock.now

    /// - Parameter progress: what is waited for, such as `compiling`, and how much of it is done, from 0 to 1.
    package init(_ options: APIServer.Options, progress: @escaping @Sendable () -> (phase: String, share: Double)) {
        self.options = options
        self.progress = progress
    }

    /// Opens the port, does the work beside it, closes the port and returns which it was.
    ///
    /// - Parameter work: may block; is told the port, and runs on a thread of its own.
    /// - Throws: `ListenError` when the address cannot be had, before the work begins, and what the work throws.
    package func open<Value: Sendable>(while work: @escaping @Sendable (_ port: Int) throws -> Value) async throws -> (value: Value, port: Int) {
        let (ports, announce) = AsyncThrowingStream<Int, any Error>.makeStream()
        let server = Task {
            do {
                try await options.serve(CallbackResponder<APIContext> { request, _ in await answer(to: request) }, options.access) { announce.yield($0) }
            } catch { announce.finish(throwing: error) }
            announce.finish()
        }
        var iterator = ports.makeAsyncIterator()
        guard let port = try await iterator.next() else { throw ListenError(host: options.host, port: options.port, reason: "the server stopped") }
        let result = await withCheckedContinuation { continuation in
            Thread { continuation.resume(returning: Result { try work(port) }) }.start()
        }
        server.cancel()
        await server.value
        return (try result.get(), port)
    }

    private func answer(to request: Request) async -> Response {
        let framed = await AnswerFrame(access: options.access).answer(request, RequestID(request.head)) {
            let response = try told(request.uri.path)
            return request.method == .head ? response.createHeadResponse() : response
        }
        var response = framed.response
        // Whoever asks again finds the model behind another connection.
        response.headers[.connection] = "close"
        return response
    }

    private func told(_ path: String) throws(APIError) -> Response {
        switch path {
        case Endpoint.live.path: return .json(["status": "ok"])
        case Endpoint.metrics.path: return .metrics(ProcessUsage.current().text)
        case Endpoint.health.path, Endpoint.ready.path, Endpoint.ping.path:
            let seconds = ((ContinuousClock.now - began).seconds * 10).rounded() / 10
            let (phase, share) = progress()
            var response = Response.json(["phase": .string(phase), "progress": .double(share), "seconds": .double(seconds)], status: .serviceUnavailable)
            response.headers[.retryAfter] = "1"
            return response
        default: throw .unavailable("the server is not ready: \(progress().phase)")
        }
    }
}
