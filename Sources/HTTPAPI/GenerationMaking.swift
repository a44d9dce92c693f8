internal import Budgets
internal import GuidedDecoding
internal import Inputs
internal import Plan
internal import Serving

extension InputPipeline {
    /// What the engine is asked for one answer to a prompt.
    ///
    /// - Parameter maxTokens: where the request sets no number.
    func generation(
        _ prompt: Prompt, _ options: AnswerOptions, maxTokens: Int, _ budget: WorkBudget
    ) throws(APIError) -> GenerationRequest {
        var generation = GenerationRequest(
            prompt: prompt, sampling: options.sampling, maxTokens: options.maxTokens ?? maxTokens, endTokens: endTokens,
            ignoresEnd: options.ignoresEnd, stops: options.stops, decoder: makeDecoder(options.showing),
            cacheSalt: options.cacheSalt)
        generation.beams = options.beams
        generation.priority = options.priority
        generation.rules = options.rules
        generation.stopTokens = options.stopTokens
        generation.includesStop = options.includesStop
        generation.logprobs = options.logprobs ?? (options.bestOf > options.n || options.returnsTokenIDs ? 0 : nil)
        generation.promptLogprobs = options.toldOfPrompt
        guard generation.rules.minTokens <= generation.maxTokens else {
            throw .invalid(
                "min_tokens \(generation.rules.minTokens) is more than the \(generation.maxTokens) tokens that the answer may have",
                param: "min_tokens")
        }
        do throws(InputError) {
            generation.rules.barred = try barred(options.badWords, budget: budget)
        } catch {
            throw APIError(error, place: "bad_words")
        }
        for choice in [options.idleGuide, options.guide].compactMap(\.self) {
            do throws(GuideError) {
                generation.rules.guide = try guides.guide(choice.guide, budget: budget)
            } catch {
                do throws(WorkLimitError) { try budget.check() } catch { throw APIError(.stopped(error) as InputError, place: choice.field) }
                throw .invalid("\(choice.field): \(quoted: error.description, upTo: .max)", param: choice.field, code: "invalid_guide")
            }
        }
        guard generation.rules.leaveAToken(of: spec.vocabularySize, ends: endTokens + options.stopTokens) else {
            throw .invalid("bad_words leaves no token that may come", param: "bad_words")
        }
        return generation
    }
}

extension ServedModel {
    /// Whether what an answer must be is yet to be compiled, which takes longer than tokenizing a text.
    func mustCompile(_ choice: GuideFields.Choice?) -> Bool {
        guard let choice, let pipeline else { return false }
        return !pipeline.guides.has(choice.guide)
    }
}
