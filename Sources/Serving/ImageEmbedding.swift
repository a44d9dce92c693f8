internal import Synchronization

extension Engine {
    /// f32[rows, image width]: what the only image of a prompt becomes; nothing else is computed of the prompt.
    ///
    /// Throws an `AdmissionError`, a `GenerationFailure`, or `CancellationError` where the task or the engine ends before.
    package func imageEmbeddings(of prompt: Prompt) async throws -> [Float] {
        precondition(prompt.images.count == 1, "a prompt of one image")
        let shown = Shown()
        let probe = Probe(readsImagesAlone: true) { finding in
            if case .image(_, let values) = finding { shown.put(values) }
        }
        let generation = try submit(GenerationRequest(prompt: prompt, maxTokens: 0, decoder: NoText(), probe: probe))
        for await event in generation.events {
            switch event {
            case .finished(let completion) where completion.reason != .abort: return shown.values
            case .failed(let failure): throw failure
            case .finished, .text, .token, .prompt: break
            }
        }
        throw CancellationError()
    }
}

/// What the engine's thread shows.
private final class Shown: Sendable {
    private let shown = Mutex<[Float]>([])

    var values: [Float] { shown.withLock { $0 } }

    func put(_ values: [Float]) { shown.withLock { $0 = values } }
}
