internal import Synchronization

/// A conversation with a model: each question is asked with all that was said before, which the model need not compute again.
public final class ChatSession: Sendable {
    private struct State {
        var messages: [Chat.Message] = []
        var isAnswering = false
    }

    private let model: ModelContainer
    private let instructions: String?
    private let parameters: GenerateParameters
    private let state = Mutex(State())

    /// - Parameter instructions: the system's message.
    public init(_ model: ModelContainer, instructions: String? = nil, generateParameters: GenerateParameters = GenerateParameters()) {
        (self.model, self.instructions, parameters) = (model, instructions, generateParameters)
    }

    /// What was said so far, without the instructions; an answer that was left stands as far as it was read.
    public var messages: [Chat.Message] { state.withLock { $0.messages } }

    /// Forgets what was said.
    public func clear() { state.withLock { $0.messages = [] } }

    /// The whole answer to a question.
    public func respond(to prompt: String, images: [UserInput.Image] = [], videos: [UserInput.Video] = []) async throws(ModelError) -> String {
        try await GenerateResult(try await streamDetails(to: prompt, images: images, videos: videos)).text
    }

    /// The answer's text as it grows.
    public func streamResponse(
        to prompt: String, images: [UserInput.Image] = [], videos: [UserInput.Video] = []
    ) async throws(ModelError) -> AsyncCompactMapSequence<GenerationStream, String> {
        try await streamDetails(to: prompt, images: images, videos: videos).compactMap { $0.chunk }
    }

    /// The answer as it grows, with what it took. Throws where another answer is still being read; a question that is refused was never said.
    public func streamDetails(to prompt: String, images: [UserInput.Image] = [], videos: [UserInput.Video] = []) async throws(ModelError) -> GenerationStream {
        let question = Chat.Message.user(prompt, images: images, videos: videos)
        let before = state.withLock { state -> [Chat.Message]? in
            guard !state.isAnswering else { return nil }
            state.isAnswering = true
            return state.messages
        }
        guard let before else { throw .input("the conversation's last question is still being answered") }
        let input = UserInput(chat: (instructions.map { [.system($0)] } ?? []) + before + [question])
        do throws(ModelError) {
            return try await model.generate(input: input, parameters: parameters) { [weak self] text in
                self?.note(before + [question, .assistant(text)])
            }
        } catch {
            note(before)
            throw error
        }
    }

    private func note(_ messages: [Chat.Message]) { state.withLock { $0 = State(messages: messages) } }
}
