extension JSONValue {
    /// The document as compact JSON in UTF-8; keys keep their order, text beyond ASCII is written as it is.
    ///
    /// A number that JSON cannot spell (not finite) becomes `null`.
    package var serialized: [UInt8] {
        var output: [UInt8] = []
        write(into: &output)
        return output
    }

    /// The document with keys sorted by their bytes, so that equal documents have equal text.
    package var canonicalText: String { sorted.serializedText }

    private var sorted: JSONValue {
        switch self {
        case .array(let elements): .array(elements.map(\.sorted))
        case .object(let object):
            .object(JSONObject(object.sorted { $0.0.precedesExactly($1.0) }.map { ($0, $1.sorted) }))
        default: self
        }
    }

    package var serializedText: String {
        String(decoding: serialized, as: UTF8.self)
    }

    /// Appends the document as compact JSON.
    package func write(into output: inout [UInt8]) {
        switch self {
        case .null: output += "null".utf8
        case .bool(let value): output += (value ? "true" : "false").utf8
        case .int(let value): output += String(value).utf8
        case .wide(let digits): output += digits.utf8
        case .double(let value): output += (value.isFinite ? value.description : "null").utf8
        case .string(let value): JSONValue.writeQuoted(value, into: &output)
        case .array(let elements):
            output.append(UInt8(ascii: "["))
            for (position, element) in elements.enumerated() {
                if position > 0 { output.append(UInt8(ascii: ",")) }
                element.write(into: &output)
            }
            output.append(UInt8(ascii: "]"))
        case .object(let object):
            output.append(UInt8(ascii: "{"))
            for (position, (key, value)) in object.enumerated() {
                if position > 0 { output.append(UInt8(ascii: ",")) }
                JSONValue.writeQuoted(key, into: &output)
                output.append(UInt8(ascii: ":"))
                value.write(into: &output)
            }
            output.append(UInt8(ascii: "}"))
        }
    }

    /// Appends the text in quotes, with the escapes that Python's `json.dumps(ensure_ascii=False)` uses.
    package static func writeQuoted(_ text: String, into output: inout [UInt8]) {
        output.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""): output += [UInt8(ascii: "\\"), byte]
            case UInt8(ascii: "\\"): output += [byte, byte]
            case 0x08: output += "\\b".utf8
            case 0x09: output += "\\t".utf8
            case 0x0A: output += "\\n".utf8
            case 0x0C: output += "\\f".utf8
            case 0x0D: output += "\\r".utf8
            case 0..<0x20:
                let digits = String(byte, radix: 16)
                output += (digits.count < 2 ? "\\u000" : "\\u00").utf8
                output += digits.utf8
            default: output.append(byte)
            }
        }
        output.append(UInt8(ascii: "\""))
    }
}
