import ArgumentParser
import CommandLineSupport
import VLMRuntime

/// How an answer's tokens are chosen.
struct SamplingOptions: ParsableArguments {
    @Option(help: "Most tokens of an answer.")
    var maxTokens = Size(256)

    @Option(help: "Before so many tokens nothing ends an answer.")
    var minTokens = Size(0)

    @Option(parsing: .unconditional, help: "At least 0; 0 takes the likeliest token. Default: 0, or the model's own where --top-p, --top-k, --min-p or --seed is given.")
    var temperature: Float?

    @Option(help: "The likeliest tokens with this probability take part: above 0 and at most 1.")
    var topP: Float?

    @Option(parsing: .unconditional, help: "So many of the likeliest tokens take part; 0 or -1 for all.")
    var topK: Int?

    @Option(help: "Tokens less likely than this share of the likeliest do not take part: 0 to 1.")
    var minP: Float?

    @Option(help: "Makes what was said less likely: above 0 and at most 2. Default: the model's own.")
    var repetitionPenalty: Float?

    @Option(parsing: .unconditional, help: "Taken from the logit of each token that the answer holds: -2 to 2.")
    var presencePenalty: Float?

    @Option(parsing: .unconditional, help: "Taken from a token's logit as many times as the answer holds it: -2 to 2.")
    var frequencyPenalty: Float?

    @Option(parsing: .unconditional, help: "The same seed gives the same answer; -1 as if it were left out. Default: another one each time.")
    var seed: Seed?

    @Option(help: "A text that ends the answer and is not shown; may be given several times.")
    var stop: [String] = []

    var parameters: GenerateParameters {
        let draws = topP != nil || topK != nil || minP != nil || seed?.value != nil
        return GenerateParameters(
            maxTokens: maxTokens.value, minTokens: minTokens.value, temperature: temperature ?? (draws ? nil : 0), topP: topP, topK: topK == -1 ? 0 : topK, minP: minP,
            repetitionPenalty: repetitionPenalty, presencePenalty: presencePenalty, frequencyPenalty: frequencyPenalty, seed: seed?.value,
            stopStrings: stop)
    }

    func validate() throws {
        do { try parameters.validate() } catch { throw ValidationError(Self.naming(flagIn: "\(error)")) }
    }

    /// A text that begins with a parameter's name, with the flag in its place.
    private static func naming(flagIn text: String) -> String {
        let name = text.prefix { $0.isLetter }
        if name == "stopStrings" { return "--stop" + text.dropFirst(name.count) }
        let flag = name.reduce(into: "--") { $0 += $1.isUppercase ? "-" + $1.lowercased() : String($1) }
        return flag + text.dropFirst(name.count)
    }
}
