extension JSONValue {
    package enum Dialect: Sendable {
        /// RFC 8259.
        case standard
        /// What Python's `json` reads: `NaN`, `Infinity` and `-Infinity`, numbers beyond `double` as infinite, lone surrogates (as U+FFFD).
        case python
    }

    /// What an object that names a key twice is.
    package enum DuplicateKeys: Sendable {
        /// The object of the last value, as in Python.
        case keepLast
        /// An error.
        case reject
    }

    /// How deeply arrays and objects may nest unless the caller says otherwise.
    package static let defaultDepthLimit = 256
    /// How many values a document may hold unless the caller says otherwise: each takes up to a hundred bytes however short
    /// its text is.
    package static let defaultCountLimit = 1 << 24

    /// Reads one JSON document (RFC 8259) from UTF-8 bytes; a byte order mark and space around it are skipped.
    ///
    /// Numbers without fraction or exponent become `int`, or `wide` where they do not fit, all others `double`. Throws for
    /// anything that the grammar does not allow, for invalid UTF-8, lone surrogates, numbers beyond `double`, and nesting deeper
    /// than `depthLimit` or more values than `countLimit`.
    ///
    /// - Parameter dialect: what else is taken.
    package init(
        parsing bytes: [UInt8], depthLimit: Int = defaultDepthLimit, countLimit: Int = defaultCountLimit, dialect: Dialect = .standard,
        duplicateKeys: DuplicateKeys = .keepLast
    ) throws(JSONError) {
        var parser = JSONParser(
            bytes: bytes, depthLimit: depthLimit, countLimit: countLimit, dialect: dialect, duplicateKeys: duplicateKeys)
        do {
            self = try parser.document()
        } catch {
            throw parser.located(error)
        }
    }

    package init(parsing text: String, depthLimit: Int = defaultDepthLimit) throws(JSONError) {
        try self.init(parsing: Array(text.utf8), depthLimit: depthLimit)
    }
}

/// What is wrong at the parser's position.
private struct Complaint: Error {
    var message: String
}

private struct JSONParser {
    let bytes: [UInt8]
    let depthLimit: Int
    var position = 0
    var depth = 0
    /// Values that may still follow.
    var countLeft: Int
    let countLimit: Int
    let dialect: JSONValue.Dialect
    let duplicateKeys: JSONValue.DuplicateKeys

    init(
        bytes: [UInt8], depthLimit: Int, countLimit: Int, dialect: JSONValue.Dialect, duplicateKeys: JSONValue.DuplicateKeys
    ) {
        self.dialect = dialect
        self.duplicateKeys = duplicateKeys
        self.bytes = bytes
        self.depthLimit = depthLimit
        self.countLimit = countLimit
        countLeft = countLimit
    }

    func located(_ complaint: Complaint) -> JSONError {
        var line = 1
        var column = 1
        for byte in bytes[..<min(position, bytes.count)] {
            if byte == UInt8(ascii: "\n") {
                line += 1
                column = 1
            } else if byte & 0xC0 != 0x80 {
                column += 1
            }
        }
        return JSONError(line: line, column: column, message: complaint.message)
    }

    var current: UInt8? {
        position < bytes.count ? bytes[position] : nil
    }

    mutating func skipSpace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x0A, 0x0D, 0x09: position += 1
            default: return
            }
        }
    }

    mutating func document() throws(Complaint) -> JSONValue {
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
        skipSpace()
        let value = try value()
        skipSpace()
        guard position == bytes.count else { throw Complaint(message: "unexpected \(seen) after the document") }
        return value
    }

    var seen: String {
        guard let byte = current else { return "end of text" }
        return byte > 0x20 && byte < 0x7F ? "'\(Character(Unicode.Scalar(byte)))'" : "byte \(byte)"
    }

    mutating func value() throws(Complaint) -> JSONValue {
        guard let first = current else { throw Complaint(message: "expected a value, found \(seen)") }
        guard countLeft > 0 else { throw Complaint(message: "the document holds more than \(countLimit) values") }
        countLeft -= 1
        switch first {
        case UInt8(ascii: "{"): return try nested { (parser) throws(Complaint) in .object(try parser.object()) }
        case UInt8(ascii: "["): return try nested { (parser) throws(Complaint) in .array(try parser.array()) }
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case UInt8(ascii: "N") where dialect == .python: return try word("NaN", .double(.nan))
        case UInt8(ascii: "I") where dialect == .python: return try word("Infinity", .double(.infinity))
        case UInt8(ascii: "-") where dialect == .python && position + 1 < bytes.count && bytes[position + 1] == UInt8(ascii: "I"):
            return try word("-Infinity", .double(-.infinity))
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        default: throw Complaint(message: "expected a value, found \(seen)")
        }
    }

    mutating func nested(
        _ body: (inout JSONParser) throws(Complaint) -> JSONValue
    ) throws(Complaint) -> JSONValue {
        guard depth < depthLimit else { throw Complaint(message: "nested deeper than \(depthLimit) levels") }
        depth += 1
        position += 1
        let value = try body(&self)
        depth -= 1
        return value
    }

    mutating func word(_ word: StaticString, _ value: JSONValue) throws(Complaint) -> JSONValue {
        let end = position + word.utf8CodeUnitCount
        let expected = UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount)
        guard end <= bytes.count, bytes[position..<end].elementsEqual(expected) else {
            throw Complaint(message: "expected a value, found \(seen)")
        }
        position = end
        return value
    }

    mutating func array() throws(Complaint) -> [JSONValue] {
        var elements: [JSONValue] = []
        skipSpace()
        if take("]") { return elements }
        while true {
            skipSpace()
            elements.append(try value())
            skipSpace()
            if take(",") { continue }
            if take("]") { return elements }
            throw Complaint(message: "expected ',' or ']', found \(seen)")
        }
    }

    mutating func object() throws(Complaint) -> JSONObject {
        var object = JSONObject()
        skipSpace()
        if take("}") { return object }
        while true {
            skipSpace()
            guard current == UInt8(ascii: "\"") else { throw Complaint(message: "expected a key in quotes, found \(seen)") }
            let start = position
            let key = try string()
            if duplicateKeys == .reject, object[key] != nil {
                position = start
                throw Complaint(message: "the key \"\(key.prefix(100))\" occurs twice")
            }
            skipSpace()
            guard take(":") else { throw Complaint(message: "expected ':' after the key, found \(seen)") }
            skipSpace()
            object[key] = try value()
            skipSpace()
            if take(",") { continue }
            if take("}") { return object }
            throw Complaint(message: "expected ',' or '}', found \(seen)")
        }
    }

    mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard current == UInt8(ascii: scalar) else { return false }
        position += 1
        return true
    }

    mutating func string() throws(Complaint) -> String {
        position += 1
        let start = position
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") {
                let text = try validated(bytes[start..<position], from: start)
                position += 1
                return text
            }
            if byte == UInt8(ascii: "\\") { return try escapedString(from: start) }
            if byte < 0x20 { throw Complaint(message: "control character \(byte) must be escaped in a string") }
            position += 1
        }
        throw Complaint(message: "a string has no closing quote")
    }

    mutating func validated(_ slice: ArraySlice<UInt8>, from start: Int) throws(Complaint) -> String {
        guard let text = String(validating: slice, as: UTF8.self) else {
            position = start
            throw Complaint(message: "a string is not valid UTF-8")
        }
        return text
    }

    mutating func escapedString(from start: Int) throws(Complaint) -> String {
        var unescaped = Array(bytes[start..<position])
        while let byte = current {
            if byte == UInt8(ascii: "\"") {
                let text = try validated(unescaped[...], from: start)
                position += 1
                return text
            }
            if byte < 0x20 { throw Complaint(message: "control character \(byte) must be escaped in a string") }
            position += 1
            if byte == UInt8(ascii: "\\") {
                try escape(into: &unescaped)
            } else {
                unescaped.append(byte)
            }
        }
        throw Complaint(message: "a string has no closing quote")
    }

    mutating func escape(into text: inout [UInt8]) throws(Complaint) {
        guard let byte = current else { throw Complaint(message: "a string has no closing quote") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"): text += String(try escapedScalar()).utf8
        default:
            position -= 1
            throw Complaint(message: "unknown escape '\\' before \(seen)")
        }
    }

    mutating func escapedScalar() throws(Complaint) -> Unicode.Scalar {
        let high = try hexUnit()
        if let scalar = Unicode.Scalar(high) { return scalar }
        let end = position
        if high < 0xDC00, position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"), bytes[position + 1] == UInt8(ascii: "u") {
            position += 2
            let low = try hexUnit()
            if (0xDC00..<0xE000).contains(low), let scalar = Unicode.Scalar(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)) {
                return scalar
            }
        }
        guard dialect == .python else { throw Complaint(message: "half of a surrogate pair stands alone") }
        position = end
        return "\u{FFFD}"
    }

    mutating func hexUnit() throws(Complaint) -> UInt32 {
        var unit: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = current, let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
                throw Complaint(message: "expected four hexadecimal digits after \\u, found \(seen)")
            }
            unit = unit << 4 | UInt32(digit)
            position += 1
        }
        return unit
    }

    mutating func digits() throws(Complaint) {
        guard let first = current, isDigit(first) else { throw Complaint(message: "expected a digit, found \(seen)") }
        while let byte = current, isDigit(byte) { position += 1 }
    }

    func isDigit(_ byte: UInt8) -> Bool {
        byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
    }

    mutating func number() throws(Complaint) -> JSONValue {
        let start = position
        var isWhole = true
        _ = take("-")
        if take("0") {
            if let byte = current, isDigit(byte) { throw Complaint(message: "a number must not start with zero") }
        } else {
            try digits()
        }
        if take(".") {
            isWhole = false
            try digits()
        }
        if take("e") || take("E") {
            isWhole = false
            if !take("+") { _ = take("-") }
            try digits()
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if isWhole, let value = Int(text) { return .int(value) }
        guard let value = Double(text), value.isFinite || dialect == .python else {
            position = start
            throw Complaint(message: "the number \(text.prefix(24)) does not fit a double")
        }
        return isWhole ? .wide(text) : .double(value)
    }
}
