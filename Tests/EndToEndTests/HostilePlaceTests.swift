import Foundation
import Testing

/// Stores of others, files that do not end, and words that are commands to a terminal.
@Suite struct HostilePlaceTests {
    @Test(arguments: [
        ("chmod 775 $VLM_STORE; vlmc compile $MODEL", 1, "may be written to by others"),
        ("chmod 775 $VLM_STORE; VLM_TRUST_STORE=1 vlmc compile $MODEL", 0, "cache hit"),
        ("chmod 775 $VLM_STORE; vlmc compile --trust-store $MODEL", 0, "cache hit"),
        ("chmod 757 $VLM_STORE/artifacts; vlm-cache ls", 1, "allow it with --trust-store or VLM_TRUST_STORE=1"),
        ("chmod 757 $VLM_STORE/artifacts; vlm-cache ls --trust-store", 0, ""),
        ("chmod 775 $ARTIFACT; vlm-serve $ARTIFACT --port 0", 1, "may be written to by others"),
        ("chmod 775 $ARTIFACT; vlmc run $ARTIFACT hi", 1, "may be written to by others"),
        ("cp -r $ARTIFACT $VLM_STORE.copy; chmod 777 $VLM_STORE.copy; vlmc run $VLM_STORE.copy hi --max-tokens 1", 0, "keeps them out"),
        ("mkfifo $VLM_STORE/p; timeout 20 vlmc render $MODEL --context $VLM_STORE/p", 1, "a pipe to which nobody writes"),
        ("mkfifo $VLM_STORE/p; (sleep 1; echo '{\"messages\":[]}' >$VLM_STORE/p) & timeout 20 vlmc render $MODEL --context $VLM_STORE/p", 0, ""),
        ("cp -r $MODEL $VLM_STORE/m; rm $VLM_STORE/m/config.json; mkfifo $VLM_STORE/m/config.json; timeout 20 vlmc compile $VLM_STORE/m", 1, "is not a regular file"),
        ("cp -r $MODEL $VLM_STORE/m; truncate -s 15T $VLM_STORE/m/generation_config.json; vlmc compile $VLM_STORE/m", 1, "are read"),
        ("truncate -s 65M $VLM_STORE/big; vlmc render $MODEL --context $VLM_STORE/big", 1, "more than 64 MB, the most that is read"),
        ("vlmc compile $'/nowhere\\e]0;title\\a'", 1, "/nowhere\\u{1b}]0;title\\u{7}"),
        ("vlm-cache show $'\\e[31mred'", 1, "\\u{1b}[31mred"),
        ("vlm-cache show one $'two\\e[31m'", 64, "two\\u{1b}[31m"),
        ("vlm-serve $'/nowhere\\e[31m'", 1, "/nowhere\\u{1b}[31m"),
        ("vlm-serve one $'two\\e[31m'", 64, "two\\u{1b}[31m"),
    ])
    func endsWithWords(_ line: String, _ status: Int32, _ words: String) throws {
        let space = try Workspace()
        let artifact = try space.compile(Workspace.demoModel)
        let environment = ["VLM_STORE": space.store, "MODEL": Workspace.demoModel, "ARTIFACT": artifact]
        let outcome = try Command(shell: line, environment: environment).run()
        #expect(outcome.status == status, "\(outcome.errors)")
        #expect(words.isEmpty || outcome.errors.contains(words), "\(outcome.errors)")
        #expect(!outcome.errors.contains("\u{1b}") && !outcome.output.contains("\u{1b}"))
    }

    /// The KV cache is bounded by what `ulimit -v` leaves, however much memory the machine has.
    @Test func theAddressSpaceBoundsTheCache() throws {
        let space = try Workspace()
        let artifact = try space.compile(Workspace.demoModel)
        let line = "ulimit -v 4000000; vlm-serve $ARTIFACT --port 0 --kv-cache-bytes 900000000000000"
        let outcome = try Command(shell: line, environment: ["ARTIFACT": artifact]).run()
        let free = try #require(outcome.errors.firstMatch(of: /more than the ([0-9]+) bytes of memory that are free/), "\(outcome.errors)")
        #expect(try #require(Int(free.1)) < 4_000_000 * 1024)
    }
}
