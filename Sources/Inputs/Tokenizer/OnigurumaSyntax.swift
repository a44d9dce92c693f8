/// The few escapes that Oniguruma and PCRE2 read differently.
enum OnigurumaSyntax {
    /// The pattern in PCRE2's spelling: `\h` means a hexadecimal digit, `\w` also counts marks, connectors
    /// and the Latin-1 fractions and superscripts, `\uHHHH` is the scalar of that value.
    ///
    /// Throws for classes within classes, `[a[bc]]` and `[a-z&&[^b]]`: PCRE2 takes their marks for characters. `\X` stands in a
    /// group, since one item of a run of flags goes over all that precede it.
    static func translated(_ pattern: String) throws(RegularExpression.CompileError) -> String {
        var output = ""
        var isInClass = false
        var rest = pattern.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            if scalar == "\\", let escaped = rest.popFirst() {
                output += escape(escaped, inClass: isInClass, followedBy: &rest)
                continue
            }
            if scalar == "(", !isInClass, rest.first == "*" { throw unsupported("a verb of PCRE2, (*…)", "Oniguruma has none") }
            output.unicodeScalars.append(scalar)
            if scalar == "[", !isInClass {
                isInClass = true
                if rest.first == "^" { output.unicodeScalars.append(rest.removeFirst()) }
                if rest.first == "]" { output.unicodeScalars.append(rest.removeFirst()) }
            } else if scalar == "[" {
                guard let name = posixName(rest) else { throw unsupported("a class within a class", oneClass) }
                output += name
                rest = rest.dropFirst(name.unicodeScalars.count)
            } else if scalar == "&", isInClass, rest.first == "&" {
                throw unsupported("the intersection of classes, &&", oneClass)
            } else if scalar == "]" {
                isInClass = false
            }
        }
        return output
    }

    private static let oneClass = "write one class with the same members"

    private static func unsupported(_ construct: String, _ advice: String) -> RegularExpression.CompileError {
        .init(message: "the regular expression has \(construct), which is not supported; \(advice)")
    }

    /// The rest of a name such as `[:alpha:]`.
    private static func posixName(_ rest: Substring.UnicodeScalarView) -> String? {
        guard rest.first == ":", let end = rest.dropFirst().firstIndex(of: ":") else { return nil }
        let close = rest.index(after: end)
        guard close < rest.endIndex, rest[close] == "]" else { return nil }
        return String(Substring(rest[...close]))
    }

    /// Members of a class for word characters: Unicode's alphabetic characters, marks, digits and connectors.
    static let wordMembers =
        #"\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{24B6}-\x{24E9}\x{1F130}-\x{1F149}\x{1F150}-\x{1F169}\x{1F170}-\x{1F189}"#

    private static func escape(
        _ scalar: Unicode.Scalar, inClass: Bool, followedBy rest: inout Substring.UnicodeScalarView
    ) -> String {
        let wordMembers = Self.wordMembers + "\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}"
        switch scalar {
        case "h": return inClass ? "0-9A-Fa-f" : "[0-9A-Fa-f]"
        case "H" where !inClass: return "[^0-9A-Fa-f]"
        case "w": return inClass ? wordMembers : "[\(wordMembers)]"
        case "X" where !inClass: return "(?:\\X)"
        case "W" where !inClass: return "[^\(wordMembers)]"
        case "u" where rest.prefix(4).count(where: \.properties.isASCIIHexDigit) == 4:
            defer { rest = rest.dropFirst(4) }
            return "\\x{\(String(rest.prefix(4)))}"
        default: return "\\" + String(scalar)
        }
    }
}
