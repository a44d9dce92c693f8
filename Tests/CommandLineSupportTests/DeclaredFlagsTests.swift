import CommandLineSupport
import Testing

/// What is said of command lines that are wrong.
@Suite struct DeclaredFlagsTests {
    @Test(arguments: [
        ("error: The value 'x' is invalid for '--port <port>'\nUsage: x --port", "error: f.yaml, line 2: The value 'x' is invalid for '--port <port>'\nUsage: x --port"),
        ("error: --max-num-seqs 0 must be at least 1", "error: -np 8: --max-num-seqs 0 must be at least 1"),
        // What is wrong is named first.
        ("error: --max-num-batched-tokens 2 is below --max-num-seqs 8", "error: --max-num-batched-tokens 2 is below --max-num-seqs 8"),
        ("error: --no-docs is wrong", "error: f.yaml, line 3: --no-docs is wrong"), ("error: --host is empty\nUsage: --port", "error: --host is empty\nUsage: --port"),
        ("error: -np 8 is --max-num-seqs", "error: -np 8 is --max-num-seqs"), ("usage: --port", "usage: --port"), ("error: --portal", "error: --portal"),
    ])
    func anErrorNamesWhatWasWritten(message: String, placed: String) {
        #expect(DeclaredFlags.placed(message, ["--port": "f.yaml, line 2", "--max-num-seqs": "-np 8", "--docs": "f.yaml, line 3"]) == placed)
    }

    @Test func verbsOfOtherProgramsAreFound() {
        #expect(Verbs.elsewhere("ls", than: "vlmc") == "vlm-cache ls" && Verbs.elsewhere("ls", than: "vlm-cache") == nil)
        #expect(Verbs.elsewhere("serve", than: "vlmc") == "vlm-serve MODEL" && Verbs.elsewhere("prune", than: "vlm-cache") == "vlm-cache gc")
        #expect(Verbs.elsewhere("frobnicate", than: "vlmc") == nil)
    }
}
