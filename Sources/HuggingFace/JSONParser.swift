/// Why bytes are not the JSON they should be, and where.
package struct JSONError: Error, Sendable, Hashable, CustomStringConvertible {
    package var message: String
    /// The byte at which the fault was seen.
    package var offset: Int

    package var description: String { "\(message) at byte \(offset)" }
}

/// A strict JSON reader (RFC 8259) that also takes Python's `NaN` and `Infinity`.
///
/// Nesting is limited to 200 levels; integers beyond `Int` become doubles; errors carry the byte offset.
package struct JSONParser {
    /// What to do when an object names a key twice.
    package enum DuplicateKeys: Sendable {
        /// The last one counts, as in Python.
        case keepLast
        case reject
    }

    private static let depthMax = 200

    private let bytes: UnsafeBufferPointer<UInt8>
    private let duplicateKeys: DuplicateKeys
    private var at = 0
    private var depth = 0

    private init(bytes: UnsafeBufferPointer<UInt8>, duplicateKeys: DuplicateKeys) {
        self.bytes = bytes
        self.duplicateKeys = duplicateKeys
    }

    /// Reads one document that fills the bytes, white space aside.
    package static func parse(
        _ bytes: UnsafeRawBufferPointer, duplicateKeys: DuplicateKeys = .keepLast
    ) throws(JSONError) -> JSONValue {
        var parser = JSONParser(bytes: bytes.bindMemory(to: UInt8.self), duplicateKeys: duplicateKeys)
        if parser.bytes.starts(with: [0xEF, 0xBB, 0xBF]) { parser.at = 3 }
        let value = try parser.value()
        parser.skipSpace()
        guard parser.at == parser.bytes.count else { throw parser.error("more than one JSON document") }
        return value
    }

    /// Reads one document that fills the bytes, white space aside.
    package static func parse(_ bytes: [UInt8], duplicateKeys: DuplicateKeys = .keepLast) throws(JSONError) -> JSONValue {
        let result: Result<JSONValue, JSONError> = bytes.withUnsafeBytes { raw in
            Result { () throws(JSONError) in try parse(raw, duplicateKeys: duplicateKeys) }
        }
        return try result.get()
    }

    private func error(_ message: String) -> JSONError { JSONError(message: message, offset: at) }

    private mutating func skipSpace() {
        while at < bytes.count, bytes[at] == 0x20 || bytes[at] == 0x0A || bytes[at] == 0x0D || bytes[at] == 0x09 { at += 1 }
    }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard at < bytes.count, UInt32(bytes[at]) == scalar.value else { return false }
        at += 1
        return true
    }

    private mutating func take(word: StaticString) -> Bool {
        let count = word.utf8CodeUnitCount
        guard at <= bytes.count - count else { return false }
        for index in 0..<count where bytes[at + index] != word.utf8Start[index] { return false }
        at += count
        return true
    }

    private mutating func value() throws(JSONError) -> JSONValue {
        skipSpace()
        guard at < bytes.count else { throw error("the JSON ends too early") }
        guard depth < Self.depthMax else { throw error("JSON nested deeper than \(Self.depthMax) levels") }
        depth += 1
        defer { depth -= 1 }
        switch bytes[at] {
        case UInt8(ascii: "{"): return try object()
        case UInt8(ascii: "["): return try array()
        case UInt8(ascii: "\""): return .string(try string())
        default: break
        }
        if take(word: "true") { return .bool(true) }
        if take(word: "false") { return .bool(false) }
        if take(word: "null") { return .null }
        if take(word: "NaN") { return .double(.nan) }
        if take(word: "Infinity") { return .double(.infinity) }
        if take(word: "-Infinity") { return .double(-.infinity) }
        return try number()
    }

    private mutating func object() throws(JSONError) -> JSONValue {
        at += 1
        var members: [String: JSONValue] = [:]
        skipSpace()
        if take("}") { return .object(members) }
        while true {
            skipSpace()
            guard at < bytes.count, bytes[at] == UInt8(ascii: "\"") else { throw error("expected a key in quotes") }
            let start = at
            let key = try string()
            skipSpace()
            guard take(":") else { throw error("expected ':' after a key") }
            let old = members.updateValue(try value(), forKey: key)
            if old != nil, duplicateKeys == .reject {
                throw JSONError(message: "the key \"\(key)\" occurs twice", offset: start)
            }
            skipSpace()
            if take("}") { return .object(members) }
            guard take(",") else { throw error("expected ',' or '}' in an object") }
        }
    }

    private mutating func array() throws(JSONError) -> JSONValue {
        at += 1
        var elements: [JSONValue] = []
        skipSpace()
        if take("]") { return .array(elements) }
        while true {
            elements.append(try value())
            skipSpace()
            if take("]") { return .array(elements) }
            guard take(",") else { throw error("expected ',' or ']' in a list") }
        }
    }

    private mutating func number() throws(JSONError) -> JSONValue {
        let start = at
        var whole = true
        _ = take("-")
        let firstDigit = at
        skipDigits()
        let digits = at - firstDigit
        guard digits > 0, digits == 1 || bytes[firstDigit] != UInt8(ascii: "0") else {
            at = start
            throw error("expected a JSON value")
        }
        if take(".") {
            whole = false
            guard skipDigits() > 0 else { throw error("expected digits after '.'") }
        }
        if take("e") || take("E") {
            whole = false
            if !take("+") { _ = take("-") }
            guard skipDigits() > 0 else { throw error("expected digits in the exponent") }
        }
        let text = String(decoding: bytes[start..<at], as: UTF8.self)
        if whole, let integer = Int(text) { return .int(integer) }
        guard let number = Double(text) else { throw error("a number that cannot be read") }
        return .double(number)
    }

    @discardableResult
    private mutating func skipDigits() -> Int {
        let start = at
        while at < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[at]) { at += 1 }
        return at - start
    }

    private mutating func string() throws(JSONError) -> String {
        let start = at
        at += 1
        var unescaped: [UInt8] = []
        while at < bytes.count {
            let byte = bytes[at]
            switch byte {
            case UInt8(ascii: "\""):
                at += 1
                guard let text = String(validating: unescaped, as: UTF8.self) else {
                    throw JSONError(message: "a string that is not UTF-8", offset: start)
                }
                return text
            case UInt8(ascii: "\\"):
                at += 1
                unescaped.append(contentsOf: UTF8.encode(try escape()).map { Array($0) } ?? [])
            case 0..<0x20: throw error("a control character in a string")
            default:
                unescaped.append(byte)
                at += 1
            }
        }
        throw JSONError(message: "a string without its closing quote", offset: start)
    }

    private mutating func escape() throws(JSONError) -> Unicode.Scalar {
        guard at < bytes.count else { throw error("the JSON ends in an escape") }
        let byte = bytes[at]
        at += 1
        switch byte {
        case UInt8(ascii: "\""): return "\""
        case UInt8(ascii: "\\"): return "\\"
        case UInt8(ascii: "/"): return "/"
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return try scalar()
        default: throw error("an unknown escape in a string")
        }
    }

    /// A `\uXXXX` escape, or two that form a surrogate pair; a lone surrogate becomes U+FFFD.
    private mutating func scalar() throws(JSONError) -> Unicode.Scalar {
        let high = try hexDigits()
        if (0xD800..<0xDC00).contains(high), take(word: "\\u") {
            let back = at
            let low = try hexDigits()
            if (0xDC00..<0xE000).contains(low) {
                return Unicode.Scalar(0x10000 + (high - 0xD800) << 10 + (low - 0xDC00)) ?? "\u{FFFD}"
            }
            at = back - 2
        }
        return Unicode.Scalar(high) ?? "\u{FFFD}"
    }

    private mutating func hexDigits() throws(JSONError) -> UInt32 {
        guard at <= bytes.count - 4 else { throw error("a \\u escape without four digits") }
        var number: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = Character(Unicode.Scalar(bytes[at])).hexDigitValue else {
                throw error("a \\u escape without four digits")
            }
            number = number << 4 | UInt32(digit)
            at += 1
        }
        return number
    }
}
