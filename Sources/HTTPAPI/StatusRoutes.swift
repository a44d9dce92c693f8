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
        router.serve(.load) { _, _ in Response.json(["server_load": .int(model.requestCount)]) }
        router.serve(.metrics) { _, _ in metrics() }
        router.serve(.models) { request, _ in Response.json(list(isOfMessages: Self.isOfMessages(request))) }
        router.serve(.model) { request, context in
            let card = try card(named: context.parameters.getCatchAll().joined(separator: "/"))
            return .json(written(card, isOfMessages: Self.isOfMessages(request)))
        }
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

    /// What Anthropic's clients send with each request.
    private static func isOfMessages(_ request: Request) -> Bool { HTTPField.Name("anthropic-version").map { request.headers[$0] != nil } ?? false }

    /// - Parameter isOfMessages: whether Anthropic's fields stand beside OpenAI's.
    private func list(isOfMessages: Bool) -> JSONValue {
        let cards = ([card] + model.adapters.map(card)).map { written($0, isOfMessages: isOfMessages) }
        guard isOfMessages else { return ["object": "list", "data": .array(cards)] }
        return ["object": "list", "data": .array(cards), "has_more": false, "first_id": cards.first?["id"] ?? .null, "last_id": cards.last?["id"] ?? .null]
    }

    private func written(_ card: JSONValue, isOfMessages: Bool) -> JSONValue {
        guard isOfMessages, var object = card.objectValue else { return card }
        object["type"] = "model"
        object["display_name"] = object["id"]
        object["created_at"] = .string(Date(timeIntervalSince1970: TimeInterval(created)).ISO8601Format())
        return .object(object)
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

    private func card(named name: String) throws -> JSONValue {
        let name = name.removingPercentEncoding ?? name
        try model.check(name: name)
        return model.adapter(named: name).map(card) ?? card
    }
}

extension Response {
    /// In Prometheus' text format.
    static func metrics(_ text: String) -> Response {
        Response(
            status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"], body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
}
