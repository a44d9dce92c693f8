extension TemplateEvaluator {
    /// Python's `textwrap.wrap` of every line.
    func wordWrapped(_ text: String, _ arguments: JinjaArguments) throws(ChatTemplateError) -> String {
        let width = try whole(arguments.value(0, "width") ?? .int(79))
        let breaksWords = arguments.value(1, "break_long_words")?.isTrue ?? true
        var separator = "\n"
        if let given = arguments.value(2, "wrapstring"), given.isTrue { separator = try self.text(given) }
        let breaksHyphens = arguments.value(3, "break_on_hyphens")?.isTrue ?? true
        guard width > 0 else { throw failure("invalid width \(width) (must be > 0)") }
        try spend(text.utf8.count)
        let wrapper = WordWrapper(width: width, breaksWords: breaksWords, breaksHyphens: breaksHyphens)
        var lines: [String] = []
        var size = 0
        for line in PythonText.lines(text, keepingEnds: false) {
            let wrapped = wrapper.lines(of: Array(line.unicodeScalars))
            size += line.utf8.count + (1 + wrapped.count) * separator.utf8.count
            try affordText(size)
            lines.append(wrapped.joined(separator: separator))
        }
        return lines.joined(separator: separator)
    }

    /// The text without tags and comments, white space collapsed, character references resolved.
    func withoutTags(_ text: String) throws(ChatTemplateError) -> String {
        try spend(text.utf8.count / 4)
        let bytes = Array(text.utf8)
        var kept: [UInt8] = []
        var position = 0
        while let open = bytes[position...].firstIndex(of: UInt8(ascii: "<")) {
            let isComment = bytes[open...].starts(with: "<!--".utf8)
            let end = isComment ? "-->" : ">"
            guard let close = PythonText.find(end, in: text, from: isComment ? open + 4 : open) else { break }
            try spend(1 + bytes.count / 64)
            kept += bytes[position..<open]
            position = close + end.utf8.count
        }
        kept += bytes[position...]
        let words = PythonText.words(String(decoding: kept, as: UTF8.self))
        return try unescaped(words.joined(separator: " "))
    }

    private func unescaped(_ text: String) throws(ChatTemplateError) -> String {
        let names = ["amp": "&", "lt": "<", "gt": ">", "quot": "\"", "apos": "'", "nbsp": "\u{A0}"]
        let pieces = PythonText.split(text, on: "&")
        var output = pieces[0]
        for piece in pieces.dropFirst() {
            let halves = PythonText.split(piece, on: ";", limit: 1)
            let name = halves[0]
            let isHexadecimal = name.hasPrefix("#x") || name.hasPrefix("#X")
            let code = name.hasPrefix("#") ? UInt32(name.dropFirst(isHexadecimal ? 2 : 1), radix: isHexadecimal ? 16 : 10) : nil
            if halves.count == 2, let character = names[name] ?? code.flatMap(Unicode.Scalar.init).map({ String($0) }) {
                output += character + halves[1]
            } else if halves.count == 2, !name.isEmpty, name.utf8.allSatisfy({ $0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A }) {
                throw failure("striptags does not know the character '&\(name);'")
            } else {
                output += "&" + piece
            }
        }
        return output
    }

    func fileSize(_ value: JinjaValue, isBinary: Bool) throws(ChatTemplateError) -> String {
        guard case .float(let bytes)? = parsedFloat(value) else {
            throw failure("could not convert '\(value.typeName)' to a number of bytes")
        }
        let base: Double = isBinary ? 1024 : 1000
        if bytes == 1 { return "1 Byte" }
        if bytes < base, let whole = Int(exactly: bytes.rounded(.towardZero)) { return "\(whole) Bytes" }
        var unit = base
        let prefixes = ["k", "M", "G", "T", "P", "E", "Z", "Y"]
        var index = 0
        while index < prefixes.count - 1, bytes >= unit * base {
            unit *= base
            index += 1
        }
        let prefix = isBinary ? prefixes[index].uppercased() + "i" : prefixes[index]
        return "\(PythonNumber.formatted(bytes / unit, "f", precision: 1)) \(prefix)B"
    }

    func attributes(_ value: JinjaValue, spaced: Bool) throws(ChatTemplateError) -> String {
        guard case .dictionary(let dictionary) = value else { throw failure("xmlattr needs a mapping") }
        var parts: [String] = []
        var size = 0
        for (key, value) in zip(dictionary.keys, dictionary.values) {
            if case .none = value { continue }
            if value.isUndefined { continue }
            let name = try text(key)
            let isForbidden = name.unicodeScalars.contains { PythonText.isSpace($0) || "/>=".unicodeScalars.contains($0) }
            if isForbidden { throw failure("Invalid character in attribute name: \(try represented(key))") }
            let shown = try text(value)
            try spend(1 + (name.utf8.count + shown.utf8.count) / 16)
            size += name.utf8.count + shown.utf8.count
            try affordText(size)
            parts.append("\(escaped(name))=\"\(value.isSafeText ? shown : escaped(shown))\"")
        }
        return (spaced && !parts.isEmpty ? " " : "") + parts.joined(separator: " ")
    }

    /// Percent encoding; of a query when the value is a mapping or pairs.
    func urlEncoded(_ value: JinjaValue) throws(ChatTemplateError) -> String {
        var pairs: [JinjaValue]
        switch value {
        case .dictionary(let dictionary): pairs = dictionary.items
        case .list, .tuple, .view, .iterator, .range: pairs = try elements(value)
        default: return urlEncoded(try text(value), isQuery: false)
        }
        var parts: [String] = []
        var size = 0
        for pair in pairs {
            let halves = try elements(pair)
            guard halves.count == 2 else { throw failure("urlencode needs pairs") }
            let (name, content) = (try text(halves[0]), try text(halves[1]))
            try spend(1 + (name.utf8.count + content.utf8.count) / 16)
            size += name.utf8.count + content.utf8.count
            try affordText(size)
            parts.append(urlEncoded(name, isQuery: true) + "=" + urlEncoded(content, isQuery: true))
        }
        return parts.joined(separator: "&")
    }

    private func urlEncoded(_ text: String, isQuery: Bool) -> String {
        var output: [UInt8] = []
        let digits = Array("0123456789ABCDEF".utf8)
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: output.append(byte)
            case UInt8(ascii: "/") where !isQuery: output.append(byte)
            case UInt8(ascii: " ") where isQuery: output.append(UInt8(ascii: "+"))
            default: output += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: output, as: UTF8.self)
    }
}

/// Fills lines up to a width, as Python's `textwrap` does.
private struct WordWrapper {
    typealias Chunk = ArraySlice<Unicode.Scalar>

    let width: Int
    let breaksWords: Bool
    let breaksHyphens: Bool

    func lines(of line: [Unicode.Scalar]) -> [String] {
        var chunks: [Chunk] = chunks(of: line).reversed()
        var lines: [String] = []
        while !chunks.isEmpty {
            var current: [Chunk] = []
            var length = 0
            if let first = chunks.last, isBlank(first), !lines.isEmpty { chunks.removeLast() }
            while let chunk = chunks.last, length + chunk.count <= width {
                current.append(chunk)
                length += chunk.count
                chunks.removeLast()
            }
            if let chunk = chunks.last, chunk.count > width {
                if breaksWords {
                    let end = chunk.startIndex + cut(chunk, room: width - length)
                    current.append(chunk[..<end])
                    chunks[chunks.count - 1] = chunk[end...]
                } else if current.isEmpty {
                    current.append(chunks.removeLast())
                }
            }
            if let last = current.last, isBlank(last) { current.removeLast() }
            if !current.isEmpty { lines.append(String(String.UnicodeScalarView(current.joined()))) }
        }
        return lines
    }

    private func isBlank(_ chunk: Chunk) -> Bool { chunk.allSatisfy(PythonText.isSpace) }

    private func cut(_ chunk: Chunk, room: Int) -> Int {
        let head = chunk.prefix(room)
        guard breaksHyphens, let hyphen = head.lastIndex(of: "-"), head[..<hyphen].contains(where: { $0 != "-" }) else {
            return head.count
        }
        return hyphen - chunk.startIndex + 1
    }

    /// Words and the white space between them; words end after hyphens between letters and around long dashes.
    private func chunks(of line: [Unicode.Scalar]) -> [Chunk] {
        var chunks: [Chunk] = []
        var start = 0
        for index in line.indices.dropFirst() where isCut(line, before: index) {
            chunks.append(line[start..<index])
            start = index
        }
        if start < line.count { chunks.append(line[start...]) }
        return chunks
    }

    private func isCut(_ line: [Unicode.Scalar], before index: Int) -> Bool {
        if Self.isSpace(line[index]) != Self.isSpace(line[index - 1]) { return true }
        guard breaksHyphens, !Self.isSpace(line[index]) else { return false }
        func isLetter(_ position: Int) -> Bool {
            line.indices.contains(position) && line[position].properties.isAlphabetic
        }
        func isHyphen(_ position: Int) -> Bool { line.indices.contains(position) && line[position] == "-" }
        if line[index - 1] == "-", line[index] != "-" {
            if isHyphen(index - 2) { return isDash(line, endingBefore: index) }
            let isAfterWord = isLetter(index - 2) && (isLetter(index - 3) || (isHyphen(index - 3) && isLetter(index - 4)))
            return isAfterWord && isLetter(index) && (isLetter(index + 1) || (isHyphen(index + 1) && isLetter(index + 2)))
        }
        guard line[index] == "-", line[index - 1] != "-", let end = line[index...].firstIndex(where: { $0 != "-" }) else {
            return false
        }
        return end - index > 1 && isDash(line, endingBefore: end)
    }

    /// Whether the hyphens that end there are a dash between words.
    private func isDash(_ line: [Unicode.Scalar], endingBefore end: Int) -> Bool {
        guard let before = line[..<end].last(where: { $0 != "-" }) else { return false }
        return Self.isWord(line[end]) && (Self.isWord(before) || "!\"'&.,?".unicodeScalars.contains(before))
    }

    private static func isWord(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.isAlphabetic || scalar.properties.numericType != nil || scalar == "_"
    }

    private static func isSpace(_ scalar: Unicode.Scalar) -> Bool {
        "\t\n\u{B}\u{C}\r ".unicodeScalars.contains(scalar)
    }
}
