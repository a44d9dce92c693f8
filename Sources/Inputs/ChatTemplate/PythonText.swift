/// Text as Python's `str` treats it: a sequence of Unicode scalars.
enum PythonText {
    static func isSpace(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.isWhitespace || (0x1C...0x1F).contains(scalar.value)
    }

    /// A text as Python reads numbers from it: without space around it and underscores, decimal digits of any script as ASCII.
    static func numeral(_ text: String) -> String {
        stripped(text, isSpace).unicodeScalars.reduce(into: "") { numeral, scalar in
            if scalar == "_" { return }
            let value = scalar.properties.numericType == .decimal ? scalar.properties.numericValue : nil
            numeral += value.map { String(Int($0)) } ?? String(scalar)
        }
    }

    /// Unicode's full case folding: Cherokee folds to capitals, the dotless i stays, all else goes by way of capitals.
    static func casefolded(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { folded, scalar in
            switch scalar.value {
            case 0x131: folded.unicodeScalars.append(scalar)
            case 0x13A0...0x13FF, 0xAB70...0xABBF: folded += scalar.properties.uppercaseMapping
            default: folded += scalar.properties.lowercaseMapping.uppercased().lowercased()
            }
        }
    }

    /// Where the part first starts in the text, as an offset in UTF-8.
    static func find(_ part: String, in text: String, from start: Int = 0) -> Int? {
        let needle = Array(part.utf8)
        guard let first = needle.first else { return start }
        var copy = text
        return copy.withUTF8 { bytes in
            var index = start
            while index + needle.count <= bytes.count {
                if bytes[index] == first {
                    var length = 1
                    while length < needle.count, bytes[index + length] == needle[length] { length += 1 }
                    if length == needle.count { return index }
                }
                index += 1
            }
            return nil
        }
    }

    /// The pieces between occurrences of the separator, at most `limit` cuts.
    static func split(_ text: String, on separator: String, limit: Int = .max) -> [String] {
        let bytes = Array(text.utf8)
        var pieces: [String] = []
        var start = 0
        while pieces.count < limit, let found = find(separator, in: text, from: start) {
            pieces.append(String(decoding: bytes[start..<found], as: UTF8.self))
            start = found + separator.utf8.count
        }
        pieces.append(String(decoding: bytes[start...], as: UTF8.self))
        return pieces
    }

    /// The words between runs of white space; the last of `limit` cuts leaves the rest whole.
    static func words(_ text: String, limit: Int = .max) -> [String] {
        var words: [String] = []
        var rest = text.unicodeScalars[...]
        while true {
            rest = rest.drop(while: isSpace)
            if rest.isEmpty { return words }
            if words.count == limit {
                words.append(String(rest))
                return words
            }
            words.append(String(rest.prefix { !isSpace($0) }))
            rest = rest.drop { !isSpace($0) }
        }
    }

    static func stripped(
        _ text: String, _ isStripped: (Unicode.Scalar) -> Bool, left: Bool = true, right: Bool = true
    ) -> String {
        var rest = text.unicodeScalars[...]
        if left { rest = rest.drop(while: isStripped) }
        if right { while let last = rest.last, isStripped(last) { rest.removeLast() } }
        return String(rest)
    }

    /// The text with occurrences replaced, at most `limit` of them.
    static func replacing(_ text: String, _ old: String, with new: String, limit: Int = .max) -> String {
        if old.isEmpty {
            var output = ""
            for (index, scalar) in text.unicodeScalars.enumerated() {
                if index < limit { output += new }
                output.unicodeScalars.append(scalar)
            }
            return text.unicodeScalars.count < limit ? output + new : output
        }
        return split(text, on: old, limit: limit).joined(separator: new)
    }

    static func lines(_ text: String, keepingEnds: Bool) -> [String] {
        var lines: [String] = []
        var line = String.UnicodeScalarView()
        var scalars = text.unicodeScalars.makeIterator()
        var pending = scalars.next()
        while let scalar = pending {
            pending = scalars.next()
            guard "\n\r\u{B}\u{C}\u{1C}\u{1D}\u{1E}\u{85}\u{2028}\u{2029}".unicodeScalars.contains(scalar) else {
                line.append(scalar)
                continue
            }
            if keepingEnds { line.append(scalar) }
            if scalar == "\r", pending == "\n" {
                if keepingEnds { line.append("\n") }
                pending = scalars.next()
            }
            lines.append(String(line))
            line = String.UnicodeScalarView()
        }
        if !line.isEmpty { lines.append(String(line)) }
        return lines
    }

    static func capitalized(_ text: String) -> String {
        guard let first = text.unicodeScalars.first else { return text }
        return first.properties.titlecaseMapping + lowercased(String(text.unicodeScalars.dropFirst()))
    }

    /// Every letter after a letter in lower case, every other in title case.
    static func titled(_ text: String) -> String {
        var output = ""
        var isInside = false
        for scalar in text.unicodeScalars {
            output += isInside ? scalar.properties.lowercaseMapping : scalar.properties.titlecaseMapping
            isInside = scalar.properties.isCased
        }
        return output
    }

    static func swappedCase(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { output, scalar in
            output += scalar.properties.isUppercase ? scalar.properties.lowercaseMapping : scalar.properties.uppercaseMapping
        }
    }

    /// Lower case; a sigma that ends a word takes its final form.
    static func lowercased(_ text: String) -> String {
        let scalars = Array(text.unicodeScalars)
        guard scalars.contains("\u{3A3}") else { return text.lowercased() }
        var output = ""
        for (index, scalar) in scalars.enumerated() {
            let isFinal = scalar == "\u{3A3}" && endsWord(scalars, index)
            output += isFinal ? "\u{3C2}" : scalar.properties.lowercaseMapping
        }
        return output
    }

    private static func endsWord(_ scalars: [Unicode.Scalar], _ index: Int) -> Bool {
        let before = scalars[..<index].last { !$0.properties.isCaseIgnorable }
        let after = scalars[(index + 1)...].first { !$0.properties.isCaseIgnorable }
        return before?.properties.isCased ?? false && !(after?.properties.isCased ?? false)
    }

    /// The text filled up to a width in scalars: `<`, `>` and `^` as in a format, `|` as `str.center` divides.
    static func padded(_ text: String, to width: Int, with fill: Unicode.Scalar = " ", align: Unicode.Scalar) -> String {
        let missing = width - text.unicodeScalars.count
        guard missing > 0 else { return text }
        let left =
            switch align {
            case "<": 0
            case ">": missing
            case "|": missing / 2 + (missing & width & 1)
            default: missing / 2
            }
        let fill = String(fill)
        return String(repeating: fill, count: left) + text + String(repeating: fill, count: missing - left)
    }
}
