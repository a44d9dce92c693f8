import ArgumentParser
import Serving

/// Whether tokens are guessed ahead, as vLLM's flags say it.
struct SpeculationFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "[ngram]: guess the next tokens where the last ones stood before in prompt or answer, and compute them in one step where that gains time; answers stay the same. Needs --num-speculative-tokens and --ngram-prompt-lookup-max.",
            valueName: "[ngram]"))
    var speculativeModel: String?
    @Option(help: "Most tokens guessed at once; one less than the artifact's greatest gear has rows, or fewer.")
    var numSpeculativeTokens: Int?
    @Option(help: "Most of the last tokens that are looked for.")
    var ngramPromptLookupMax: Int?
    @Option(help: "Fewest of the last tokens that must have stood before; unless given, 1.")
    var ngramPromptLookupMin: Int?

    private var numbers: [(flag: String, value: Int?)] {
        [
            ("--num-speculative-tokens", numSpeculativeTokens), ("--ngram-prompt-lookup-max", ngramPromptLookupMax),
            ("--ngram-prompt-lookup-min", ngramPromptLookupMin),
        ]
    }

    func validate() throws {
        guard let model = speculativeModel else {
            if let given = numbers.first(where: { $0.value != nil }) {
                throw ValidationError("\(given.flag) needs --speculative-model '[ngram]'")
            }
            return
        }
        guard model == "[ngram]" || model == "ngram" else {
            throw ValidationError(
                "--speculative-model \(model): neither draft models nor EAGLE heads are served; '[ngram]' guesses tokens from prompt and answer"
            )
        }
        for (flag, value) in numbers {
            if let value, value < 1 { throw ValidationError("\(flag) \(value) must be at least 1") }
            if value == nil, flag != "--ngram-prompt-lookup-min" { throw ValidationError("--speculative-model needs \(flag)") }
        }
        if let most = ngramPromptLookupMax, let least = ngramPromptLookupMin, least > most {
            throw ValidationError("--ngram-prompt-lookup-min \(least) is more than --ngram-prompt-lookup-max \(most)")
        }
    }

    /// Nil where nothing is guessed, and for what `validate` refuses.
    var lookup: PromptLookup? {
        let least = ngramPromptLookupMin ?? 1
        guard speculativeModel != nil, let count = numSpeculativeTokens, let most = ngramPromptLookupMax, least <= most else { return nil }
        return PromptLookup(count: count, runs: least...most)
    }
}
