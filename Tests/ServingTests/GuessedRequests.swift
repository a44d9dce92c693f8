import Serving

/// Greedy and drawn, with rules and several answers' worth of log probabilities; prompts have up to `lengths` tokens, and some share their beginnings.
func guessedRequest(_ index: Int, promptsOf lengths: Int) -> GenerationRequest {
    var sampling = SamplingParameters()
    (sampling.temperature, sampling.seed) = (index % 2 == 0 ? 0 : 1, UInt64(index))
    if index % 4 == 1 { (sampling.topK, sampling.topP) = (3, 0.9) }
    var request = GenerationRequest(
        prompt: Prompt(text: (0..<Int32(1 + index % lengths)).map { $0 % 5 + 1 }, axes: 3), sampling: sampling, maxTokens: 30 + index, ignoresEnd: true,
        decoder: NumberDecoder())
    if index % 4 == 3 { request.rules.allowed = [2, 4] }
    if index % 3 != 1 { request.logprobs = index % 4 }
    if index % 8 == 6 { request.promptLogprobs = 2 }
    return request
}

/// Answers to requests, so many asked for at once.
func answers(_ engine: Engine, atOnce: Int, to requests: [GenerationRequest]) async -> [Outcome] {
    var outcomes = Array(repeating: Outcome(), count: requests.count)
    for first in stride(from: 0, to: requests.count, by: atOnce) {
        await withTaskGroup(of: (Int, Outcome).self) { group in
            for index in first..<min(first + atOnce, requests.count) { group.addTask { (index, await engine.run(requests[index])) } }
            for await (index, outcome) in group { outcomes[index] = outcome }
        }
    }
    return outcomes
}
