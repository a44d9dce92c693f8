internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
internal import Inputs
internal import JSON
internal import NIOCore
internal import Serving

/// What answers requests for chats and for completions: a plan is made of the body, and its answers are written whole or as a stream.
struct AnswerRoute: Sendable {
    let intake: RequestIntake
    /// Whether answers say how many prompt tokens were cached, which tells one client what others asked.
    let reportsCachedTokens: Bool

    private var model: ServedModel { intake.model }

    /// A chat, read as one form says.
    private struct Read<Form: Sendable>: Sendable {
        var form: Form
        var names: GivenNames
        var chat: ChatRequest
    }

    /// What is made of it.
    private struct Made<Form: Sendable>: Sendable {
        var form: Form
        var plan: AnswerPlan
    }

    /// What one request asks, and how it is answered.
    struct Asked<Writer: AnswerWriting>: Sendable {
        let plan: AnswerPlan
        let writer: Writer
        fileprivate let holdings: RequestIntake.Holdings
    }

    func chat<Form: ChatForm>(_ arrival: RequestIntake.Arrival, as form: Form.Type) async throws -> Asked<Form.Writer> {
        let (model, intake) = (model, intake)
        let images = ImageFetching.Places<Read<Form>>(images: \Read<Form>.chat.images, names: \Read<Form>.names)
        let (made, holdings) = try await intake.prepare(arrival, images: images) { object, pipeline throws(APIError) in
            let translation = try Form.translated(object)
            return try translation.names.renaming { () throws(APIError) -> Read<Form> in
                let chat = try ChatRequest(translation.body, model.surroundings(pipeline))
                try intake.checkImages(chat.images)
                try model.check(name: chat.model)
                return Read(form: translation.form, names: translation.names, chat: chat)
            }
        } isLong: { !$0.chat.images.isEmpty || model.mustCompile($0.chat.options.guide) } make: { read, pipeline, budget throws(APIError) in
            var plan = try read.names.renaming { () throws(APIError) -> AnswerPlan in
                try read.chat.plan(pipeline, contextLength: model.engine.configuration.maxModelLength, budget)
            }
            plan.adapter = model.adapter(named: read.chat.model)
            plan.promptField = read.names.name(of: plan.promptField)
            plan.options.maxTokensField = read.names.name(of: plan.options.maxTokensField)
            return Made(form: read.form, plan: plan)
        } heldBytes: { $0.plan.heldBytes + $0.form.heldBytes }
        let writer = made.form.writer(head(Form.idPrefix, made.plan, arrival), texts(made.plan), made.plan)
        return Asked(plan: made.plan, writer: writer, holdings: holdings)
    }

    func complete(_ arrival: RequestIntake.Arrival) async throws -> Asked<CompletionResponse> {
        let (plan, holdings) = try await completion(arrival) { body throws(APIError) in body }
        let choices = plan.groups.count * plan.options.n
        return Asked(plan: plan, writer: CompletionResponse(head: head("cmpl-", plan, arrival), texts: texts(plan), choices: choices), holdings: holdings)
    }

    func generate(_ arrival: RequestIntake.Arrival) async throws -> Asked<GenerateResponse> {
        let name = model.name
        let (plan, holdings) = try await completion(arrival) { body throws(APIError) in try GenerateRequest(body, model: name).completion }
        return Asked(plan: plan, writer: GenerateResponse(choices: plan.options.n), holdings: holdings)
    }

    /// - Parameter translate: makes the body of a request for completions of a body.
    private func completion(
        _ arrival: RequestIntake.Arrival, _ translate: @escaping @Sendable (JSONObject) throws(APIError) -> JSONObject
    ) async throws -> (AnswerPlan, RequestIntake.Holdings) {
        let model = model
        return try await intake.prepare(arrival) { object, pipeline throws(APIError) in
            let read = try CompletionRequest(translate(object), model.surroundings(pipeline))
            try model.check(name: read.model)
            return read
        } isLong: { $0.prompts.sources.count > 1 || model.mustCompile($0.options.guide) } make: { read, pipeline, budget throws(APIError) in
            var plan = try read.plan(pipeline, contextLength: model.engine.configuration.maxModelLength, budget)
            plan.adapter = model.adapter(named: read.model)
            return plan
        } heldBytes: { $0.heldBytes }
    }

    private func head(_ prefix: String, _ plan: AnswerPlan, _ arrival: RequestIntake.Arrival) -> AnswerHead {
        AnswerHead(
            id: prefix + arrival.id(plan.options.requestID), model: plan.adapter?.name ?? model.name,
            created: Int(Date().timeIntervalSince1970), reportsCachedTokens: reportsCachedTokens, withUsage: plan.options.usage != .none,
            tellsTokenIDs: plan.options.returnsTokenIDs)
    }

    private func texts(_ plan: AnswerPlan) -> TokenTexts? {
        plan.options.logprobs == nil ? nil : tokenTexts
    }

    private var tokenTexts: TokenTexts? { model.pipeline.map { TokenTexts(bytes: $0.tokenBytes) } }

    /// The response to whoever asks over a connection.
    func response(to asked: Asked<some AnswerWriting>, _ context: APIContext) async throws -> Response {
        let generation = try submit(asked.plan)
        if asked.plan.options.streams { return stream(generation, asked, context) }
        return try await context.channel.onClientGone(generation.cancel) { .json(try await whole(generation, asked, context.tally)) }
    }

    /// The whole answer.
    func answer(to asked: Asked<some AnswerWriting>) async throws -> JSONValue {
        guard !asked.plan.options.streams else { throw APIError.invalid("stream must be false: the answer is written whole", param: "stream") }
        return try await whole(submit(asked.plan), asked)
    }

    private func submit(_ plan: AnswerPlan) throws(APIError) -> BranchedGeneration {
        do throws(AdmissionError) {
            return try model.engine.submit(plan.groups)
        } catch {
            let fault = APIError(error, place: plan.promptField, maxTokensField: plan.options.maxTokensField, answersField: plan.answersField)
            guard plan.groups.count > 1, let index = model.engine.firstRefused(plan.groups) else { throw fault }
            throw fault.ofPrompt(index, in: plan.promptField)
        }
    }

    private func whole(_ generation: BranchedGeneration, _ asked: Asked<some AnswerWriting>, _ tally: TokenTally? = nil) async throws -> JSONValue {
        defer { withExtendedLifetime(asked.holdings) {} }
        let plan = asked.plan
        let perPrompt = plan.options.bestOf
        var answers = plan.beginningAnswers
        var told: [[PromptToken]] = Array(repeating: [], count: plan.groups.count)
        var left = answers.count
        for await item in generation.events {
            switch item.event {
            case .token(let choice): if plan.options.tellsTokens { answers[item.branch].tokens.append(choice) }
            case .prompt(let tokens): told[item.branch / perPrompt] += tokens
            case .text(let piece, let tokens):
                answers[item.branch].text += piece
                answers[item.branch].thoughts?.read(piece, tokens: tokens)
            case .failed(let reason):
                generation.cancel()
                throw APIError(reason)
            case .finished(let completion):
                answers[item.branch].end(completion)
                left -= 1
            }
        }
        guard left == 0 else { throw CancellationError() }
        guard answers.contains(where: { $0.completion?.hasBegun ?? true }) else {
            throw APIError.unavailable("the server stopped before the answer began")
        }
        for (group, tokens) in told.enumerated() {
            let beginning = plan.beginning(ofPrompt: group, told: tokens) ?? AnswerBeginning()
            let logprobs = plan.options.promptLogprobs.flatMap { tokenTexts?.prompt(tokens, count: $0) }
            for branch in group * perPrompt..<(group + 1) * perPrompt {
                (answers[branch].beginning, answers[branch].promptLogprobs) = (beginning, logprobs)
            }
        }
        let usage = plan.usage(answers)
        tally?.note(usage)
        return try asked.writer.whole(plan.shown(answers), usage)
    }

    private func stream<Writer: AnswerWriting>(_ generation: BranchedGeneration, _ asked: Asked<Writer>, _ context: APIContext) -> Response {
        let headers: HTTPFields = [.contentType: Writer.framing.contentType, .cacheControl: "no-cache"]
        let body = ResponseBody { sink in
            defer { withExtendedLifetime(asked.holdings) {} }
            var stream = AnswerStream(asked.plan, asked.writer)
            let opening = stream.opening()
            if !opening.isEmpty { try await sink.write(ByteBuffer(bytes: opening)) }
            try await context.channel.onClientGone(generation.cancel) {
                for await item in generation.events {
                    let bytes = stream.bytes(of: item)
                    if !bytes.isEmpty { try await sink.write(ByteBuffer(bytes: bytes)) }
                    if stream.hasFailed { generation.cancel() }
                    if let usage = stream.usage { context.tally.note(usage) }
                }
            }
            // What was not read in time is lost, and the answer with it.
            guard stream.isOver else { throw CancellationError() }
            try await sink.finish(nil)
        }
        return Response(status: .ok, headers: headers, body: body)
    }
}
