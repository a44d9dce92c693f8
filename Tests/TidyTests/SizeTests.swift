import Testing

/// Small files and functions: what cannot be read in one go is split.
@Suite struct SizeTests {
    static let maxFileLines = 500
    static let maxFunctionLines = 60
    static let maxExecutableFileLines = 150
    static let maxModelFamilyLines = 250
    static let maxFixtureBytes = 60_000_000

    @Test func filesAreSmall() {
        let violations = Repository.files.filter { $0.suffix != "md" }.flatMap(Self.longFile)
        #expect(violations.isEmpty, "\(violations.report)")
    }

    @Test func functionsAreSmall() {
        let violations = Repository.files.flatMap(Self.longFunctions)
        #expect(violations.isEmpty, "\(violations.report)")
    }

    @Test func longFunctionsAreFound() {
        let body = Array(repeating: "        work()", count: Self.maxFunctionLines).joined(separator: "\n")
        let long = "struct A {\n    func short() {}\n    func long(\n        a: Int\n    ) -> Int {\n\(body)\n    }\n}"
        #expect(Self.longFunctions(SourceFile(path: "Sources/A/A.swift", text: long)).map(\.line) == [3])
        let c = "static int f(int a,\n             int b) {\n\(body)\n}\n"
        #expect(Self.longFunctions(SourceFile(path: "Sources/CKernels/a.c", text: c)).map(\.line) == [1])
        let requirements = "protocol P {\n    func a() -> Int\n    var b: Int { get }\n}\nstruct S {\n\(body)\n}"
        #expect(Self.longFunctions(SourceFile(path: "Sources/A/P.swift", text: requirements)).isEmpty)
    }

    /// A checkout is cloned whole: what is larger is made by a generator.
    @Test func fixturesAreSmallTogether() {
        let bytes = Repository.fixtureBytes
        #expect(bytes > 1 << 20 && bytes <= Self.maxFixtureBytes, "fixtures have \(bytes) bytes; at most \(Self.maxFixtureBytes)")
    }

    static func longFile(_ file: SourceFile) -> [Violation] {
        let limit = limit(for: file)
        return file.lines.count <= limit ? [] : [file.violation(limit, "\(file.lines.count) lines; at most \(limit)")]
    }

    private static func limit(for file: SourceFile) -> Int {
        let parts = file.path.split(separator: "/")
        if let module = file.module, ["vlmc", "vlm-serve", "vlm-cache"].contains(module) { return maxExecutableFileLines }
        if file.module == "Models", parts.count == 3 { return maxModelFamilyLines }
        return maxFileLines
    }

    static func longFunctions(_ file: SourceFile) -> [Violation] {
        let bodies = file.suffix == "swift" ? FunctionFinder.swift(file.code) : FunctionFinder.c(file.code)
        return bodies.filter { $0.count > maxFunctionLines }.map {
            file.violation($0.lowerBound, "a function of \($0.count) lines; at most \(maxFunctionLines)")
        }
    }
}

/// Finds functions by their braces.
enum FunctionFinder {
    /// Lines of each `func`, `init`, `deinit`, `subscript` and computed property, from its name to its closing brace.
    static func swift(_ code: [String]) -> [Range<Int>] {
        let text = Characters(code)
        let start = #/
            ^\s*(?:@\w+(?:\([^)]*\))?\s+|[a-z]+(?:\([a-z]+\))?\s+)*
            (?:func\s+\S|init[(?<]|deinit\b|subscript[(<]|var\s+\w+\s*:[^={]*\{)
            /#
        let words = ["func ", "init", "subscript", "var "]
        let starts = code.indices.filter { line in words.contains { code[line].holds($0) } && code[line].contains(start) }
        return starts.compactMap { line in
            text.body(from: line).map { line..<$0 + 1 }
        }
    }

    /// Lines of each function: a brace outside of all others that follows a parenthesis.
    static func c(_ code: [String]) -> [Range<Int>] {
        var result: [Range<Int>] = []
        var depth = 0
        var start = 0
        var previous: Character = ";"
        var opened = false
        for (line, text) in code.enumerated() where !text.hasPrefix("#") {
            if depth == 0, ";}".contains(previous) { start = line }
            for character in text where character != " " {
                if character == "{" {
                    if depth == 0 { opened = previous == ")" }
                    depth += 1
                }
                if character == "}" {
                    depth -= 1
                    if depth == 0, opened { result.append(start..<line + 1) }
                }
                previous = character
            }
            if depth == 0, text.allSatisfy({ $0 == " " }) { start = line + 1 }
        }
        return result
    }
}

/// Code as characters with their lines.
private struct Characters {
    private let characters: [(character: Character, line: Int)]
    private let starts: [Int]

    init(_ code: [String]) {
        var characters: [(character: Character, line: Int)] = []
        var starts: [Int] = []
        for (line, text) in code.enumerated() {
            starts.append(characters.count)
            characters += text.map { ($0, line) }
            characters.append(("\n", line))
        }
        self.characters = characters
        self.starts = starts
    }

    /// The line on which the body of the declaration at `line` ends; nil for one without a body.
    func body(from line: Int) -> Int? {
        var depth = 0
        var braces = 0
        for index in starts[line]..<characters.count {
            let (character, here) = characters[index]
            switch character {
            case "(", "[": depth += 1
            case ")", "]": depth -= 1
            case "{" where depth == 0 || braces > 0: braces += 1
            case "}" where braces > 0:
                braces -= 1
                if braces == 0 { return here }
            case "}" where depth == 0: return nil
            case "\n" where depth == 0 && braces == 0:
                if !continues(after: index) { return nil }
            default: break
            }
        }
        return nil
    }

    private func continues(after index: Int) -> Bool {
        let rest = String(characters[(index + 1)...].lazy.map(\.character).drop { $0.isWhitespace }.prefix(6))
        return ["->", "where", "throws", "async", "{"].contains { rest.hasPrefix($0) }
    }
}
