import ArgumentParser
import Serving

/// Whether tokens are guessed ahead, as vLLM's flags say it.
struct SpeculationFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Guess the next tokens, and compute them in one step where that gains time; answers stay the same. [ngram]: where the last ones stood before in prompt or answer; needs --num-speculative-tokens and --ngram-prompt-lookup-max. A model or an artifact, as the model itself is named: by that smaller model of the same tokens, or by an EAGLE head of the model.",
            valueName: "[ngram]|model"))
    var speculativeModel: String?
    /// How a model guesses.
    enum Method: String, ExpressibleByArgument, CaseIterable {
        case draftModel = "draft_model"
        case eagle, eagle3
    }

    @Option(help: "What --speculative-model is, where its config.json does not tell: eagle and eagle3 are heads that read the model's hidden states.")
    var speculativeMethod: Method?
    @Option(help: "Most tokens guessed at once; one less than the artifact's greatest gear has rows, or fewer. Unless given, 5 of a draft model.")
    var numSpeculativeTokens: Int?
    @Option(help: "Most of the last tokens that are looked for.")
    var ngramPromptLookupMax: Int?
    @Option(help: "Fewest of the last tokens that must have stood before; unless given, 1.")
    var ngramPromptLookupMin: Int?

    private var bounds: [(flag: String, value: Int?)] {
        [("--ngram-prompt-lookup-max", ngramPromptLookupMax), ("--ngram-prompt-lookup-min", ngramPromptLookupMin)]
    }

    private var numbers: [(flag: String, value: Int?)] { [("--num-speculative-tokens", numSpeculativeTokens)] + bounds }

    func validate() throws {
        guard let model = speculativeModel else {
            if speculativeMethod != nil { throw ValidationError("--speculative-method needs --speculative-model") }
            if let given = numbers.first(where: { $0.value != nil }) {
                let model = given.flag == "--num-speculative-tokens" ? "a draft model" : nil
                throw ValidationError("\(given.flag) needs --speculative-model '[ngram]'\(model.map { " or \($0)" } ?? "")")
            }
            return
        }
        guard !model.isEmpty else { throw ValidationError("--speculative-model is empty; it names a model, or is '[ngram]'") }
        for (flag, value) in numbers { if let value, value < 1 { throw ValidationError("\(flag) \(value) must be at least 1") } }
        guard draft == nil else {
            if let given = bounds.first(where: { $0.value != nil }) {
                throw ValidationError("\(given.flag) is of --speculative-model '[ngram]'; \(model) is a draft model, which looks nothing up")
            }
            return
        }
        if let method = speculativeMethod { throw ValidationError("--speculative-method \(method.rawValue): '[ngram]' is no model") }
        for (flag, value) in numbers where value == nil && flag != "--ngram-prompt-lookup-min" { throw ValidationError("--speculative-model needs \(flag)") }
        if let most = ngramPromptLookupMax, let least = ngramPromptLookupMin, least > most {
            throw ValidationError("--ngram-prompt-lookup-min \(least) is more than --ngram-prompt-lookup-max \(most)")
        }
    }

    /// Rows of a step for the last token and as many guesses as the flags ask for; nil where they ask for no number.
    var rows: Int? { speculativeModel == nil ? nil : numSpeculativeTokens.map { $0 + 1 } }

    /// What names the draft model; nil where there is none.
    var draft: String? { speculativeModel.flatMap { ["[ngram]", "ngram"].contains($0) ? nil : $0 } }

    /// Whether the draft model is a head, whatever its configuration says.
    var isHead: Bool { speculativeMethod == .eagle || speculativeMethod == .eagle3 }

    /// Nil where nothing is looked up, and for what `validate` refuses.
    var lookup: PromptLookup? {
        let least = ngramPromptLookupMin ?? 1
        guard speculativeModel != nil, draft == nil, let count = numSpeculativeTokens, let most = ngramPromptLookupMax, least <= most else { return nil }
        return PromptLookup(count: count, runs: least...most)
    }
}
