package import Serving
internal import Synchronization

/// What a model computed for a prompt and the tokens behind it.
package struct ModelOutputs: Sendable {
    /// f32[rows, image width] of each image, in order: its embeddings.
    package var images: [[Float]] = []
    /// f32[tokens, vocabulary]: logits of the prompt's tokens, where they were asked for.
    package var prompt: [Float] = []
    /// f32[vocabulary] for each token behind the prompt: what it was chosen from.
    package var steps: [[Float]] = []
    /// The likeliest tokens under the repetition penalty; nil where no logit is a number.
    package var choices: [Int32?] = []

    package init() {}
}

extension Session {
    /// Computes a prompt and what follows it, once the engine serves.
    ///
    /// - Parameters:
    ///   - continuation: the tokens behind the prompt, of which one more than are computed is read: at least one.
    ///   - gears: the least gear of each decode step, in turn; empty for any.
    ///   - repetitionPenalty: that of the model's own generation.
    ///   - adapter: nil for the model as it is.
    ///   - readsWholePrompt: whether the logits of all tokens of the prompt are wanted.
    package func outputs(
        of prompt: Prompt, continuation: [Int32], gears: [Int] = [], repetitionPenalty: Float = 1,
        adapter: ChosenAdapter? = nil, readsWholePrompt: Bool = false
    ) throws(SessionError) -> ModelOutputs {
        let found = Found()
        var request = GenerationRequest(
            prompt: prompt, maxTokens: continuation.count, ignoresEnd: true, decoder: NoText(),
            probe: Probe(continuation: continuation, gears: gears, readsWholePrompt: readsWholePrompt, take: found.take))
        request.adapter = adapter
        request.sampling.temperature = 0
        request.sampling.repetitionPenalty = repetitionPenalty
        try SessionError.wrapping { [request] in
            try engine.waitUntilServing()
            _ = try engine.answer(request)
        }
        return found.outputs(images: prompt.images.count)
    }
}

/// Collects what the engine's thread shows.
private final class Found: Sendable {
    private let values = Mutex((outputs: ModelOutputs(), images: [Int: [Float]]()))

    @Sendable func take(_ finding: Probe.Finding) {
        values.withLock { values in
            switch finding {
            case .image(let index, let embeddings): values.images[index] = embeddings
            case .prompt(let logits): values.outputs.prompt += logits
            case .step(let logits, let choice):
                values.outputs.steps.append(logits)
                values.outputs.choices.append(choice)
            case .hidden: break
            }
        }
    }

    func outputs(images count: Int) -> ModelOutputs {
        values.withLock { values in
            var outputs = values.outputs
            outputs.images = (0..<count).map { values.images[$0] ?? [] }
            return outputs
        }
    }
}
