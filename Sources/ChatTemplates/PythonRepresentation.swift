internal import JSON

/// Writes values as Python's `str`, `repr` and `json.dumps` do, up to a size limit.
struct PythonRepresentation {
    private(set) var output: [UInt8] = []
    /// Whether writing stopped at the limit.
    private(set) var isCut = false
    /// The type of a value that Python shows by its address, which stopped writing.
    private(set) var unprintable: String?
    private let limit: Int

    /// How many values were met, long texts counted by their length.
    private(set) var visits = 0
    private let visitLimit: Int

    /// Stops behind that many bytes, or that many values.
    init(limit: Int, visits: Int) {
        self.limit = limit
        visitLimit = visits
    }

    private mutating func visit(_ value: JinjaValue, level: Int) -> Bool {
        visits += 1
        if case .string(let text, _) = value { visits += text.utf8.count / 16 }
        if level > TemplateEvaluator.valueDepthLimit || visits > visitLimit { isCut = true }
        return !isCut
    }

    var text: String { String(decoding: output, as: UTF8.self) }

    private mutating func write(_ text: String) {
        guard output.count <= limit else {
            isCut = true
            return
        }
        output += text.utf8
    }

    /// Writes `repr(value)`.
    mutating func represent(_ value: JinjaValue, level: Int = 0) {
        guard visit(value, level: level) else { return }
        switch value {
        case .undefined: write("Undefined")
        case .none: write("None")
        case .bool(let flag): write(flag ? "True" : "False")
        case .int(let number): write(String(number))
        case .wide(let digits): write(digits)
        case .float(let number): write(PythonNumber.text(number))
        case .string(let text, let isSafe): write(isSafe ? "Markup(\(Self.quoted(text)))" : Self.quoted(text))
        case .list(let list):
            write("[")
            separate(list.elements) { $0.represent($1, level: level + 1) }
            write("]")
        case .tuple(let list):
            write("(")
            separate(list.elements) { $0.represent($1, level: level + 1) }
            write(list.elements.count == 1 ? ",)" : ")")
        case .dictionary(let dictionary): represent(dictionary, level: level)
        case .range(let range): write("range(\(range.start), \(range.stop)\(range.step == 1 ? "" : ", \(range.step)"))")
        case .view(let view):
            write(view.kind.rawValue + "([")
            separate(view.elements) { $0.represent($1, level: level + 1) }
            write("])")
        case .namespace(let namespace):
            write("<Namespace ")
            represent(namespace.members, level: level + 1)
            write(">")
        case .loop(let loop): write("<LoopContext \(loop.index + 1)/\(loop.items.count)>")
        case .callable(let callable):
            if let text = callable.text { write(text) } else { stop(at: "function") }
        case .iterator(let iterator): stop(at: iterator.typeName)
        }
    }

    private mutating func stop(at type: String) {
        isCut = true
        unprintable = type
    }

    private mutating func represent(_ dictionary: JinjaDictionary, level: Int) {
        write("{")
        separate(Array(zip(dictionary.keys, dictionary.values))) { writer, pair in
            writer.represent(pair.0, level: level + 1)
            writer.write(": ")
            writer.represent(pair.1, level: level + 1)
        }
        write("}")
    }

    private mutating func separate<Element>(
        _ elements: [Element], by separator: String = ", ", _ body: (inout PythonRepresentation, Element) -> Void
    ) {
        for (index, element) in elements.enumerated() {
            if index > 0 { write(separator) }
            body(&self, element)
            if isCut { return }
        }
    }

    /// The text with everything beyond ASCII escaped, as Python's `ascii` writes it.
    static func ascii(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { $0 += $1.isASCII ? String($1) : escaped($1) }
    }

    /// `repr` of a string.
    static func quoted(_ text: String) -> String {
        let quote: Unicode.Scalar = text.utf8.contains(UInt8(ascii: "'")) && !text.utf8.contains(UInt8(ascii: "\"")) ? "\"" : "'"
        var output = String(quote)
        for scalar in text.unicodeScalars {
            switch scalar {
            case quote, "\\": output += "\\" + String(scalar)
            case "\n": output += "\\n"
            case "\r": output += "\\r"
            case "\t": output += "\\t"
            default: output += isPrintable(scalar) ? String(scalar) : escaped(scalar)
            }
        }
        return output + String(quote)
    }

    static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return scalar.value >= 0x20 && scalar.value < 0x7F }
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator, .spaceSeparator:
            return false
        default: return true
        }
    }

    private static func escaped(_ scalar: Unicode.Scalar) -> String {
        let digits = String(scalar.value, radix: 16)
        let (prefix, width) = scalar.value < 0x100 ? ("\\x", 2) : scalar.value < 0x10000 ? ("\\u", 4) : ("\\U", 8)
        return prefix + String(repeating: "0", count: width - digits.count) + digits
    }
}

/// The options of Python's `json.dumps` that templates can set.
struct JSONStyle {
    /// What one level of indentation is; nil writes everything on one line.
    var indent: String?
    var itemSeparator = ", "
    var keySeparator = ": "
    var sortsKeys = false
    var isASCII = false
}

extension PythonRepresentation {
    /// Writes `json.dumps(value)`; throws the Python type that JSON lacks.
    mutating func dump(_ value: JinjaValue, _ style: JSONStyle, level: Int = 0) throws(UnserializableType) {
        guard visit(value, level: level) else { return }
        switch value {
        case .none: write("null")
        case .bool(let flag): write(flag ? "true" : "false")
        case .int(let number): write(String(number))
        case .wide(let digits): write(digits)
        case .float(let number): write(Self.jsonText(number))
        case .string(let text, _): write(Self.jsonQuoted(text, style))
        case .list(let list), .tuple(let list):
            if list.elements.isEmpty { return write("[]") }
            write("[")
            for (index, element) in list.elements.enumerated() where !isCut {
                startItem(index, style, level + 1)
                try dump(element, style, level: level + 1)
            }
            endItems(style, level)
            write("]")
        case .dictionary(let dictionary): try dump(dictionary, style, level: level)
        default: throw UnserializableType(name: value.typeName)
        }
    }

    private mutating func dump(
        _ dictionary: JinjaDictionary, _ style: JSONStyle, level: Int
    ) throws(UnserializableType) {
        if dictionary.count == 0 { return write("{}") }
        var pairs: [(key: String, value: JinjaValue)] = []
        for (key, value) in zip(dictionary.keys, dictionary.values) { pairs.append((try Self.jsonKey(key), value)) }
        if style.sortsKeys { pairs.sort { $0.key.precedesExactly($1.key) } }
        write("{")
        for (index, pair) in pairs.enumerated() where !isCut {
            startItem(index, style, level + 1)
            write(Self.jsonQuoted(pair.key, style) + style.keySeparator)
            try dump(pair.value, style, level: level + 1)
        }
        endItems(style, level)
        write("}")
    }

    private mutating func startItem(_ index: Int, _ style: JSONStyle, _ level: Int) {
        if index > 0 { write(style.itemSeparator) }
        indent(style, level)
    }

    private mutating func indent(_ style: JSONStyle, _ level: Int) {
        guard let indent = style.indent else { return }
        write("\n")
        for _ in 0..<level { write(indent) }
    }

    private mutating func endItems(_ style: JSONStyle, _ level: Int) {
        indent(style, level)
    }

    private static func jsonKey(_ key: JinjaValue) throws(UnserializableType) -> String {
        switch key {
        case .string(let text, _): text
        case .none: "null"
        case .bool(let flag): flag ? "true" : "false"
        case .int(let number): String(number)
        case .wide(let digits): digits
        case .float(let number): jsonText(number)
        default: throw UnserializableType(name: key.typeName)
        }
    }

    private static func jsonText(_ number: Double) -> String {
        if number.isNaN { return "NaN" }
        if number.isInfinite { return number < 0 ? "-Infinity" : "Infinity" }
        return PythonNumber.text(number)
    }

    private static func jsonQuoted(_ text: String, _ style: JSONStyle) -> String {
        var bytes: [UInt8] = []
        JSONValue.writeQuoted(text, into: &bytes)
        let quoted = String(decoding: bytes, as: UTF8.self)
        guard style.isASCII, !bytes.allSatisfy({ $0 < 0x7F }) else { return quoted }
        var output = ""
        for unit in quoted.utf16 {
            if unit < 0x7F {
                output.unicodeScalars.append(Unicode.Scalar(UInt8(unit)))
            } else {
                let digits = String(unit, radix: 16)
                output += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }
        }
        return output
    }
}

/// The Python type of a value that `json.dumps` refuses.
struct UnserializableType: Error {
    var name: String
}
