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

    /// Where the part first starts in the text, as an offset in UTF-8; takes time in proportion to the text.
    static func find(_ part: String, in text: String, from start: Int = 0) -> Int? {
        if part.isEmpty { return start }
        guard part.utf8.count <= text.utf8.count - start else { return nil }
        var (text, part) = (text, part)
        return text.withUTF8 { bytes in part.withUTF8 { find($0, in: bytes, from: start) } }
    }

    private static func find(
        _ part: UnsafeBufferPointer<UInt8>, in bytes: UnsafeBufferPointer<UInt8>, from start: Int
    ) -> Int? {
        var index = start
        var compared = 0
        while index + part.count <= bytes.count {
            var length = 0
            while length < part.count, bytes[index + length] == part[length] { length += 1 }
            if length == part.count { return index }
            index += 1
            compared += length
            if compared > 4 * (index - start) + 256 { return findRepetitive(part, in: bytes, from: index) }
        }
        return nil
    }

    /// As `find`, never comparing a byte of the text with more than two of the part on average (Knuth, Morris and Pratt).
    private static func findRepetitive(
        _ part: UnsafeBufferPointer<UInt8>, in bytes: UnsafeBufferPointer<UInt8>, from start: Int
    ) -> Int? {
        // How long the longest start of the part is that ends, without being all of it, at each of its bytes.
        var borders = [Int32](repeating: 0, count: part.count)
        var length = 0
        for index in 1..<part.count {
            while length > 0, part[index] != part[length] { length = Int(borders[length - 1]) }
            if part[index] == part[length] { length += 1 }
            borders[index] = Int32(length)
        }
        length = 0
        for index in start..<bytes.count {
            while length > 0, bytes[index] != part[length] { length = Int(borders[length - 1]) }
            if bytes[index] == part[length] { length += 1 }
            if length == part.count { return index + 1 - length }
        }
        return nil
    }

    /// Where the part last starts in the text, as an offset in UTF-8.
    static func findLast(_ part: String, in text: String) -> Int? {
        if part.isEmpty { return text.utf8.count }
        guard part.utf8.count <= text.utf8.count else { return nil }
        let (bytes, needle) = (Array(text.utf8.reversed()), Array(part.utf8.reversed()))
        let found = bytes.withUnsafeBufferPointer { bytes in
            needle.withUnsafeBufferPointer { find($0, in: bytes, from: 0) }
        }
        return found.map { bytes.count - $0 - needle.count }
    }

    /// How often the part stands in the text, without overlaps.
    static func count(_ part: String, in text: String) -> Int {
        var count = 0
        var start = 0
        while let found = find(part, in: text, from: start) {
            count += 1
            start = found + max(1, part.utf8.count)
        }
        return count
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

    /// The text that many times, none below one: `String(repeating:count:)`, which appends a short text byte by byte, in a few appends.
    static func repeated(_ text: String, _ count: Int) -> String {
        var (output, doubled, rest) = ("", text, count)
        while rest > 0 {
            if rest & 1 == 1 { output += doubled }
            rest >>= 1
            if rest > 0 { doubled += doubled }
        }
        return output
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
        return repeated(fill, left) + text + repeated(fill, missing - left)
    }
}
