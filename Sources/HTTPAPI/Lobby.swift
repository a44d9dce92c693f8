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

    /// Opens the port and does the work beside it; the port stays open, for a server to take.
    ///
    /// - Parameter work: may block; is told the port, and runs on a thread of its own.
    /// - Throws: `ListenError` when the address cannot be had, before the work begins, and what the work throws; then the port is closed.
    package func open<Value: Sendable>(while work: @escaping @Sendable (_ port: Int) throws -> Value) async throws -> (value: Value, port: OpenPort) {
        let port = try await OpenPort(options, options.access, CallbackResponder { request, _ in await answer(to: request) })
        let result = await withCheckedContinuation { continuation in
            Thread { continuation.resume(returning: Result { try work(port.number) }) }.start()
        }
        do { return (try result.get(), port) } catch {
            await port.close()
            throw error
        }
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
