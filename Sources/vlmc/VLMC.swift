import ArgumentParser
import ArtifactFormat
import CommandLineSupport
import Compiler

/// `vlmc`: compiles HuggingFace vision-language models ahead of time.
@main
struct VLMC: ToolCommand {
    static let configuration = CommandConfiguration(
        commandName: "vlmc",
        abstract: "Compiles HuggingFace vision-language models into artifacts that vlm-serve runs.",
        discussion: """
            A first answer:
              artifact=$(vlmc compile Artifacts/Demo/model)
              vlmc run "$artifact" --image photo.jpg "What is in the image?"
            """,
        version: toolVersion,
        subcommands: [
            Doctor.self, Compile.self, Run.self, Bench.self, Parity.self, Tokenize.self, Render.self, InputsCommand.self, Opt.self, Explain.self,
            MachineCommand.self,
        ])

    static func main() { runTool(undoing: Unfinished.undoAll) }
}
