/// One step of a decoder chain that takes tokens one after another and gives text as soon as it is certain.
struct DecoderStage: Sendable {
    private let step: DecoderStep
    /// Whether the input is one token that arrives in parts, as it does after `Fuse` or `ByteLevel`.
    private let isFused: Bool
    private var isFirst = true
    /// What has arrived and cannot be passed on yet.
    private var held: [UInt8] = []
    private var holdsToken = false
    private var leadingToStrip: Int

    init(_ step: DecoderStep, isFused: Bool) {
        self.step = step
        self.isFused = isFused
        leadingToStrip =
            switch step {
            case .strip(_, let start, _): start
            case .pieces(.one): 1
            case .pieces(.all): .max
            default: 0
            }
    }

    /// Whether the stage's output is one token in parts.
    var fuses: Bool {
        switch step {
        case .fuse, .byteLevel: true
        default: isFused
        }
    }

    /// How much has arrived that cannot be passed on yet.
    var heldBytes: Int { held.count }

    /// How many bytes have arrived as tokens such as `<0x0A>` since the last other token.
    var runBytes: Int { if case .byteFallback = step { held.count } else { 0 } }

    /// Takes the next token (or part of the one token) and gives what is certain of the output.
    mutating func append(_ token: [UInt8], _ work: TokenizationWork) throws(TokenizationError) -> [[UInt8]] {
        defer { isFirst = false }
        switch step {
        case .fuse: return [token]
        case .byteLevel: return isFused ? hold(token) : appendBytes(ByteAlphabet.bytes(spelledBy: token[...]))
        case .byteFallback: return isFused ? hold(token) : appendFallback(token)
        case .replace(let pattern, let content):
            if isFused, !pattern.isSingleScalar { return hold(token) }
            return [try pattern.replacing(in: token, with: content, work)]
        case .strip(let content, let start, let stop):
            return [isFused ? appendStripped(token, content, stop) : stripped(token, content, start, stop)]
        case .metaspace(let replacement, let scheme):
            return [spaced(token, replacement, dropsSpace: (isFirst || isFused) && scheme != .never)]
        case .endOfWord(let suffix):
            if isFused { return hold(token) }
            defer { (held, holdsToken) = (token, true) }
            return holdsToken ? [replaced(held, suffix, by: " ")] : []
        case .pieces: return [appendPiece(token)]
        }
    }

    /// Gives what was held back; nothing may be appended afterwards.
    mutating func finish(_ work: TokenizationWork) throws(TokenizationError) -> [[UInt8]] {
        defer { held = [] }
        switch step {
        case .byteLevel:
            let bytes = isFused ? ByteAlphabet.bytes(spelledBy: held[...]) : held
            return [Array(String(decoding: bytes, as: UTF8.self).utf8)]
        case .byteFallback:
            if isFused { return [Self.fallbackByte(held).map { repaired([$0]) } ?? held] }
            return held.isEmpty ? [] : [repaired(held)]
        case .replace(let pattern, let content): return [try pattern.replacing(in: held, with: content, work)]
        case .strip(let content, _, let stop):
            var count = 0
            while count < stop, held.count >= content.count, held.suffix(content.count) == content[...] {
                held.removeLast(content.count)
                count += 1
            }
            return [held]
        case .endOfWord(let suffix): return [replaced(held, suffix, by: "")]
        case .pieces: return [UTF8Repair.byteByByte(held)]
        case .fuse, .metaspace: return []
        }
    }

    /// Of bytes that are no UTF-8 each becomes U+FFFD by itself. A space is dropped from the beginning of pieces as long as there is no
    /// text, or only once.
    private mutating func appendPiece(_ piece: [UInt8]) -> [UInt8] {
        var output: [UInt8]
        if let byte = Self.fallbackByte(piece) {
            held.append(byte)
            let end = held.count - UTF8Repair.incompleteTail(of: held)
            output = UTF8Repair.byteByByte(Array(held[..<end]))
            held.removeFirst(end)
        } else {
            output = UTF8Repair.byteByByte(held)
            held = []
            var rest = piece[...]
            if leadingToStrip > 0, output.isEmpty, rest.starts(with: Self.spaceMark) {
                rest = rest.dropFirst(Self.spaceMark.count)
                leadingToStrip -= 1
            }
            output += replaced(Array(rest), Self.spaceMark, by: " ")
        }
        if !output.isEmpty { leadingToStrip = 0 }
        return output
    }

    private static let spaceMark = Array("▁".utf8)

    private mutating func hold(_ token: [UInt8]) -> [[UInt8]] {
        held += token
        return []
    }

    private mutating func appendBytes(_ bytes: [UInt8]) -> [[UInt8]] {
        held += bytes
        let end = held.count - UTF8Repair.incompleteTail(of: held)
        defer { held.removeFirst(end) }
        return end > 0 ? [Array(String(decoding: held[..<end], as: UTF8.self).utf8)] : []
    }

    private mutating func appendFallback(_ token: [UInt8]) -> [[UInt8]] {
        if let byte = Self.fallbackByte(token) { return hold([byte]) }
        defer { held = [] }
        return held.isEmpty ? [token] : [repaired(held), token]
    }

    /// The bytes when they are UTF-8, else one U+FFFD for each.
    private func repaired(_ bytes: [UInt8]) -> [UInt8] {
        if String(validating: bytes, as: UTF8.self) != nil { return bytes }
        return bytes.flatMap { _ in [0xEF, 0xBF, 0xBD] as [UInt8] }
    }

    /// The byte that a token such as `<0x0A>` stands for.
    static func fallbackByte(_ token: [UInt8]) -> UInt8? {
        guard token.count == 6, token.starts(with: "<0x".utf8), token[5] == UInt8(ascii: ">") else { return nil }
        return UInt8(String(decoding: token[3..<5], as: UTF8.self), radix: 16)
    }

    private func spaced(_ token: [UInt8], _ replacement: [UInt8], dropsSpace: Bool) -> [UInt8] {
        replaced(token, replacement, by: dropsSpace ? "" : " ")
    }

    private func replaced(_ token: [UInt8], _ text: [UInt8], by content: String) -> [UInt8] {
        LiteralSearch(text).replacing(in: token, with: Array(content.utf8))
    }

    private func stripped(_ token: [UInt8], _ content: [UInt8], _ start: Int, _ stop: Int) -> [UInt8] {
        var rest = token[...]
        for _ in 0..<start where rest.starts(with: content) { rest = rest.dropFirst(content.count) }
        for _ in 0..<stop where rest.count >= content.count && rest.suffix(content.count) == content[...] {
            rest = rest.dropLast(content.count)
        }
        return Array(rest)
    }

    private mutating func appendStripped(_ part: [UInt8], _ content: [UInt8], _ stop: Int) -> [UInt8] {
        var rest = part[...]
        while leadingToStrip > 0, !rest.isEmpty {
            guard rest.starts(with: content) else {
                leadingToStrip = 0
                break
            }
            rest = rest.dropFirst(content.count)
            leadingToStrip -= 1
        }
        guard stop > 0 else { return Array(rest) }
        held += rest
        var end = held.count
        while held.count - end < stop * content.count, end >= content.count,
            held[..<end].suffix(content.count) == content[...]
        {
            end -= content.count
        }
        defer { held.removeFirst(end) }
        return Array(held[..<end])
    }
}

enum UTF8Repair {
    /// The bytes with U+FFFD for each one that is no part of a whole scalar.
    static func byteByByte(_ bytes: [UInt8]) -> [UInt8] {
        if bytes.allSatisfy({ $0 < 0x80 }) { return bytes }
        var output: [UInt8] = []
        var start = 0
        while start < bytes.count {
            let length = (1...4).first { start + $0 <= bytes.count && String(validating: bytes[start..<start + $0], as: UTF8.self) != nil }
            output += length.map { bytes[start..<start + $0] } ?? [0xEF, 0xBF, 0xBD]
            start += length ?? 1
        }
        return output
    }

    /// How many bytes at the end are the beginning of a scalar that more bytes could complete.
    static func incompleteTail(of bytes: [UInt8]) -> Int {
        for length in 1...3 where length <= bytes.count {
            let lead = bytes[bytes.count - length]
            if lead & 0xC0 == 0x80 { continue }
            let needed =
                switch lead {
                case 0xC2...0xDF: 2
                case 0xE0...0xEF: 3
                case 0xF0...0xF4: 4
                default: 1
                }
            guard needed > length else { return 0 }
            if length == 1 { return 1 }
            let second = bytes[bytes.count - length + 1]
            let isPossible =
                switch lead {
                case 0xE0: second >= 0xA0
                case 0xED: second < 0xA0
                case 0xF0: second >= 0x90
                case 0xF4: second < 0x90
                default: true
                }
            return isPossible ? length : 0
        }
        return 0
    }
}
