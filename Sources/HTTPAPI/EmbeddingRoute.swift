internal import Foundation
internal import JSON
internal import Serving
internal import Synchronization

/// `POST /v1/embeddings`: the hidden state of each prompt's last token behind the model's last norm, of length 1.
struct EmbeddingRoute: Sendable {
    let intake: RequestIntake

    /// - Parameter tally: takes how many tokens were read; nil where nobody asks.
    func answer(_ arrival: RequestIntake.Arrival, _ tally: TokenTally? = nil) async throws -> JSONValue {
        let (model, intake) = (intake.model, intake)
        let images = ImageFetching.Places<EmbeddingRequest>(images: \EmbeddingRequest.images)
        let (plan, holdings) = try await intake.prepare(arrival, images: images) { object, _ throws(APIError) in
            let read = try EmbeddingRequest(object, vocabularySize: model.engine.configuration.vocabularySize)
            try intake.checkImages(read.images)
            try model.check(name: read.model)
            return read
        } isLong: { $0.isLong } make: { read, pipeline, budget throws(APIError) in
            var plan: EmbeddingRequest.Plan
            do throws(APIError) {
                plan = try read.plan(pipeline, contextLength: model.engine.configuration.maxModelLength, budget)
            } catch {
                throw error.withoutAnswer
            }
            plan.adapter = model.adapter(named: read.model)
            return plan
        } heldBytes: { $0.heldBytes }
        defer { withExtendedLifetime(holdings) {} }
        var (data, tokens) = ([JSONValue](), 0)
        // As many at once as are computed at once: others come between.
        let width = model.engine.configuration.maxSequences
        for start in stride(from: 0, to: plan.prompts.count, by: width) {
            let found = try await embeddings(of: start..<min(start + width, plan.prompts.count), plan)
            tokens += found.tokens
            for embedding in found.embeddings {
                data.append(["index": .int(data.count), "object": "embedding", "embedding": try Self.written(embedding, plan)])
            }
        }
        tally?.note(prompt: tokens, completion: 0)
        return [
            "id": .string("embd-" + arrival.id(plan.requestID)), "object": "list",
            "created": .int(Int(Date().timeIntervalSince1970)), "model": .string(plan.adapter?.name ?? model.name), "data": .array(data),
            "usage": ["prompt_tokens": .int(tokens), "total_tokens": .int(tokens), "completion_tokens": 0],
        ]
    }

    private func embeddings(of range: Range<Int>, _ plan: EmbeddingRequest.Plan) async throws -> (embeddings: [[Float]], tokens: Int) {
        let shelf = Shelf()
        let groups = plan.prompts[range].enumerated().map { index, prompt in
            var request = GenerationRequest(
                prompt: prompt, maxTokens: 0, decoder: NoText(), cacheSalt: plan.cacheSalt,
                probe: Probe(readsHidden: true) { finding in
                    if case .hidden(let values) = finding { shelf.put(values, index) }
                })
            request.adapter = plan.adapter?.chosen
            return GenerationGroup(request)
        }
        let generation: BranchedGeneration
        do throws(AdmissionError) { generation = try intake.model.engine.submit(groups) } catch {
            let fault = APIError(error, place: plan.field).withoutAnswer
            guard plan.prompts.count > 1, let index = intake.model.engine.firstRefused(groups) else { throw fault }
            throw fault.ofPrompt(range.lowerBound + index, in: plan.field)
        }
        var (left, tokens) = (groups.count, 0)
        for await item in generation.events {
            switch item.event {
            case .finished(let completion):
                tokens += completion.usage.promptTokens
                left -= 1
            case .failed(let reason):
                generation.cancel()
                throw APIError(reason)
            case .token, .prompt, .text: break
            }
        }
        guard left == 0 else { throw CancellationError() }
        return (try groups.indices.map { try shelf.take($0) }, tokens)
    }

    private static func written(_ embedding: [Float], _ plan: EmbeddingRequest.Plan) throws(APIError) -> JSONValue {
        let length = embedding.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
        guard length.isFinite else { throw .failed("the model's output holds no numbers") }
        let scale = plan.isNormalized ? 1 / max(length, 1e-12) : 1
        let values = embedding.map { Float(Double($0) * scale) }
        switch plan.encoding {
        case .float: return .array(values.map { .double(Double($0)) })
        case .base64:
            let bytes = values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) } }
            return .string(Data(bytes).base64EncodedString())
        }
    }
}

extension APIError {
    /// The same of a prompt behind which nothing is generated.
    fileprivate var withoutAnswer: APIError {
        var error = self
        error.text = text.replacing(AdmissionError.roomForAnswer, with: "")
        return error
    }
}

/// What the engine's thread shows of each prompt.
private final class Shelf: Sendable {
    private let values = Mutex<[Int: [Float]]>([:])

    func put(_ hidden: [Float], _ index: Int) { values.withLock { $0[index] = hidden } }

    func take(_ index: Int) throws(APIError) -> [Float] {
        guard let hidden = values.withLock({ $0[index] }) else { throw .failed("the model has shown no hidden state") }
        return hidden
    }
}
