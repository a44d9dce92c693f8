internal import Texts

struct TemplateToken: Equatable, Sendable {
    enum Kind: Equatable, Sendable {
        case text(String)
        case variableBegin, variableEnd, blockBegin, blockEnd
        case name(String)
        case string(String)
        case int(Int)
        case float(Double)
        case symbol(String)
        case end
    }

    var kind: Kind
    var line: Int
    var column: Int
}

/// Cuts a template into tokens as Jinja does with `trim_blocks`, `lstrip_blocks` and without `keep_trailing_newline`.
struct TemplateLexer {
    private let source: [UInt8]
    private var position = 0
    private var line = 1
    private var column = 1
    /// Whether the text at `position` starts a line.
    private var startsLine = true
    private var tokens: [TemplateToken] = []

    static func tokens(_ source: String) throws(ChatTemplateError) -> [TemplateToken] {
        var lexer = TemplateLexer(source)
        while lexer.position < lexer.source.count { try lexer.readText() }
        lexer.add(.end)
        return lexer.tokens
    }

    private init(_ source: String) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(source.utf8.count)
        var afterReturn = false
        for byte in source.utf8 {
            if byte == UInt8(ascii: "\n"), afterReturn {
                afterReturn = false
                continue
            }
            afterReturn = byte == UInt8(ascii: "\r")
            bytes.append(afterReturn ? UInt8(ascii: "\n") : byte)
        }
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        self.source = bytes
    }

    private mutating func add(_ kind: TemplateToken.Kind) {
        tokens.append(TemplateToken(kind: kind, line: line, column: column))
    }

    private func failure(_ message: String) -> ChatTemplateError {
        ChatTemplateError(reason: .syntax, line: line, column: column, message: message)
    }

    private func byte(at index: Int) -> UInt8? {
        index < source.count ? source[index] : nil
    }

    private func has(_ text: String, at index: Int) -> Bool {
        index + text.utf8.count <= source.count && source[index..<index + text.utf8.count].elementsEqual(text.utf8)
    }

    /// Moves on to `end`, counting lines and columns.
    private mutating func advance(to end: Int) {
        for byte in source[position..<end] {
            if byte == UInt8(ascii: "\n") {
                line += 1
                column = 1
            } else if byte & 0xC0 != 0x80 {
                column += 1
            }
        }
        if end > position { startsLine = source[end - 1] == UInt8(ascii: "\n") }
        position = end
    }

    /// Where the white space from `index` on ends.
    private func spaceEnd(_ index: Int) -> Int {
        WhiteSpace.end(after: source[index...])
    }

    private mutating func readText() throws(ChatTemplateError) {
        var open = position
        while open < source.count {
            if source[open] == UInt8(ascii: "{"), let next = byte(at: open + 1),
                [UInt8(ascii: "{"), UInt8(ascii: "%"), UInt8(ascii: "#")].contains(next)
            {
                break
            }
            open += 1
        }
        guard open < source.count else {
            addText(position..<source.count)
            return advance(to: source.count)
        }
        let opener = source[open + 1]
        addText(textRange(upTo: open, isVariable: opener == UInt8(ascii: "{")))
        advance(to: open)
        if opener == UInt8(ascii: "#") { return try skipComment() }
        if opener == UInt8(ascii: "%"), let end = tagEnd(at: open, "raw", trimsNewline: false) { return try readRaw(from: end) }
        add(opener == UInt8(ascii: "{") ? .variableBegin : .blockBegin)
        let sign = byte(at: open + 2)
        let isSigned = sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+")
        advance(to: open + (isSigned ? 3 : 2))
        try readExpression(isVariable: opener == UInt8(ascii: "{"))
    }

    private mutating func addText(_ range: Range<Int>) {
        guard !range.isEmpty else { return }
        add(.text(String(decoding: source[range], as: UTF8.self)))
    }

    /// The text from `position` to a tag, less what the tag strips on its left.
    private func textRange(upTo open: Int, isVariable: Bool) -> Range<Int> {
        let sign = byte(at: open + 2)
        if sign == UInt8(ascii: "-") { return position..<WhiteSpace.start(before: source[position..<open]) }
        if sign == UInt8(ascii: "+") || isVariable { return position..<open }
        var lineStart = open
        while lineStart > position, source[lineStart - 1] != UInt8(ascii: "\n") { lineStart -= 1 }
        let isWholeLine = lineStart > position || startsLine
        return isWholeLine && spaceEnd(lineStart) >= open ? position..<lineStart : position..<open
    }

    private mutating func skipComment() throws(ChatTemplateError) {
        var close = position + 2
        while close < source.count, !has("#}", at: close) { close += 1 }
        guard close < source.count else { throw failure("a comment has no closing '#}'") }
        let sign = close > position + 2 ? source[close - 1] : 0
        advance(to: trimmed(after: close + 2, sign: sign))
    }

    /// Where text goes on after a tag that ends before `end`, given the sign before its closing delimiter.
    private func trimmed(after end: Int, sign: UInt8, trimsNewline: Bool = true) -> Int {
        if sign == UInt8(ascii: "-") { return spaceEnd(end) }
        if sign != UInt8(ascii: "+"), trimsNewline, byte(at: end) == UInt8(ascii: "\n") { return end + 1 }
        return end
    }

    /// Where text goes on after `{% word %}` at `open`, or nil when another tag stands there.
    private func tagEnd(at open: Int, _ word: String, trimsNewline: Bool) -> Int? {
        guard has("{%", at: open) else { return nil }
        var index = open + 2
        if byte(at: index) == UInt8(ascii: "-") || byte(at: index) == UInt8(ascii: "+") { index += 1 }
        index = spaceEnd(index)
        guard has(word, at: index) else { return nil }
        index = spaceEnd(index + word.utf8.count)
        if has("%}", at: index) { return trimmed(after: index + 2, sign: 0, trimsNewline: trimsNewline) }
        if has("-%}", at: index) { return trimmed(after: index + 3, sign: UInt8(ascii: "-")) }
        if trimsNewline, has("+%}", at: index) { return index + 3 }
        return nil
    }

    private mutating func readRaw(from start: Int) throws(ChatTemplateError) {
        advance(to: start)
        var close = start
        while close < source.count {
            if let end = tagEnd(at: close, "endraw", trimsNewline: true) {
                addText(textRange(upTo: close, isVariable: false))
                return advance(to: end)
            }
            close += 1
        }
        throw failure("a raw block has no 'endraw'")
    }

    private mutating func readExpression(isVariable: Bool) throws(ChatTemplateError) {
        var brackets: [UInt8] = []
        let closer = isVariable ? "}}" : "%}"
        while true {
            advance(to: spaceEnd(position))
            guard let byte = byte(at: position) else { throw failure("a tag has no closing '\(closer)'") }
            if brackets.isEmpty, let end = closingEnd(closer, isVariable: isVariable) {
                add(isVariable ? .variableEnd : .blockEnd)
                return advance(to: end)
            }
            switch byte {
            case UInt8(ascii: "'"), UInt8(ascii: "\""): try readString(byte)
            case UInt8(ascii: "0")...UInt8(ascii: "9"): try readNumber()
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"), 0x80...:
                try readName()
            default: try readSymbol(&brackets)
            }
        }
    }

    private func closingEnd(_ closer: String, isVariable: Bool) -> Int? {
        if has(closer, at: position) { return trimmed(after: position + 2, sign: 0, trimsNewline: !isVariable) }
        guard has(closer, at: position + 1) else { return nil }
        if source[position] == UInt8(ascii: "-") { return spaceEnd(position + 3) }
        return source[position] == UInt8(ascii: "+") && !isVariable ? position + 3 : nil
    }

    private mutating func readName() throws(ChatTemplateError) {
        var end = position
        while end < source.count, isASCIIName(source[end]) { end += 1 }
        if end < source.count, source[end] >= 0x80 { end = try unicodeNameEnd() }
        add(.name(String(decoding: source[position..<end], as: UTF8.self)))
        advance(to: end)
    }

    private func isASCIIName(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }

    private func unicodeNameEnd() throws(ChatTemplateError) -> Int {
        var scalars = ScalarReader(slice: source[position...])
        var end = position
        while let scalar = scalars.next() {
            let isFirst = end == position
            guard isFirst ? scalar.properties.isXIDStart || scalar == "_" : scalar.properties.isXIDContinue else { break }
            end = scalars.position
        }
        guard end > position else { throw failure("a character is not allowed in a name") }
        return end
    }

    private static let doubleSymbols = ["//", "**", "==", "!=", ">=", "<="].map { symbol in
        let bytes = Array(symbol.utf8)
        return (bytes[0], bytes[1])
    }

    private mutating func readSymbol(_ brackets: inout [UInt8]) throws(ChatTemplateError) {
        let byte = source[position]
        let text = String(Unicode.Scalar(byte))
        if let next = self.byte(at: position + 1), Self.doubleSymbols.contains(where: { $0 == (byte, next) }) {
            add(.symbol(text + String(Unicode.Scalar(next))))
            return advance(to: position + 2)
        }
        guard "+-/*%~[](){}><=.:|,;".utf8.contains(byte) else { throw failure("unexpected character '\(text)'") }
        switch byte {
        case UInt8(ascii: "("): brackets.append(UInt8(ascii: ")"))
        case UInt8(ascii: "["): brackets.append(UInt8(ascii: "]"))
        case UInt8(ascii: "{"): brackets.append(UInt8(ascii: "}"))
        case UInt8(ascii: ")"), UInt8(ascii: "]"), UInt8(ascii: "}"):
            guard brackets.popLast() == byte else { throw failure("unexpected '\(text)'") }
        default: break
        }
        add(.symbol(text))
        advance(to: position + 1)
    }
}

extension TemplateLexer {
    private mutating func readString(_ quote: UInt8) throws(ChatTemplateError) {
        var index = position + 1
        var text: [UInt8] = []
        while let byte = byte(at: index) {
            if byte == quote {
                add(.string(String(decoding: text, as: UTF8.self)))
                return advance(to: index + 1)
            }
            index += 1
            if byte == UInt8(ascii: "\\") {
                try readEscape(at: &index, into: &text)
            } else {
                text.append(byte)
            }
        }
        throw failure("a string has no closing quote")
    }

    /// Python's escapes; an unknown one stands for itself, backslash included.
    private func readEscape(at index: inout Int, into text: inout [UInt8]) throws(ChatTemplateError) {
        guard let byte = byte(at: index) else { throw failure("a string has no closing quote") }
        index += 1
        switch byte {
        case UInt8(ascii: "\n"): break
        case UInt8(ascii: "\\"), UInt8(ascii: "'"), UInt8(ascii: "\""): text.append(byte)
        case UInt8(ascii: "a"): text.append(0x07)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "v"): text.append(0x0B)
        case UInt8(ascii: "x"): text += try escapedScalar(digits: 2...2, radix: 16, at: &index)
        case UInt8(ascii: "u"): text += try escapedScalar(digits: 4...4, radix: 16, at: &index)
        case UInt8(ascii: "U"): text += try escapedScalar(digits: 8...8, radix: 16, at: &index)
        case UInt8(ascii: "0")...UInt8(ascii: "7"):
            index -= 1
            text += try escapedScalar(digits: 1...3, radix: 8, at: &index)
        default: text += [UInt8(ascii: "\\"), byte]
        }
    }

    private func escapedScalar(
        digits: ClosedRange<Int>, radix: UInt32, at index: inout Int
    ) throws(ChatTemplateError) -> [UInt8] {
        var value: UInt32 = 0
        var count = 0
        while count < digits.upperBound, let byte = byte(at: index), byte < 0x80,
            let digit = Character(Unicode.Scalar(byte)).hexDigitValue, digit < radix
        {
            value = value &* radix &+ UInt32(digit)
            index += 1
            count += 1
        }
        guard count >= digits.lowerBound, let scalar = Unicode.Scalar(value) else {
            throw failure("a string has an invalid escape")
        }
        return Array(String(scalar).utf8)
    }

    /// Digits with single underscores between them; returns them without.
    private func digits(from index: Int, _ isDigit: (UInt8) -> Bool) -> (text: String, end: Int) {
        var text: [UInt8] = []
        var end = index
        while let byte = byte(at: end) {
            if isDigit(byte) {
                text.append(byte)
            } else if byte != UInt8(ascii: "_") || text.isEmpty || !(self.byte(at: end + 1).map(isDigit) ?? false) {
                break
            }
            end += 1
        }
        return (String(decoding: text, as: UTF8.self), end)
    }

    private mutating func readNumber() throws(ChatTemplateError) {
        if try readPrefixedInteger() { return }
        let isDecimal = { (byte: UInt8) in byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }
        var (text, end) = digits(from: position, isDecimal)
        var isWhole = true
        if byte(at: end) == UInt8(ascii: "."), byte(at: end + 1).map(isDecimal) ?? false, tokens.last?.kind != .symbol(".") {
            let fraction = digits(from: end + 1, isDecimal)
            text += "." + fraction.text
            end = fraction.end
            isWhole = false
        }
        if let mark = byte(at: end), mark | 0x20 == UInt8(ascii: "e"), tokens.last?.kind != .symbol(".") {
            let sign = byte(at: end + 1)
            let isSigned = sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-")
            let exponent = digits(from: end + (isSigned ? 2 : 1), isDecimal)
            if !exponent.text.isEmpty {
                text += "e" + (sign == UInt8(ascii: "-") ? "-" : "") + exponent.text
                end = exponent.end
                isWhole = false
            }
        }
        if isWhole {
            guard let value = Int(text) else { throw failure("the number \(text.prefix(24)) is too large") }
            add(.int(value))
        } else {
            add(.float(Double(text) ?? .infinity))
        }
        advance(to: end)
    }

    private mutating func readPrefixedInteger() throws(ChatTemplateError) -> Bool {
        guard source[position] == UInt8(ascii: "0"), let mark = byte(at: position + 1) else { return false }
        let radix: Int
        switch mark | 0x20 {
        case UInt8(ascii: "x"): radix = 16
        case UInt8(ascii: "o"): radix = 8
        case UInt8(ascii: "b"): radix = 2
        default: return false
        }
        let isDigit = { (byte: UInt8) in
            byte < 0x80 && (Character(Unicode.Scalar(byte)).hexDigitValue.map { $0 < radix } ?? false)
        }
        let (text, end) = digits(from: position + 2, isDigit)
        guard !text.isEmpty else { return false }
        guard let value = Int(text, radix: radix) else { throw failure("the number 0\(mark)… is too large") }
        add(.int(value))
        advance(to: end)
        return true
    }
}
