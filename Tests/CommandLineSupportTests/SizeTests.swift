import CommandLineSupport
import Testing

@Suite struct SizeTests {
    @Test(arguments: [
        ("0", 0), ("4096", 4096), ("32k", 32_000), ("32Ki", 32_768), ("8M", 8_000_000), ("8m", 8_000_000), ("8Mi", 8 << 20), ("2G", 2_000_000_000),
        ("2Gi", 2 << 30), ("1T", 1_000_000_000_000), ("1Ti", 1 << 40), ("2GB", 2_000_000_000), ("2GiB", 2 << 30), ("1.5G", 1_500_000_000),
        ("25.6k", 25_600), ("0.5Ki", 512), ("9223372036854775807", Int.max),
    ])
    func isRead(text: String, value: Int) { #expect(Size(argument: text)?.value == value) }

    /// A large K means 1000 to some and 1024 to others; what is not whole, negative or too large is no size.
    @Test(arguments: ["", "k", "Ki", "-1", "+1", "1K", "1.5", "0.3Ki", "1..5k", "1.k", ".5k", "1kk", "1 k", "1i", "8E", "9223372036854775808", "9300000000G", "1e3", "٣", "much", "B", "12B"])
    func isRefused(text: String) { #expect(Size(argument: text) == nil) }

    @Test func closestWords() {
        let verbs = ["compile", "doctor", "run", "bench", "tokenize"]
        #expect(Spelling.closest(to: "comple", among: verbs) == "compile")
        #expect(Spelling.closest(to: "docotr", among: verbs) == "doctor")
        #expect(Spelling.closest(to: "token", among: verbs) == "tokenize")
        #expect(Spelling.closest(to: "rnu", among: verbs) == "run")
        #expect(Spelling.closest(to: "serve", among: verbs) == nil)
        #expect(Spelling.closest(to: "x", among: []) == nil)
    }
}
