/// How one value is laid out: Python's format specification, as far as text, whole and decimal numbers go.
private struct FormatSpecification {
    var fill: Unicode.Scalar = " "
    var align: Unicode.Scalar?
    var sign: Unicode.Scalar = "-"
    var isAlternate = false
    var width = 0
    var grouping: Unicode.Scalar?
    var precision: Int?
    var conversion: Unicode.Scalar?
    /// How many digits a whole number has at least.
    var digits = 0

    /// Reads `[[fill]align][sign][#][0][width][,][.precision][type]`; nil when the text is something else.
    init?(_ text: String) {
        var rest = Array(text.unicodeScalars)[...]
        if rest.count > 1, "<>^=".unicodeScalars.contains(rest[rest.startIndex + 1]) {
            fill = rest.removeFirst()
            align = rest.removeFirst()
        } else if let first = rest.first, "<>^=".unicodeScalars.contains(first) {
            align = rest.removeFirst()
        }
        if let first = rest.first, "+- ".unicodeScalars.contains(first) { sign = rest.removeFirst() }
        if rest.first == "#" {
            isAlternate = true
            rest.removeFirst()
        }
        if rest.first == "0" {
            rest.removeFirst()
            if align == nil { align = "=" }
            if fill == " " { fill = "0" }
        }
        width = Self.number(&rest) ?? 0
        if let first = rest.first, first == "," || first == "_" { grouping = rest.removeFirst() }
        if rest.first == "." {
            rest.removeFirst()
            guard let digits = Self.number(&rest) else { return nil }
            precision = digits
        }
        conversion = rest.popFirst()
        guard rest.isEmpty, width <= 10_000, (precision ?? 0) <= 10_000 else { return nil }
    }

    init() {}

    static func number(_ rest: inout ArraySlice<Unicode.Scalar>) -> Int? {
        var number: Int?
        while let first = rest.first, let digit = first.properties.numericType == .decimal ? Int(String(first)) : nil {
            number = min((number ?? 0) * 10 + digit, 1_000_000)
            rest.removeFirst()
        }
        return number
    }

    func padded(_ text: String, sign: String, default: Unicode.Scalar) -> String {
        let align = align ?? `default`
        if align == "=" {
            return sign + PythonText.padded(text, to: width - sign.unicodeScalars.count, with: fill, align: ">")
        }
        return PythonText.padded(sign + text, to: width, with: fill, align: align)
    }
}

extension TemplateEvaluator {
    /// Python's `format % operand`.
    func percentFormatted(_ format: String, _ operand: JinjaValue) throws(ChatTemplateError) -> String {
        var values: [JinjaValue] = [operand]
        if case .tuple(let list) = operand { values = list.elements }
        var output = ""
        var used = 0
        var rest = Array(format.unicodeScalars)[...]
        while let scalar = rest.popFirst() {
            guard scalar == "%" else {
                output.unicodeScalars.append(scalar)
                continue
            }
            var named: JinjaValue?
            if rest.first == "(" {
                let name = String(String.UnicodeScalarView(rest.dropFirst().prefix { $0 != ")" }))
                rest = rest.dropFirst(name.unicodeScalars.count + 2)
                guard case .dictionary(let dictionary) = operand else { throw failure("format requires a mapping") }
                guard let value = dictionary.value(of: name) else { throw failure("KeyError: '\(name)'") }
                named = value
            }
            let (specification, conversion) = try percentSpecification(&rest)
            if conversion == "%" {
                output += "%"
                continue
            }
            guard named != nil || used < values.count else { throw failure("not enough arguments for format string") }
            let value = named ?? values[used]
            used += named == nil ? 1 : 0
            output += try percentFormatted(value, specification, conversion)
            if output.utf8.count > sizeLimit { throw exceeded("a formatted text grows too large") }
        }
        switch operand {
        case .dictionary, .list, .range, .undefined: return output
        default: break
        }
        guard used == values.count else { throw failure("not all arguments converted during string formatting") }
        return output
    }

    private func percentSpecification(
        _ rest: inout ArraySlice<Unicode.Scalar>
    ) throws(ChatTemplateError) -> (FormatSpecification, Unicode.Scalar) {
        var specification = FormatSpecification()
        while let flag = rest.first, "-+ #0".unicodeScalars.contains(flag) {
            rest.removeFirst()
            switch flag {
            case "-": specification.align = "<"
            case "0": if specification.align == nil { (specification.fill, specification.align) = ("0", "=") }
            case "#": specification.isAlternate = true
            default: specification.sign = flag
            }
        }
        if specification.align == "<" { specification.fill = " " }
        specification.width = FormatSpecification.number(&rest) ?? 0
        if rest.first == "." {
            rest.removeFirst()
            specification.precision = FormatSpecification.number(&rest) ?? 0
        }
        if let length = rest.first, "hlL".unicodeScalars.contains(length) { rest.removeFirst() }
        guard let conversion = rest.popFirst() else { throw failure("incomplete format") }
        guard specification.width <= 10_000, (specification.precision ?? 0) <= 10_000 else {
            throw exceeded("a format asks for more than 10000 characters")
        }
        return (specification, conversion)
    }

    private func percentFormatted(
        _ value: JinjaValue, _ specification: FormatSpecification, _ conversion: Unicode.Scalar
    ) throws(ChatTemplateError) -> String {
        var specification = specification
        if !["s", "r", "a"].contains(conversion) { try refuseWide(value) }
        switch conversion {
        case "s", "r", "a":
            if specification.align == "=" { (specification.fill, specification.align) = (" ", ">") }
            var text = conversion == "s" ? try text(value) : try represented(value)
            if conversion == "a" { text = PythonRepresentation.ascii(text) }
            let cut = specification.precision.map { String(text.unicodeScalars.prefix($0)) } ?? text
            return specification.padded(cut, sign: "", default: ">")
        case "c":
            if case .string(let text, _) = value { return specification.padded(text, sign: "", default: ">") }
            guard let number = value.wholeNumber, let code = UInt32(exactly: number), let scalar = Unicode.Scalar(code) else {
                throw failure("%c requires int or char")
            }
            return specification.padded(String(scalar), sign: "", default: ">")
        case "d", "i", "u", "x", "X", "o":
            guard let number = value.number else { throw failure("%\(conversion) format: a real number is required, not \(value.typeName)") }
            guard let whole = value.wholeNumber ?? Int(exactly: number.rounded(.towardZero)) else {
                throw exceeded("a whole number grows beyond 64 bits")
            }
            if case .float = value, conversion == "x" || conversion == "X" || conversion == "o" {
                throw failure("%\(conversion) format: an integer is required, not float")
            }
            specification.conversion = conversion == "i" || conversion == "u" ? "d" : conversion
            specification.digits = specification.precision ?? 0
            specification.precision = nil
            return try formatted(.int(whole), specification)
        case "f", "F", "e", "E", "g", "G":
            guard let number = value.number else { throw failure("must be real number, not \(value.typeName)") }
            specification.conversion = conversion
            return try formatted(.float(number), specification)
        default: throw failure("unsupported format character '\(conversion)'")
        }
    }

    /// Python's `format(value, specification)`.
    private func formatted(_ value: JinjaValue, _ specification: FormatSpecification) throws(ChatTemplateError) -> String {
        try refuseWide(value)
        let conversion = specification.conversion
        if let whole = value.wholeNumber, !"eEfFgG%".unicodeScalars.contains(conversion ?? "d") {
            return try formattedWhole(whole, specification)
        }
        if let number = value.number, conversion != "s" { return try formattedFloat(number, specification) }
        guard conversion == nil || conversion == "s" else {
            throw failure("Unknown format code '\(String(conversion ?? "s"))' for object of type '\(value.typeName)'")
        }
        let text = try text(value)
        let cut = specification.precision.map { String(text.unicodeScalars.prefix($0)) } ?? text
        return specification.padded(cut, sign: "", default: "<")
    }

    private func sign(_ isNegative: Bool, _ specification: FormatSpecification) -> String {
        isNegative ? "-" : specification.sign == "-" ? "" : String(specification.sign)
    }

    private func formattedWhole(_ number: Int, _ specification: FormatSpecification) throws(ChatTemplateError) -> String {
        var digits: String
        var prefix = ""
        switch specification.conversion ?? "d" {
        case "d", "n": digits = grouped(String(number.magnitude), specification.grouping)
        case "x": (digits, prefix) = (String(number.magnitude, radix: 16), "0x")
        case "X": (digits, prefix) = (String(number.magnitude, radix: 16, uppercase: true), "0X")
        case "o": (digits, prefix) = (String(number.magnitude, radix: 8), "0o")
        case "b": (digits, prefix) = (String(number.magnitude, radix: 2), "0b")
        case "c":
            guard let code = UInt32(exactly: number), let scalar = Unicode.Scalar(code) else { throw failure("%c arg not in range") }
            return specification.padded(String(scalar), sign: "", default: "<")
        case let other: throw failure("Unknown format code '\(other)' for object of type 'int'")
        }
        digits = PythonText.padded(digits, to: specification.digits, with: "0", align: ">")
        let sign = sign(number < 0, specification) + (specification.isAlternate ? prefix : "")
        return specification.padded(digits, sign: sign, default: ">")
    }

    private func formattedFloat(_ number: Double, _ specification: FormatSpecification) throws(ChatTemplateError) -> String {
        let sign = sign(number.sign == .minus && !number.isNaN, specification)
        let magnitude = number.magnitude
        let precision = min(specification.precision ?? 6, 200)
        var text: String
        switch specification.conversion {
        case "f", "F": text = PythonNumber.formatted(magnitude, "f", precision: precision)
        case "e", "E", "g", "G", "n":
            let conversion: Character = specification.conversion == "e" || specification.conversion == "E" ? "e" : "g"
            text = PythonNumber.formatted(magnitude, conversion, precision: precision)
            if specification.conversion == "E" || specification.conversion == "G" { text = text.uppercased() }
        case "%": text = PythonNumber.formatted(magnitude * 100, "f", precision: precision) + "%"
        case nil:
            text = specification.precision == nil
                ? PythonNumber.text(magnitude) : PythonNumber.formatted(magnitude, "g", precision: precision)
        case let other?: throw failure("Unknown format code '\(other)' for object of type 'float'")
        }
        let whole = text.prefix { $0 >= "0" && $0 <= "9" }
        text = grouped(String(whole), specification.grouping) + text.dropFirst(whole.count)
        return specification.padded(text, sign: sign, default: ">")
    }

    private func grouped(_ digits: String, _ separator: Unicode.Scalar?) -> String {
        guard let separator else { return digits }
        var output = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index).isMultiple(of: 3) { output.unicodeScalars.append(separator) }
            output.append(digit)
        }
        return output
    }

    /// Python's `text.format(…)`: fields by position or name, with attributes, items, conversions and specifications.
    func braceFormatted(_ format: String, _ arguments: JinjaArguments) throws(ChatTemplateError) -> String {
        var position = 0
        return try braceFormatted(format, arguments, &position, isNested: false)
    }

    private func braceFormatted(
        _ format: String, _ arguments: JinjaArguments, _ position: inout Int, isNested: Bool
    ) throws(ChatTemplateError) -> String {
        var output = ""
        var rest = Array(format.unicodeScalars)[...]
        while let scalar = rest.popFirst() {
            if (scalar == "{" || scalar == "}") && rest.first == scalar {
                rest.removeFirst()
                output.unicodeScalars.append(scalar)
            } else if scalar == "}" {
                throw failure("Single '}' encountered in format string")
            } else if scalar == "{" {
                guard let end = fieldEnd(rest) else { throw failure("expected '}' before end of string") }
                output += try field(rest[..<end], arguments, &position, isNested: isNested)
                rest = rest[(end + 1)...]
                if output.utf8.count > sizeLimit { throw exceeded("a formatted text grows too large") }
            } else {
                output.unicodeScalars.append(scalar)
            }
        }
        return output
    }

    /// Where the brace stands that closes a field; its specification may hold fields.
    private func fieldEnd(_ rest: ArraySlice<Unicode.Scalar>) -> Int? {
        var depth = 0
        return rest.firstIndex { scalar in
            if scalar == "{" { depth += 1 }
            if scalar == "}" { depth -= 1 }
            return depth < 0
        }
    }

    private func field(
        _ field: ArraySlice<Unicode.Scalar>, _ arguments: JinjaArguments, _ position: inout Int, isNested: Bool
    ) throws(ChatTemplateError) -> String {
        var name = field.prefix { $0 != ":" && $0 != "!" }
        var rest = field[name.endIndex...]
        let first = name.prefix { $0 != "." && $0 != "[" }
        name = name[first.endIndex...]
        let key = String(String.UnicodeScalarView(first))
        var value: JinjaValue?
        if key.isEmpty {
            value = arguments.positional.indices.contains(position) ? arguments.positional[position] : nil
            position += 1
        } else if let index = Int(key) {
            value = arguments.positional.indices.contains(index) ? arguments.positional[index] : nil
        } else {
            value = arguments.named.first { $0.name == key }?.value
        }
        guard var value else { throw failure("Replacement field '\(key)' is not among the arguments") }
        while let mark = name.popFirst() {
            let part = name.prefix { mark == "[" ? $0 != "]" : $0 != "." && $0 != "[" }
            name = name[part.endIndex...].drop { $0 == "]" }
            let text = String(String.UnicodeScalarView(part))
            value = mark == "." ? try member(text, of: value) : try item(Int(text).map { .int($0) } ?? .string(text), of: value)
        }
        if rest.first == "!" {
            let conversion = rest.dropFirst().first
            rest = rest.dropFirst(2)
            switch conversion {
            case "r": value = .string(try represented(value))
            case "a": value = .string(PythonRepresentation.ascii(try represented(value)))
            case "s": value = .string(try text(value))
            default: throw failure("Unknown conversion specifier after '!'")
            }
        }
        var text = String(String.UnicodeScalarView(rest.dropFirst()))
        if text.utf8.contains(UInt8(ascii: "{")) {
            if isNested { throw failure("Max string recursion exceeded") }
            text = try braceFormatted(text, arguments, &position, isNested: true)
        }
        if text.isEmpty { return try self.text(value) }
        guard let specification = FormatSpecification(text) else { throw failure("Invalid format specifier '\(text)'") }
        return try formatted(value, specification)
    }
}
