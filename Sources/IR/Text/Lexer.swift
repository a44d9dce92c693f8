/// One word of IR text.
struct Token: Hashable {
    enum Kind: Hashable {
        /// A bare word such as `graph` or `square`.
        case word(String)
        /// `%name`, without the sign.
        case value(String)
        /// `@name` or `@"name"`, without the sign.
        case name(String)
        case number(String)
        case string(String)
        case punctuation(String)
        case end
    }

    var kind: Kind
    var line: Int
    var column: Int
    /// The comment that ends the token's line.
    var comment: String?

    var text: String {
        switch kind {
        case .word(let text), .number(let text), .punctuation(let text): "`\(text)`"
        case .value(let text): "`%\(text)`"
        case .name(let text): "`@\(text)`"
        case .string(let text): "\"\(text)\""
        case .end: "the end of the text"
        }
    }
}

/// Splits IR text into tokens; comments end a token's line or are dropped, except one on the first line.
struct Lexer {
    static let maximumByteCount = 256 << 20

    private let bytes: [UInt8]
    private var position = 0
    private var line = 1
    private var lineStart = 0
    private var tokens: [Token] = []
    /// The comment before the first token.
    private(set) var header: String?

    init(_ text: String) { bytes = Array(text.utf8) }

    /// All tokens, the last being `.end`.
    mutating func run() throws(ParseError) -> [Token] {
        guard bytes.count <= Self.maximumByteCount else {
            throw error("the text has \(bytes.count) bytes, above \(Self.maximumByteCount)")
        }
        while let byte = current {
            switch byte {
            case UInt8(ascii: "\n"):
                position += 1
                line += 1
                lineStart = position
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"):
                position += 1
            case UInt8(ascii: "/") where peek(1) == UInt8(ascii: "/"):
                readComment()
            default:
                let (line, column) = (line, position - lineStart + 1)
                tokens.append(Token(kind: try readToken(byte), line: line, column: column))
            }
        }
        tokens.append(Token(kind: .end, line: line, column: position - lineStart + 1))
        return tokens
    }

    private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    private func peek(_ distance: Int) -> UInt8? {
        position + distance < bytes.count ? bytes[position + distance] : nil
    }

    private func error(_ reason: String) -> ParseError {
        ParseError(line: line, column: position - lineStart + 1, reason: reason)
    }

    private func text(from start: Int) -> String { String(decoding: bytes[start..<position], as: UTF8.self) }

    private mutating func take(while accepts: (UInt8) -> Bool) {
        while let byte = current, accepts(byte) { position += 1 }
    }

    private mutating func readComment() {
        position += 2
        let start = position
        take { $0 != UInt8(ascii: "\n") }
        let comment = trimmed(text(from: start))
        if let last = tokens.indices.last {
            if tokens[last].line == line { tokens[last].comment = comment }
        } else if header == nil {
            header = comment
        }
    }

    private func trimmed(_ text: String) -> String {
        let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\t" || $0 == "\r" }
        var slice = text[...]
        while let first = slice.first, isSpace(first) { slice.removeFirst() }
        while let last = slice.last, isSpace(last) { slice.removeLast() }
        return String(slice)
    }

    private mutating func readToken(_ byte: UInt8) throws(ParseError) -> Token.Kind {
        switch byte {
        case UInt8(ascii: "%"):
            position += 1
            return .value(try readName(CharacterClass.isValueName))
        case UInt8(ascii: "@"):
            position += 1
            if current == UInt8(ascii: "\"") { return .name(try readString()) }
            return .name(try readName(CharacterClass.isBareName))
        case UInt8(ascii: "\""):
            return .string(try readString())
        case UInt8(ascii: "-") where peek(1) == UInt8(ascii: ">"), UInt8(ascii: "<") where peek(1) == UInt8(ascii: "="):
            position += 2
            return .punctuation(text(from: position - 2))
        case UInt8(ascii: "-"):
            return try readNumber()
        case _ where CharacterClass.isDigit(byte):
            return try readNumber()
        case _ where CharacterClass.isWordStart(byte):
            let start = position
            take(while: CharacterClass.isWord)
            return .word(text(from: start))
        case _ where "(){}[],:=*+".utf8.contains(byte):
            position += 1
            return .punctuation(text(from: position - 1))
        default:
            throw error("unexpected character \(CharacterClass.shown(byte))")
        }
    }

    private mutating func readName(_ accepts: (UInt8) -> Bool) throws(ParseError) -> String {
        let start = position
        take(while: accepts)
        guard position > start else { throw error("a name is missing") }
        return text(from: start)
    }

    /// An integer, a decimal number with exponent, or `-inf`.
    private mutating func readNumber() throws(ParseError) -> Token.Kind {
        let start = position
        if current == UInt8(ascii: "-") { position += 1 }
        if current == UInt8(ascii: "i") {
            take(while: CharacterClass.isWord)
            guard text(from: start) == "-inf" else { throw error("\(text(from: start)) is not a number") }
            return .number("-inf")
        }
        let digits = position
        take(while: CharacterClass.isDigit)
        guard position > digits else { throw error("a number is missing after -") }
        if current == UInt8(ascii: ".") {
            position += 1
            take(while: CharacterClass.isDigit)
        }
        if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
            position += 1
            if current == UInt8(ascii: "-") || current == UInt8(ascii: "+") { position += 1 }
            take(while: CharacterClass.isDigit)
        }
        return .number(text(from: start))
    }

    private mutating func readString() throws(ParseError) -> String {
        position += 1
        var content: [UInt8] = []
        while let byte = current, byte != UInt8(ascii: "\n") {
            position += 1
            if byte == UInt8(ascii: "\"") { return String(decoding: content, as: UTF8.self) }
            guard byte == UInt8(ascii: "\\") else {
                content.append(byte)
                continue
            }
            switch current {
            case UInt8(ascii: "n"): content.append(UInt8(ascii: "\n"))
            case UInt8(ascii: "t"): content.append(UInt8(ascii: "\t"))
            case UInt8(ascii: "r"): content.append(UInt8(ascii: "\r"))
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): content.append(bytes[position])
            default: throw error("only \\n, \\t, \\r, \\\" and \\\\ stand after a backslash")
            }
            position += 1
        }
        throw error("the string has no end")
    }
}

/// Which bytes stand where in IR text.
enum CharacterClass {
    static func isDigit(_ byte: UInt8) -> Bool { byte >= 48 && byte <= 57 }
    static func isLetter(_ byte: UInt8) -> Bool { (byte | 32) >= 97 && (byte | 32) <= 122 }
    static func isWordStart(_ byte: UInt8) -> Bool { isLetter(byte) || byte == UInt8(ascii: "_") }
    static func isWord(_ byte: UInt8) -> Bool { isWordStart(byte) || isDigit(byte) }
    static func isValueName(_ byte: UInt8) -> Bool { isWord(byte) || byte == UInt8(ascii: ".") }
    static func isBareName(_ byte: UInt8) -> Bool { isValueName(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "/") }

    static func shown(_ byte: UInt8) -> String {
        byte >= 33 && byte < 127 ? "`\(Character(UnicodeScalar(byte)))`" : "with code \(byte)"
    }

    /// Whether a symbol may have this name.
    static func isSymbolName(_ name: String) -> Bool {
        guard let first = name.utf8.first else { return false }
        return isWordStart(first) && name.utf8.allSatisfy(isWord)
    }

    /// Whether an input or a state may have this name: what starts with a digit names results of nodes.
    static func isInputName(_ name: String) -> Bool {
        guard let first = name.utf8.first else { return false }
        return isWordStart(first) && name.utf8.allSatisfy(isValueName)
    }

    /// Whether a comment at the end of a line can hold this origin.
    static func isOrigin(_ origin: String) -> Bool {
        let isSpace: (Character?) -> Bool = { $0 == " " || $0 == "\t" }
        return origin.utf8.allSatisfy { $0 >= 32 && $0 != 127 } && !isSpace(origin.first) && !isSpace(origin.last)
    }
}
