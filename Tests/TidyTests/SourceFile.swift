import Foundation

/// A text file with its lines as written, and as code alone.
struct SourceFile: Sendable {
    /// From the checkout's root.
    let path: String
    let text: String
    let lines: [String]
    /// The lines with comments and string literals blanked; empty for files that are neither Swift nor C.
    let code: [String]

    init(path: String, text: String) {
        self.path = path
        self.text = text
        lines = Self.split(text)
        let isCode = ["swift", "c", "h", "inl"].contains(URL(fileURLWithPath: path).pathExtension)
        code = isCode ? Self.split(CodeScanner.blanked(text)) : []
    }

    /// The lines with comments blanked; string literals stand.
    var uncommented: [String] { code.isEmpty ? [] : Self.split(CodeScanner.blanked(text, keepsLiterals: true)) }

    var suffix: String { URL(fileURLWithPath: path).pathExtension }
    var isTest: Bool { path.hasPrefix("Tests/") }

    /// The module under `Sources`, `Passes` or `Artifacts/Format` that the file belongs to.
    var module: String? {
        let parts = path.split(separator: "/").map(String.init)
        if path.hasPrefix("Artifacts/Format/") { return "ArtifactFormat" }
        if parts.first == "Passes", parts.count > 1 { return "Passes" }
        return parts.first == "Sources" && parts.count > 2 ? parts[1] : nil
    }

    func violation(_ index: Int, _ message: String) -> Violation { Violation(path: path, line: index + 1, message: message) }

    /// A violation for each line of `lines` that holds one of `words` and in which `pattern` is found.
    func search(_ lines: [String], for words: [String], _ pattern: some RegexComponent, _ message: String) -> [Violation] {
        guard !lines.isEmpty else { return [] }
        let words = words.filter { text.holds($0) }
        guard !words.isEmpty else { return [] }
        return lines.indices.filter { line in words.contains { lines[line].holds($0) } && lines[line].contains(pattern) }
            .map { violation($0, message) }
    }

    private static func split(_ text: String) -> [String] {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        if lines.last == "" { lines.removeLast() }
        return lines
    }
}

extension String {
    /// Whether `word` stands in the text, byte by byte.
    func holds(_ word: String) -> Bool {
        var (text, word) = (self, word)
        return text.withUTF8 { text in
            word.withUTF8 { word in
                guard let first = word.first, text.count >= word.count else { return word.isEmpty }
                return (0...text.count - word.count).contains { start in
                    text[start] == first && word.indices.allSatisfy { text[start + $0] == word[$0] }
                }
            }
        }
    }
}

/// Blanks comments and string literals of Swift and C, so that rules see code alone.
struct CodeScanner {
    /// What a comment or a literal can begin with.
    private static let signs = Set("/#\"'".utf8)

    private let bytes: [UInt8]
    private var result: [UInt8]
    private var position = 0
    private var keepsLiterals = false
    private var isInLiteral = false

    static func blanked(_ text: String, keepsLiterals: Bool = false) -> String {
        var scanner = CodeScanner(text)
        scanner.keepsLiterals = keepsLiterals
        while scanner.position < scanner.bytes.count { scanner.step() }
        return String(decoding: scanner.result, as: UTF8.self)
    }

    private init(_ text: String) {
        bytes = Array(text.utf8)
        result = bytes
    }

    private func begins(_ word: StaticString) -> Bool {
        let count = word.utf8CodeUnitCount
        return position + count <= bytes.count && (0..<count).allSatisfy { bytes[position + $0] == word.utf8Start[$0] }
    }

    private func begins(_ word: [UInt8]) -> Bool {
        position + word.count <= bytes.count && word.indices.allSatisfy { bytes[position + $0] == word[$0] }
    }

    /// Blanks `count` bytes but line ends.
    private mutating func blank(_ count: Int) {
        for _ in 0..<min(count, bytes.count - position) {
            let isKept = keepsLiterals && isInLiteral || bytes[position] == UInt8(ascii: "\n")
            if !isKept { result[position] = UInt8(ascii: " ") }
            position += 1
        }
    }

    private mutating func step() {
        guard Self.signs.contains(bytes[position]) else { return position += 1 }
        if begins("//") { return skipLine() }
        if begins("/*") { return skipComment() }
        let hashes = bytes[position...].prefix { $0 == UInt8(ascii: "#") }.count
        let quote = position + hashes
        if quote < bytes.count, bytes[quote] == UInt8(ascii: "\"") {
            blank(hashes)
            return skipString(hashes)
        }
        if begins("'\\") || begins("'\"'") { return blank(begins("'\\") ? 4 : 3) }
        position += max(1, hashes)
    }

    private mutating func skipLine() {
        while position < bytes.count, bytes[position] != UInt8(ascii: "\n") { blank(1) }
    }

    private mutating func skipComment() {
        var depth = 0
        repeat {
            if begins("/*") { depth += 1; blank(2) } else if begins("*/") { depth -= 1; blank(2) } else { blank(1) }
        } while depth > 0 && position < bytes.count
    }

    private mutating func skipString(_ hashes: Int) {
        let isInner = isInLiteral
        isInLiteral = true
        defer { isInLiteral = isInner }
        let fence = [UInt8](repeating: UInt8(ascii: "#"), count: hashes)
        let isLong = begins("\"\"\"")
        let end = [UInt8](repeating: UInt8(ascii: "\""), count: isLong ? 3 : 1) + fence
        let escape = [UInt8(ascii: "\\")] + fence
        let interpolation = escape + [UInt8(ascii: "(")]
        blank(isLong ? 3 : 1)
        while position < bytes.count, !begins(end) {
            if begins(interpolation) {
                blank(2 + hashes)
                skipInterpolation()
            } else if begins(escape) {
                blank(2 + hashes)
            } else if !isLong, bytes[position] == UInt8(ascii: "\n") {
                return
            } else {
                blank(1)
            }
        }
        blank(end.count)
    }

    private mutating func skipInterpolation() {
        var depth = 1
        while position < bytes.count, depth > 0 {
            if begins("\"") { skipString(0); continue }
            if begins("(") { depth += 1 } else if begins(")") { depth -= 1 }
            blank(1)
        }
    }
}
