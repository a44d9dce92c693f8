import ArgumentParser
import ArtifactFormat
import CommandLineSupport
import Compiler
import Glibc

/// `vlmc`: compiles HuggingFace vision-language models ahead of time.
@main
struct VLMC: ToolCommand {
    static let configuration = CommandConfiguration(
        commandName: "vlmc",
        abstract: "Compiles HuggingFace vision-language models into artifacts that vlm-serve runs.",
        discussion: """
            A first answer:
              vlmc run Artifacts/Demo/model --image photo.jpg "What is in the image?"

            Exit codes: 0; 1 with one message on stderr; 64 for a command line that is wrong in itself, with the usage; 74 where a mapped file became shorter.
            """,
        version: toolVersion,
        subcommands: [
            Doctor.self, Compile.self, Run.self, Bench.self, Parity.self, Tokenize.self, Render.self, InputsCommand.self, Opt.self, Explain.self,
            MachineCommand.self,
        ])

    static func main() { runTool(undoing: undo) }

    /// Takes back what was begun, in the compiler that this process runs as well.
    static func undo(then end: () -> Never) -> Never {
        SiblingCompiler.stop(SIGTERM)
        Unfinished.undoAll(then: end)
    }
}
