import ArgumentParser
import Plan
import Serving

/// What answers are like where requests do not say.
struct AnswerFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Where what requests leave out comes from: auto, the model's generation_config.json as it was compiled; vllm, none of it (temperature 1, no penalty, all tokens); or a directory with another generation_config.json.",
            valueName: "auto|vllm|dir"))
    var generationConfig = "auto"

    /// Nil for the model's own.
    func generation() throws -> GenerationDefaults? {
        switch generationConfig {
        case "auto": nil
        case "vllm": GenerationDefaults()
        default: try GenerationFile(in: generationConfig).defaults
        }
    }
}
