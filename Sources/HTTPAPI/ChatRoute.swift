internal import Budgets
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
internal import Inputs
internal import NIOCore
internal import Serving

/// `POST /v1/chat/completions`.
struct ChatRoute: Sendable {
    let model: ServedModel
    let workers: WorkerPool
    /// Bounds bodies that arrive or wait to be parsed: what arrives beyond it is refused, or the slow give way.
    let arriving: ArrivingBodies
    /// Bounds what is made of them: requests wait for their turn.
    let working: ByteBudget
    let maxBodyBytes: Int
    /// Processor time that one request's preparation may take, and how long its turn and it may take together.
    let preparationLimit: Duration
    let preparationDeadline: Duration
    /// Whether answers say how many prompt tokens were cached, which tells one client what others asked.
    let reportsCachedTokens: Bool

    /// Bodies up to this are read among the short jobs; a text of this size takes some ten milliseconds.
    private static let shortBodyBytes = 1 << 18
    /// Most values of a body's JSON: a conversation of thousands of messages has tens of thousands.
    private static let maxBodyValues = 1 << 18

    /// What must be let go when the answer is written or given up.
    private struct Holdings: Sendable {
        var place: ServedModel.Place
        var bytes: ByteBudget.Reservation
    }

    private struct Prepared: Sendable {
        var request: ChatRequest
        var generation: GenerationRequest
    }

    func respond(_ request: Request, _ context: APIContext) async throws -> Response {
        try model.checkRoom()
        let body = try await read(request, context)
        let place = try model.enter()
        let (prepared, bytes) = try await prepare(body, context)
        let holdings = Holdings(place: place, bytes: bytes)
        let generation: Generation
        do throws(AdmissionError) {
            generation = try model.engine.submit(prepared.generation)
        } catch {
            throw APIError(error, maxTokensField: prepared.request.options.maxTokensField)
        }
        let answer = ChatResponse(
            id: "chatcmpl-" + UUID().uuidString.replacing("-", with: "").lowercased(), model: model.name,
            created: Int(Date().timeIntervalSince1970), reportsCachedTokens: reportsCachedTokens)
        if prepared.request.options.streams {
            return stream(generation, answer, withUsage: prepared.request.options.includesUsage, context, holdings)
        }
        return try await context.channel.onClientGone(generation.cancel) {
            try await whole(generation, answer, holdings)
        }
    }

    /// A body, and the room it takes.
    private struct Body: Sendable {
        var bytes: [UInt8] = []
        var room: ArrivingBodies.Room
    }

    private func read(_ request: Request, _ context: APIContext) async throws -> Body {
        if let announced = request.headers[.contentLength].flatMap({ Int($0) }), announced > maxBodyBytes {
            throw tooLarge("\(announced) bytes")
        }
        if let encoding = request.headers[.contentEncoding], encoding.lowercased() != "identity" {
            throw APIError.invalid(
                "bodies in Content-Encoding \(encoding.prefix(40)) are not read; send plain JSON", code: "unsupported_encoding",
                status: 415)
        }
        try? await context.channel.triggerUserOutboundEvent(ConnectionRules.BodyIsWelcome()).get()
        var body = Body(room: arriving.open(context.channel))
        for try await buffer in request.body {
            guard body.bytes.count + buffer.readableBytes <= maxBodyBytes else { throw tooLarge("more") }
            guard body.room.grow(by: buffer.readableBytes) else {
                throw APIError.overloaded("the server is busy: other requests fill the memory for request bodies")
            }
            body.bytes.append(contentsOf: buffer.readableBytesView)
        }
        guard body.room.complete() else { throw APIError(ConnectionRules.BodyGivesWay()) }
        return body
    }

    private func tooLarge(_ size: String) -> APIError {
        .invalid(
            "the body must be at most \(maxBodyBytes) bytes, not \(size)", code: "request_too_large", status: 413)
    }

    /// Prepares a body once there is room for what becomes of it, unless the client goes away before.
    private func prepare(_ body: Body, _ context: APIContext) async throws -> (Prepared, ByteBudget.Reservation) {
        try await context.channel.whileClientStays {
            // Parsed text, rendered text and decoded files together.
            let room = try await working.reserve(3 * body.bytes.count, peer: context.channel.peer)
            let prepared = try await prepare(body.bytes, context.channel.peer)
            room.settle(at: prepared.generation.heldBytes)
            return (prepared, room)
        }
    }

    /// Parses, decodes pictures and renders, away from the event loops.
    private func prepare(_ body: [UInt8], _ peer: String) async throws -> Prepared {
        guard let pipeline = model.pipeline else { throw APIError.unavailable("the server is loading") }
        let model = model
        let budget = WorkBudget(cpuLimit: preparationLimit, deadline: .now + preparationDeadline)
        var lane: WorkerPool.Lane = body.count <= Self.shortBodyBytes ? .short : .long
        let request = try await run(lane, peer, budget) { try Self.read(body, model, pipeline) }
        if !request.pictures.isEmpty { lane = .long }
        let (prepared, seconds) = try await run(lane, peer, budget) {
            let began = ContinuousClock.now
            let prepared = try Self.prepare(request, model, pipeline, budget)
            return (prepared, (ContinuousClock.now - began).seconds)
        }
        if !prepared.request.pictures.isEmpty {
            model.engine.updateMetrics { $0.imagePreprocess.observe(seconds) }
        }
        return prepared
    }

    private func run<Value: Sendable>(
        _ lane: WorkerPool.Lane, _ peer: String, _ budget: WorkBudget, _ work: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        do {
            return try await workers.run(lane, peer: peer, budget, work)
        } catch let error as WorkLimitError {
            throw APIError(.stopped(error) as InputError)
        }
    }

    private static func read(
        _ body: [UInt8], _ model: ServedModel, _ pipeline: InputPipeline
    ) throws(APIError) -> ChatRequest {
        let request = try ChatRequest(
            body, maxValues: maxBodyValues,
            AnswerOptions.Surroundings(
                sampling: pipeline.defaultSampling, vocabularySize: model.engine.configuration.vocabularySize,
                endTokens: pipeline.endTokens, seed: .random(in: 0 ... .max)))
        guard model.answers(to: request.model) else {
            throw .invalid(
                "the model \(request.model.prefix(200)) does not exist; this server has \(model.name)", param: "model",
                code: "model_not_found", status: 404)
        }
        return request
    }

    private static func prepare(
        _ request: ChatRequest, _ model: ServedModel, _ pipeline: InputPipeline, _ budget: WorkBudget
    ) throws(APIError) -> Prepared {
        let prompt: Prompt
        do throws(InputError) {
            prompt = try pipeline.prompt(
                messages: request.messages, pictures: request.pictures, salt: request.options.cacheSalt, budget: budget)
        } catch {
            throw APIError(error)
        }
        let room = model.engine.configuration.maxModelLength - prompt.ids.count
        let generation = try pipeline.generation(
            prompt, request.options, maxTokens: max(min(room, pipeline.defaultMaxTokens ?? room), 1), budget)
        return Prepared(request: request, generation: generation)
    }

    private func whole(
        _ generation: Generation, _ answer: ChatResponse, _ holdings: Holdings
    ) async throws -> Response {
        defer { withExtendedLifetime(holdings) {} }
        var text = ""
        for await event in generation.events {
            switch event {
            case .text(let piece): text += piece
            case .finished(let completion): return .json(answer.whole(text, completion))
            case .failed(let reason): throw APIError.failed(reason)
            }
        }
        throw CancellationError()
    }

    private func stream(
        _ generation: Generation, _ answer: ChatResponse, withUsage: Bool, _ context: APIContext, _ holdings: Holdings
    ) -> Response {
        let headers: HTTPFields = [.contentType: "text/event-stream; charset=utf-8", .cacheControl: "no-cache"]
        let body = ResponseBody { writer in
            defer { withExtendedLifetime(holdings) {} }
            let opening = ServerSentEvent.bytes(answer.opening(withUsage: withUsage))
            try await writer.write(ByteBuffer(bytes: opening))
            try await context.channel.onClientGone(generation.cancel) {
                for await event in generation.events {
                    try await writer.write(ByteBuffer(bytes: answer.bytes(of: event, withUsage: withUsage)))
                }
            }
            try await writer.finish(nil)
        }
        return Response(status: .ok, headers: headers, body: body)
    }
}

extension ChatResponse {
    /// What a stream says of one event.
    fileprivate func bytes(of event: GenerationEvent, withUsage: Bool) -> [UInt8] {
        switch event {
        case .text(let text): return ServerSentEvent.bytes(piece(text, withUsage: withUsage))
        case .finished(let completion):
            var bytes = ServerSentEvent.bytes(ending(completion, withUsage: withUsage))
            if withUsage { bytes += ServerSentEvent.bytes(counting(completion.usage)) }
            return bytes + ServerSentEvent.done
        case .failed(let reason): return ServerSentEvent.bytes(APIError.failed(reason).body) + ServerSentEvent.done
        }
    }
}
