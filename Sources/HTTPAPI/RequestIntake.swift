internal import Budgets
internal import CHeap
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
internal import Inputs
internal import JSON
internal import NIOCore
internal import Plan
internal import Serving

/// Takes bodies in and has something made of them, within bounds of memory and time; what all routes with a body share.
struct RequestIntake: Sendable {
    let model: ServedModel
    let workers: WorkerPool
    /// Bounds bodies that arrive or wait to be parsed: what arrives beyond it is refused, or the slow give way.
    let arriving: ArrivingBodies
    /// Bounds what is made of them: requests wait for their turn.
    let working: ByteBudget
    let maxBodyBytes: Int
    /// Gets images that requests only name.
    let fetching: ImageFetching
    /// Images, and videos, of one request; nil for as many as fit.
    let maxImages: Int?
    let maxVideos: Int?
    /// Processor time that one request's preparation may take, and how long its turn and it may take together.
    let preparationLimit: Duration
    let preparationDeadline: Duration

    /// Bodies up to this are read among the short jobs; a text of this size takes some ten milliseconds.
    private static let shortBodyBytes = 1 << 18
    /// Most values of a body's JSON: a conversation of thousands of messages has tens of thousands.
    static let maxBodyValues = 1 << 18

    init(_ model: ServedModel, _ options: APIServer.Options) {
        self.model = model
        workers = WorkerPool(count: options.workers, afterLongWork: vlm_heap_trim)
        arriving = ArrivingBodies(limit: options.maxHeldBytes / 2)
        working = ByteBudget(limit: options.maxHeldBytes / 2)
        maxBodyBytes = options.maxBodyBytes
        (maxImages, maxVideos) = (options.maxImages, options.maxVideos)
        fetching = ImageFetching(
            rules: options.media, engine: model.engine, arriving: arriving, bytesMax: options.maxBodyBytes, log: options.requestLog)
        preparationLimit = .nanoseconds(Int64(options.preparationCPUSeconds * 1e9))
        preparationDeadline = .nanoseconds(Int64(options.preparationSeconds * 1e9))
    }

    /// What must be let go when the answer is written or given up.
    struct Holdings: Sendable {
        fileprivate var place: ServedModel.Place
        fileprivate var bytes: ByteBudget.Reservation
    }

    /// Makes something of a request's body, in two steps away from the event loops: `read` takes the JSON, `make` what it describes.
    ///
    /// - Parameters:
    ///   - images: the images of what was read, which are fetched between the steps; nil for none.
    ///   - isLong: whether making takes longer than tokenizing a text.
    ///   - heldBytes: what is held until the answer is written.
    func prepare<Read: Sendable, Made: Sendable>(
        _ arrival: Arrival, images: ImageFetching.Places<Read>? = nil,
        read: @escaping @Sendable (JSONObject, InputPipeline) throws(APIError) -> Read, isLong: @escaping @Sendable (Read) -> Bool,
        make: @escaping @Sendable (Read, InputPipeline, WorkBudget) throws(APIError) -> Made, heldBytes: @escaping @Sendable (Made) -> Int
    ) async throws -> (Made, Holdings) {
        try model.checkRoom()
        let bytes: [UInt8], room: ArrivingBodies.Room?
        switch arrival {
        case .connection(let request, let context):
            let body = try await self.body(request, context)
            (bytes, room) = (body.bytes, body.room)
        case .file(let body):
            guard body.count <= maxBodyBytes else { throw tooLarge("\(body.count) bytes") }
            (bytes, room) = (body, nil)
        }
        let (place, peer) = (try model.enter(), arrival.peer)
        let (made, reserved) = try await arrival.whileClientStays {
            defer { withExtendedLifetime(room) {} }
            // Parsed text, rendered text and decoded files together.
            let room = try await working.reserve(3 * bytes.count, peer: peer)
            guard let pipeline = model.pipeline else { throw APIError.unavailable("the server is loading") }
            let deadline = ContinuousClock.now + preparationDeadline
            let budget = WorkBudget(cpuLimit: preparationLimit, deadline: deadline)
            let lane: WorkerPool.Lane = bytes.count <= Self.shortBodyBytes ? .short : .long
            let parsed = try await run(lane, peer, budget) { try read(try Self.object(bytes), pipeline) }
            // A model of texts refuses images wherever they are.
            let (whole, fetched) = try await fetch(pipeline.spec.image == nil ? nil : images, of: parsed, arrival, deadline)
            if fetched.bytes > 0 { room.settle(at: 3 * bytes.count + fetched.bytes) }
            let made = try await run(isLong(whole) ? .long : lane, peer, budget) { try make(whole, pipeline, budget) }
            withExtendedLifetime(fetched) {}
            room.settle(at: heldBytes(made))
            return (made, room)
        }
        return (made, Holdings(place: place, bytes: reserved))
    }

    /// Where a request comes from.
    enum Arrival: Sendable {
        case connection(Request, APIContext)
        /// The body of a request that lies in a file of this machine.
        case file([UInt8])

        /// What stands behind the kind in the answer's id: what the header says, else the body, else what no other answer has.
        func id(_ ofBody: String?) -> String {
            guard case .connection(_, let context) = self, let id = context.requestID else { return ofBody ?? AnswerHead.newID() }
            return id.isGiven ? id.text : ofBody ?? id.text
        }

        /// Nil where nobody waits at a connection.
        fileprivate var channel: (any Channel)? {
            if case .connection(_, let context) = self { context.channel } else { nil }
        }

        fileprivate var peer: String { channel?.peer ?? "" }

        fileprivate func whileClientStays<Value: Sendable>(_ work: @escaping @Sendable () async throws -> Value) async throws -> Value {
            if let channel { try await channel.whileClientStays(work) } else { try await work() }
        }
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

    /// What was read, with the files of the images that it names, which the client is told of by its own names.
    private func fetch<Read: Sendable>(
        _ places: ImageFetching.Places<Read>?, of read: Read, _ arrival: Arrival, _ deadline: ContinuousClock.Instant
    ) async throws -> (Read, ImageFetching.Fetched) {
        guard let places else { return (read, ImageFetching.Fetched()) }
        var read = read
        do {
            let fetched = try await fetching.fetch(&read[keyPath: places.images], on: arrival.channel, deadline: deadline)
            return (read, fetched)
        } catch let error as APIError {
            throw places.names.map { read[keyPath: $0].renamed(error) } ?? error
        }
    }

    /// A body, and the room it takes.
    private struct Body: Sendable {
        var bytes: [UInt8] = []
        var room: ArrivingBodies.Room
    }

    private func body(_ request: Request, _ context: APIContext) async throws -> Body {
        if let announced = request.headers[.contentLength].flatMap({ Int($0) }), announced > maxBodyBytes {
            throw tooLarge("\(announced) bytes")
        }
        if let encoding = request.headers[.contentEncoding], encoding.lowercased() != "identity" {
            throw APIError.invalid(
                "bodies in Content-Encoding \(quoted: encoding) are not read; send plain JSON", code: "unsupported_encoding",
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

    /// Throws for more images or videos than one request may hold.
    func checkImages(_ images: [EncodedImage]) throws(APIError) {
        let videos = images.count { $0.video != nil }
        for (count, most, kind) in [(images.count - videos, maxImages, "images"), (videos, maxVideos, "videos")] {
            guard let most, count > most else { continue }
            throw .invalid("messages hold \(count) \(kind), more than \(most) (--limit-mm-per-prompt)", param: "messages")
        }
    }

    private func tooLarge(_ size: String) -> APIError {
        .invalid(
            "the body must be at most \(maxBodyBytes) bytes, not \(size)", code: "request_too_large", status: 413)
    }

    private static func object(_ body: [UInt8]) throws(APIError) -> JSONObject {
        let json: JSONValue
        do {
            json = try JSONValue(parsing: body, countLimit: maxBodyValues)
        } catch {
            throw foreignForm(body) ?? .invalid("\(error)", code: "invalid_json")
        }
        guard let object = json.objectValue else {
            throw .invalid("the body must be a JSON object, not \(json.kind)")
        }
        return object
    }

    /// Tells whoever posts a form, by the first bytes of a body that is no JSON; nil for other bodies.
    private static func foreignForm(_ body: [UInt8]) -> APIError? {
        let isMultipart = body.starts(with: Array("--".utf8))
        let name = body.prefix { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "=") && !"{}[]\"".utf8.contains($0) }
        guard isMultipart || !name.isEmpty && body.dropFirst(name.count).first == UInt8(ascii: "=") else { return nil }
        return .invalid(
            "the body is a \(isMultipart ? "multipart" : "URL-encoded") form; send JSON with Content-Type: application/json",
            code: "unsupported_media_type", status: 415)
    }
}

extension ServedModel {
    /// Throws when a request names another model.
    func check(name: String) throws(APIError) {
        guard answers(to: name) else {
            throw .invalid(
                "the model \(name.prefix(200)) does not exist; this server has \(namesInWords)", param: "model", code: "model_not_found", status: 404)
        }
    }

    /// What requests may name, the adapters behind the model's names; ten of them at most.
    private var namesInWords: String {
        let all = (names + adapters.map(\.name)).reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }
        let more = all.count > Self.namesMax ? " and \(all.count - Self.namesMax) more" : ""
        return all.prefix(Self.namesMax).joined(separator: ", ") + more
    }

    private static var namesMax: Int { 10 }

    /// What answers to a request without fields of its own are like.
    func surroundings(_ pipeline: InputPipeline) -> AnswerOptions.Surroundings {
        AnswerOptions.Surroundings(
            sampling: pipeline.defaultSampling, vocabularySize: engine.configuration.vocabularySize, endTokens: pipeline.endTokens,
            seed: nextSeed(), reasoning: reasoning, takesPriorities: engine.configuration.schedulingPolicy == .priority)
    }
}
