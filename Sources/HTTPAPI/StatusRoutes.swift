internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
internal import Inputs
internal import JSON
internal import NIOCore
internal import Serving

/// Routes that say how the server is; they answer at every moment and touch neither engine nor workers.
struct StatusRoutes: Sendable {
    let model: ServedModel
    let version: String
    /// Seconds since 1970 at which the server began.
    let created: Int

    func add(to router: Router<APIContext>) {
        for endpoint in [Endpoint.health, .ready, .ping] {
            router.serve(endpoint) { _, _ in health() }
        }
        router.serve(.live) { _, _ in Response.json(["status": "ok"]) }
        router.serve(.version) { _, _ in Response.json(["version": .string(version)]) }
        router.serve(.load) { _, _ in Response.json(["server_load": .int(model.engine.inFlight)]) }
        router.serve(.metrics) { _, _ in metrics() }
        router.serve(.models) { _, _ in Response.json(["object": "list", "data": .array([card] + model.adapters.map(card))]) }
        router.serve(.model) { _, context in try card(named: context.parameters.getCatchAll().joined(separator: "/")) }
    }

    private func health() -> Response {
        let progress = model.progress
        let body: JSONValue = ["phase": .string(progress.phase), "progress": .double(progress.share)]
        if model.isReady { return .json(body) }
        var response = Response.json(body, status: .serviceUnavailable)
        response.headers[.retryAfter] = "1"
        return response
    }

    private func metrics() -> Response {
        let text = model.engine.metrics.text(modelName: model.name, process: ProcessUsage.current(), now: Date().timeIntervalSince1970)
        return .metrics(text)
    }

    private var card: JSONValue {
        [
            "id": .string(model.name), "object": "model", "created": .int(created), "owned_by": "vlm",
            "root": .string(model.root), "parent": nil, "max_model_len": .int(model.engine.configuration.maxModelLength),
        ]
    }

    private func card(_ adapter: ServedAdapter) -> JSONValue {
        [
            "id": .string(adapter.name), "object": "model", "created": .int(created), "owned_by": "vlm",
            "root": .string(adapter.root), "parent": .string(model.name), "max_model_len": .int(model.engine.configuration.maxModelLength),
        ]
    }

    private func card(named name: String) throws -> Response {
        let name = name.removingPercentEncoding ?? name
        try model.check(name: name)
        return .json(model.adapter(named: name).map(card) ?? card)
    }
}

extension Response {
    /// In Prometheus' text format.
    static func metrics(_ text: String) -> Response {
        Response(
            status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"], body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
}
