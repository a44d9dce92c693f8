import ArgumentParser
import CommandLineSupport
import ForeignFlags
import Plan
import Serving

extension ReasoningReader.Form: ExpressibleByArgument {}

/// What answers are like where requests do not say.
struct AnswerFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Where what requests leave out comes from: auto, the model's generation_config.json as it was compiled; vllm, none of it (temperature 1, no penalty, all tokens); or a directory with another generation_config.json.",
            valueName: "auto|vllm|dir"))
    var generationConfig = "auto"

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp("Fields over those of --generation-config, such as {\"temperature\": 0.5}; may be given more than once.", valueName: "json"))
    var overrideGenerationConfig: [String] = []

    @Option(
        parsing: .unconditional,
        help: "What the seeds of requests without one follow from, in the order in which they are read; unless given, or with -1, they are drawn.")
    var seed: Seed?

    @Option(
        help: ArgumentHelp(
            "Split what the model thinks, <think>…</think>, off answers of chats as reasoning_content, of the Responses and Messages APIs in their forms: \(ReasoningReader.Form.always.rawValue), whose answers begin with it, or \(ReasoningReader.Form.marked.rawValue), whose answers say where.",
            valueName: "form"))
    var reasoningParser: ReasoningReader.Form?

    func validate() throws {
        do { _ = try overriding() } catch let fault as GenerationFile.Fault { throw ValidationError("\(fault)") }
    }

    /// What --override-generation-config says, the last of the same field.
    func overriding() throws -> GenerationDefaults {
        try overrideGenerationConfig.reduce(GenerationDefaults()) { defaults, text in
            defaults.overridden(by: try GenerationFile(overriding: Array(text.utf8), named: "--override-generation-config").defaults)
        }
    }

    /// Nil for the model's own.
    func generation() throws -> GenerationDefaults? {
        switch generationConfig {
        case "auto": return nil
        case "vllm": return GenerationDefaults()
        default:
            do throws(GenerationFile.Fault) { return try GenerationFile(in: generationConfig).defaults } catch { throw FlagError("--generation-config \(error)") }
        }
    }
}
