internal import JSON
internal import Serving

/// Answers the requests of a batch file as the server would, without a socket.
package struct BatchAnswers: Sendable {
    private let answers: AnswerRoute
    private let embeddings: EmbeddingRoute

    /// - Parameter options: the bounds of requests; what it says of connections means nothing.
    package init(model: ServedModel, options: APIServer.Options) {
        let intake = RequestIntake(model, options)
        answers = AnswerRoute(intake: intake, reportsCachedTokens: options.reportsCachedTokens)
        embeddings = EmbeddingRoute(intake: intake)
    }

    /// How often a request is tried that finds no room, and how long it waits for the next time.
    private static let (triesMax, pause) = (1200, Duration.milliseconds(250))

    /// The result of a line's request; one that finds no room is tried again.
    ///
    /// - Throws: `CancellationError` where the task is cancelled, which leaves the line without a result.
    package func result(_ line: BatchLine) async throws -> BatchResult {
        for attempt in 1... {
            do {
                return BatchResult(of: line, body: try await answer(line))
            } catch let error as APIError {
                try Task.checkCancellation()
                guard error.status == 429, attempt < Self.triesMax else { return BatchResult(of: line, error: error) }
                try await Task.sleep(for: Self.pause)
            }
        }
        throw CancellationError()
    }

    private func answer(_ line: BatchLine) async throws -> JSONValue {
        let arrival = RequestIntake.Arrival.file(line.body)
        switch line.endpoint {
        case .completions: return try await answers.answer(to: answers.complete(arrival))
        case .responses: return try await answers.answer(to: answers.chat(arrival, as: Responses.self))
        case .embeddings: return try await embeddings.answer(arrival)
        default: return try await answers.answer(to: answers.chat(arrival, as: ChatCompletions.self))
        }
    }
}
