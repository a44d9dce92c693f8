import CommandLineSupport
import Testing

@Suite struct SizeTests {
    @Test(arguments: [
        ("0", 0), ("4096", 4096), ("32k", 32_000), ("32Ki", 32_768), ("8M", 8_000_000), ("8m", 8_000_000), ("8Mi", 8 << 20), ("2G", 2_000_000_000),
        ("2Gi", 2 << 30), ("1T", 1_000_000_000_000), ("1Ti", 1 << 40), ("2GB", 2_000_000_000), ("2GiB", 2 << 30), ("1.5G", 1_500_000_000),
        ("25.6k", 25_600), ("0.5Ki", 512), ("0.3Ki", 307), ("9223372036854775807", Int.max),
    ])
    func isRead(text: String, value: Int) { #expect(Size(argument: text)?.value == value) }

    /// A large K means 1000 to some and 1024 to others; what is not whole, negative or too large is no size.
    @Test(arguments: ["", "k", "Ki", "-1", "+1", "1K", "1.5", "1..5k", "1.k", ".5k", "1kk", "1 k", "1i", "8E", "9223372036854775808", "9300000000G", "1e3", "٣", "much", "B", "12B"])
    func isRefused(text: String) { #expect(Size(argument: text) == nil) }

    @Test func closestWords() {
        let verbs = ["compile", "doctor", "run", "bench", "tokenize"]
        #expect(Spelling.closest(to: "comple", among: verbs) == "compile")
        #expect(Spelling.closest(to: "docotr", among: verbs) == "doctor")
        #expect(Spelling.closest(to: "token", among: verbs) == "tokenize")
        #expect(Spelling.closest(to: "rnu", among: verbs) == "run")
        #expect(Spelling.closest(to: "serve", among: verbs) == nil)
        #expect(Spelling.closest(to: "x", among: []) == nil)
        let others = ["ls", "show", "gc", "rm", "du"]
        #expect(Spelling.closest(to: "list", among: others) == "ls")
        #expect(Spelling.closest(to: "remove", among: others) == "rm")
        #expect(Spelling.closest(to: "delete", among: others) == nil)
    }

    @Test func closestFlags() {
        let flags = ["--temperature", "--top-p", "--fps", "--image", "--store", "--decode-gears", "--max-model-len", "--max-num-seqs", "--keep-last", "--host"]
        for (typed, meant) in [
            ("--temp", "--temperature"), ("--temprature", "--temperature"), ("--top_p", "--top-p"), ("--img", "--image"), ("--gears", "--decode-gears"),
            ("--model-len", "--max-model-len"), ("--max-seqs", "--max-num-seqs"), ("--keep", "--keep-last"), ("--hosts", "--host"),
        ] { #expect(Spelling.closest(to: typed, among: flags) == meant, "\(typed)") }
        for typed in ["--n", "--dtype", "--foo", "--prompt", "--verbose"] { #expect(Spelling.closest(to: typed, among: flags) == nil, "\(typed)") }
    }

    @Test func lengthsOfModels() {
        #expect(ModelLength(argument: "4Ki")?.tokens == 4096)
        for text in ["auto", "-1"] { #expect(ModelLength(argument: text) != nil && ModelLength(argument: text)?.tokens == nil) }
        for text in ["-2", "Auto", "", "1.5"] { #expect(ModelLength(argument: text) == nil) }
    }
}
