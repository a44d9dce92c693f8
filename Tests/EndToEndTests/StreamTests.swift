import Foundation
import Testing

/// Streams that are full, closed or not read: an exit code and at most one message, never a signal.
@Suite struct StreamTests {
    @Test(arguments: [
        ("vlmc compile $MODEL >/dev/full", 1, "cannot write to stdout: No space left"),
        ("vlmc compile $MODEL >&-", 1, "cannot write to stdout: Bad file descriptor"),
        ("vlmc compile $MODEL 2>&-", 0, ""),
        ("vlmc compile $MODEL --force 2>/dev/full", 0, ""),
        ("vlmc compile $MODEL --compile-report /dev/null/report", 1, "/dev/null/report: Not a directory"),
        ("vlmc run $(vlmc compile $MODEL 2>/dev/null) hi >/dev/full", 1, "cannot write to stdout"),
        ("set -o pipefail; vlmc run $(vlmc compile $MODEL 2>/dev/null) hi 2>/dev/null | head -c 1", 0, ""),
        ("seq 9999 >$VLM_STORE/lines; set -o pipefail; vlmc tokenize $MODEL <$VLM_STORE/lines | head -1", 0, ""),
        ("vlm-cache ls >/dev/full", 1, "cannot write to stdout"),
        ("vlmc inputs $MODEL --messages <(echo '[{\"role\":\"user\",\"content\":\"hi\"}]') -o /dev/null && test -c /dev/null", 0, ""),
        ("vlmc render $MODEL --context <(echo '{\"messages\":[]}') >&-", 1, "cannot write to stdout"),
    ])
    func endsWithACode(_ line: String, _ status: Int32, _ words: String) throws {
        let space = try Workspace()
        _ = try space.compile(Workspace.demoModel)
        let outcome = try Command(shell: line, environment: ["VLM_STORE": space.store, "MODEL": Workspace.demoModel]).run()
        #expect(outcome.status == status, "\(outcome.errors)")
        #expect(words.isEmpty || outcome.errors.contains(words), "\(outcome.errors)")
    }

    @Test func oneLineOfTokensPerLine() throws {
        let line = "printf 'a\\r\\nb\\n' | vlmc tokenize $MODEL | vlmc tokenize $MODEL --decode | od -An -c"
        let outcome = try Command(shell: line, environment: ["MODEL": Workspace.demoModel]).run()
        #expect(outcome.output.split(whereSeparator: \.isWhitespace) == ["a", "\\r", "\\n", "b", "\\n"], "\(outcome.errors)")
    }
}
