/// The few escapes that Oniguruma and PCRE2 read differently.
enum OnigurumaSyntax {
    /// The pattern in PCRE2's spelling: `\h` means a hexadecimal digit, `\w` counts marks and connectors but no other numbers.
    static func translated(_ pattern: String) -> String {
        var output = ""
        var isEscaped = false
        var classDepth = 0
        for scalar in pattern.unicodeScalars {
            if isEscaped {
                isEscaped = false
                output += escape(scalar, inClass: classDepth > 0)
                continue
            }
            switch scalar {
            case "\\":
                isEscaped = true
                continue
            case "[": classDepth += 1
            case "]": classDepth = max(0, classDepth - 1)
            default: break
            }
            output.unicodeScalars.append(scalar)
        }
        return isEscaped ? output + "\\" : output
    }

    private static func escape(_ scalar: Unicode.Scalar, inClass: Bool) -> String {
        let wordMembers = "\\p{L}\\p{M}\\p{Nd}\\p{Pc}"
        switch scalar {
        case "h": return inClass ? "0-9A-Fa-f" : "[0-9A-Fa-f]"
        case "H" where !inClass: return "[^0-9A-Fa-f]"
        case "w": return inClass ? wordMembers : "[\(wordMembers)]"
        case "W" where !inClass: return "[^\(wordMembers)]"
        default:
            var text = "\\"
            text.unicodeScalars.append(scalar)
            return text
        }
    }
}
