/// The few escapes that Oniguruma and PCRE2 read differently.
enum OnigurumaSyntax {
    /// The pattern in PCRE2's spelling: `\h` means a hexadecimal digit, `\w` also counts marks, connectors
    /// and the Latin-1 fractions and superscripts, `\uHHHH` is the scalar of that value.
    static func translated(_ pattern: String) -> String {
        var output = ""
        var classDepth = 0
        var rest = pattern.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            if scalar == "\\", let escaped = rest.popFirst() {
                output += escape(escaped, inClass: classDepth > 0, followedBy: &rest)
                continue
            }
            if scalar == "[" { classDepth += 1 }
            if scalar == "]" { classDepth = max(0, classDepth - 1) }
            output.unicodeScalars.append(scalar)
        }
        return output
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
        case "W" where !inClass: return "[^\(wordMembers)]"
        case "u" where rest.prefix(4).count(where: \.properties.isASCIIHexDigit) == 4:
            defer { rest = rest.dropFirst(4) }
            return "\\x{\(String(rest.prefix(4)))}"
        default: return "\\" + String(scalar)
        }
    }
}
