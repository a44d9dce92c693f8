import Testing

/// What stands in no file.
@Suite struct WordingTests {
    /// A rule on lines: which files it reads, what it finds, and what to do instead.
    struct Rule: Sendable, CustomTestStringConvertible {
        let name: String
        let applies: @Sendable (SourceFile) -> Bool
        let check: @Sendable (SourceFile) -> [Violation]
        /// A line that breaks the rule, and one that does not, in a file at `path`.
        let path: String
        let bad: String
        let good: String

        var testDescription: String { name }
    }

    static let rules: [Rule] = codeRules + textRules

    /// What transformers' configuration classes fill in, by their names.
    private static let classDefaults = "Sources/HuggingFace/ClassDefaults.swift"
    /// Words of vLLM's command line that are names of families.
    private static let reasoningForms = "Sources/Serving/ReasoningForm.swift"
    private static let namesFamilies: Set = [classDefaults, reasoningForms]

    /// Whether a file is to know no family.
    private static func isNeutral(_ file: SourceFile) -> Bool {
        // A pass may name the class whose mathematics it finds.
        file.module != nil && file.module != "Models" && file.module != "Passes" && !namesFamilies.contains(file.path)
    }

    /// One of these stands where a family's token or name does.
    private static let familySigns = [
        "<", "[", "wen", "WEN", "lava", "LAVA", "ntern", "ini", "emma", "ixtral", "istral", "hi3", "defics", "mol", "addle",
    ]

    private static let codeRules = [
        Rule(
            name: "no traps on demand", applies: { $0.suffix == "swift" && !$0.isTest },
            check: {
                $0.search(
                    $0.code, for: ["try!", "as!", "fatalError"], /\btry!|\bas!|\bfatalError\(/,
                    "traps on bad input; throw an error that says what is wrong")
            },
            path: "Sources/A/A.swift", bad: "let a = try! b()", good: "let a = try b()  // not try!"),
        Rule(
            name: "no family names in code outside Models",
            applies: { $0.suffix == "swift" && !$0.isTest && $0.module != "Models" && !namesFamilies.contains($0.path) },
            check: {
                $0.search(
                    $0.code, for: ["wen", "lava", "nternVL"], /[qQ]wen|[lL]lava|[iI]nternVL/,
                    "names a model family; say what differs in ModelDefinition or InputSpec")
            },
            path: "Sources/Serving/A.swift", bad: "if isQwen { }", good: "let a = 1  // as Qwen2-VL does"),
        Rule(
            name: "no family's tokens and names in texts outside Models",
            applies: { $0.suffix == "swift" && !$0.isTest && isNeutral($0) },
            check: {
                $0.search(
                    $0.uncommented, for: familySigns,
                    /"[^"]*(?:<\||\[\/?(?:IMG|INST)|<\/?(?:image|img|start_of|end_of|row_|slice)|qwen|llava|internvl|internlm|minicpm|gemma|pixtral|mistral|phi3|idefics|smolvlm|paddleocr)/
                        .ignoresCase(),
                    "holds a token or a name of one family; let the definition in Models say it")
            },
            path: "Sources/Inputs/A.swift", bad: #"let token = "<|image_pad|>""#, good: #"let token = spec.token  // "<|image_pad|>""#),
        Rule(
            name: "no token ids outside Models", applies: { $0.suffix == "swift" && !$0.isTest && isNeutral($0) },
            check: {
                $0.search(
                    $0.code, for: ["32", "92", "128", "151", "255", "256", "262"],
                    /\b(?:32_?0[0-6]\d|92_?5\d\d|128_?[0-2]\d\d|151_?[6-9]\d\d|255_?999|256_?000|262_?[012]\d\d)\b/,
                    "looks like the id of a family's token; read it from the model's files")
            },
            path: "Sources/Serving/A.swift", bad: "if id == 151_655 { }", good: "if id == spec.token { }  // 151_655"),
        Rule(
            name: "no section banners", applies: { !$0.code.isEmpty || ["py", "sh"].contains($0.suffix) },
            check: { file in
                let banners = file.lines.indices.filter { isBanner(file.lines[$0]) }
                return banners.map { file.violation($0, "is a section banner; split the file or drop it") }
            },
            path: "Sources/A/A.swift", bad: "// " + String(repeating: "-", count: 9) + " Reading", good: "// Reads the header."),
    ]

    /// This folder names what it forbids.
    private static let isElsewhere: @Sendable (SourceFile) -> Bool = { !$0.path.hasPrefix("Tests/TidyTests/") }

    private static let textRules = [
        Rule(
            name: "no notes to self", applies: isElsewhere,
            check: {
                $0.search(
                    $0.lines, for: ["TODO", "FIXME", "XXX"], /\b(?:TODO|FIXME|XXX)\b/, "leaves work for later; do it, or write an issue")
            },
            path: "Sources/A/a.c", bad: "// TODO: more", good: "// To do more, raise the limit."),
        Rule(
            name: "no paths of one machine", applies: isElsewhere,
            check: {
                let message = "names a path of one machine"
                let homes = $0.search(
                    $0.lines, for: ["/work/", "/root/", "/home/", "/Users/"], /(?:^|[\s"'`=(:,])\/(?:work|root|home|Users)\//, message)
                return $0.isTest ? homes : homes + $0.search($0.lines, for: ["/tmp/"], /(?:^|[\s"'`=(:,])\/tmp\/\w/, message)
            },
            path: "docs/a.md", bad: "see /home/me/model", good: "see ~/model"),
        Rule(
            name: "nothing outside the checkout", applies: isElsewhere,
            check: { $0.search($0.lines, for: ["../shared"], /\.\.\/shared\b/, "needs a folder outside the checkout") },
            path: "Makefile", bad: "cp ../shared/model .", good: "cp ../other ."),
    ]

    /// A comment that only draws a line or sets a mark.
    private static func isBanner(_ line: String) -> Bool {
        let text = line.drop { $0 == " " }
        guard let sign = ["//", "#", "/*"].first(where: { text.hasPrefix($0) }) else { return false }
        let words = text.dropFirst(sign.count).drop { $0 == " " }
        return words.hasPrefix("MARK:") || words.count > 2 && words.prefix(3).allSatisfy { "-=*~_─═#".contains($0) }
    }

    @Test(arguments: rules) func holds(_ rule: Rule) {
        let violations = Repository.files.filter(rule.applies).flatMap(rule.check)
        #expect(violations.isEmpty, "\(rule.name):\(violations.report)")
    }

    @Test(arguments: rules) func isNoticed(_ rule: Rule) {
        let bad = SourceFile(path: rule.path, text: "\n" + rule.bad)
        let good = SourceFile(path: rule.path, text: "\n" + rule.good)
        #expect(rule.applies(bad) && rule.check(bad).map(\.line) == [2])
        #expect(rule.check(good).isEmpty)
    }

    @Test func noFolderForLeftovers() {
        let leftovers: Set<Substring> = ["Utils", "Util", "Utilities", "Helpers", "Misc", "Common"]
        let violations = Repository.files.filter { !leftovers.isDisjoint(with: $0.path.split(separator: "/")) }
        #expect(violations.map(\.path) == [], "name a folder after what its files have in common")
    }
}
