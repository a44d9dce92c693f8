/// Reads regular expressions: ECMAScript's, without what looks back, and with what looks ahead only at the beginning.
struct RegexParser {
    private indirect enum Node {
        case plain(Expression)
        case start
        case end
        case sequence([Node])
        case choice([Node])
        case loop(Node, Int, Int?)
        /// What must begin here, or must not.
        case look(Node, isNegative: Bool)
    }

    private var reader: ScalarReader
    private var depth = 0

    static let maxBytes = 1 << 14
    private static let maxDepth = 50

    /// What a text must be as a whole; `^` and `$` at its ends say nothing.
    static func whole(_ pattern: String, _ effort: Effort) throws(GuideError) -> Automaton { try automaton(pattern, around: .empty, effort) }

    /// What a text must hold somewhere, as in the `pattern` of a JSON Schema.
    static func part(_ pattern: String, _ effort: Effort) throws(GuideError) -> Automaton { try automaton(pattern, around: anything, effort) }

    /// Throws what `part` would of the pattern itself.
    static func check(_ pattern: String) throws(GuideError) {
        let (rest, looks) = split(try parse(pattern))
        _ = try convert(rest, isStart: true, isEnd: true, around: anything)
        for look in looks { _ = try convert(look.node, isStart: false, isEnd: true, around: anything) }
    }

    private static let anything = Expression.loop(.anyScalar, min: 0, max: nil)

    private static func automaton(_ pattern: String, around: Expression, _ effort: Effort) throws(GuideError) -> Automaton {
        let (rest, looks) = split(try parse(pattern))
        var result = try AutomatonBuilder.automaton(try convert(rest, isStart: true, isEnd: true, around: around), effort)
        for (node, isNegative) in looks {
            let ahead = try AutomatonBuilder.automaton(try convert(node, isStart: false, isEnd: true, around: anything), effort)
            result = try result.intersection(isNegative ? ahead.complement() : ahead, effort)
        }
        return result
    }

    /// A pattern without what looks ahead behind its `^`, and that: all of it holds of the same text.
    private static func split(_ node: Node) -> (rest: Node, looks: [(node: Node, isNegative: Bool)]) {
        guard case .sequence(var nodes) = node, case .start? = nodes.first else { return (node, []) }
        var looks: [(node: Node, isNegative: Bool)] = []
        while nodes.count > 1, case .look(let inner, let isNegative) = nodes[1] {
            var inner = inner
            if case .sequence(let parts) = inner, case .start? = parts.first { inner = .sequence(Array(parts.dropFirst())) }
            looks.append((inner, isNegative))
            nodes.remove(at: 1)
        }
        return (.sequence(nodes), looks)
    }

    private static func parse(_ pattern: String) throws(GuideError) -> Node {
        guard pattern.utf8.count <= maxBytes else { throw GuideError("the pattern has more than \(maxBytes) bytes") }
        var parser = RegexParser(reader: ScalarReader(pattern))
        let node = try parser.alternatives()
        guard parser.reader.isAtEnd else { throw parser.reader.error("a ) closes no group") }
        return node
    }

    private init(reader: ScalarReader) { self.reader = reader }

    private mutating func alternatives() throws(GuideError) -> Node {
        depth += 1
        guard depth <= Self.maxDepth else { throw reader.error("groups nest deeper than \(Self.maxDepth)") }
        var choices: [Node] = []
        repeat {
            var parts: [Node] = []
            while let scalar = reader.current, scalar != "|", scalar != ")" { parts.append(try repeated()) }
            choices.append(.sequence(parts))
        } while reader.take("|")
        depth -= 1
        return choices.count == 1 ? choices[0] : .choice(choices)
    }

    private mutating func repeated() throws(GuideError) -> Node {
        let atom = try atom()
        guard let (min, max) = try bounds() else { return atom }
        switch atom {
        case .start, .end, .look: throw reader.error("an anchor is repeated")
        default: break
        }
        // Which of several ways is tried first does not change what matches.
        _ = reader.take("?")
        guard reader.current != "+", reader.current != "*" else { throw reader.error("a repetition is repeated, or possessive") }
        return .loop(atom, min, max)
    }

    private mutating func bounds() throws(GuideError) -> (Int, Int?)? {
        if reader.take("*") { return (0, nil) }
        if reader.take("+") { return (1, nil) }
        if reader.take("?") { return (0, 1) }
        guard reader.current == "{" else { return nil }
        let place = reader.position
        reader.skip()
        guard let min = try reader.number() else {
            reader.go(to: place)
            return nil
        }
        var max: Int? = min
        if reader.take(",") { max = try reader.number() }
        guard reader.take("}") else {
            reader.go(to: place)
            return nil
        }
        if let max, max < min { throw reader.error("a repetition counts down") }
        return (min, max)
    }

    private mutating func atom() throws(GuideError) -> Node {
        guard let scalar = reader.take() else { throw reader.error("the pattern ends early") }
        switch scalar {
        case "^": return .start
        case "$": return .end
        case ".": return .plain(.scalars(CharacterClasses.dot))
        case "(": return try group()
        case "[": return .plain(.scalars(try set()))
        case "\\": return .plain(.scalars(try escape(inSet: false)))
        case "*", "+", "?": throw reader.error("nothing stands before a repetition")
        default: return .plain(.scalars(ScalarSet([scalar.value...scalar.value])))
        }
    }

    private mutating func group() throws(GuideError) -> Node {
        if reader.take("?") {
            if reader.take(":") {
            } else if reader.current == "!" || reader.current == "=" {
                let isNegative = reader.take() == "!"
                let inner = try alternatives()
                guard reader.take(")") else { throw reader.error("a group is not closed") }
                return .look(inner, isNegative: isNegative)
            } else if reader.take("P<") || reader.current == "<" && reader.next != "=" && reader.next != "!" {
                while let scalar = reader.current, scalar != ">" && scalar != ")" { _ = (scalar, reader.skip()) }
                guard reader.take(">") else { throw reader.error("a group's name does not end") }
            } else {
                throw reader.error("groups that look back or set flags are not supported")
            }
        }
        let inner = try alternatives()
        guard reader.take(")") else { throw reader.error("a group is not closed") }
        return inner
    }

    private mutating func set() throws(GuideError) -> ScalarSet {
        let isInverted = reader.take("^")
        var ranges: [ClosedRange<UInt32>] = []
        while !reader.take("]") {
            let low = try member()
            guard reader.current == "-", reader.next != "]", reader.next != nil, let first = low.single else {
                ranges += low.ranges
                continue
            }
            reader.skip()
            let high = try member()
            guard let last = high.single, first <= last else { throw reader.error("a range of characters has no order") }
            ranges.append(first...last)
        }
        let set = ScalarSet(ranges).withoutSurrogates
        return isInverted ? set.inverted : set
    }

    private mutating func member() throws(GuideError) -> ScalarSet {
        guard let scalar = reader.take() else { throw reader.error("a set of characters is not closed") }
        return scalar == "\\" ? try escape(inSet: true) : ScalarSet([scalar.value...scalar.value])
    }

    private mutating func escape(inSet: Bool) throws(GuideError) -> ScalarSet {
        guard let scalar = reader.take() else { throw reader.error("the pattern ends in a backslash") }
        if let known = CharacterClasses.named(scalar) { return known }
        let value: UInt32
        switch scalar {
        case "n": value = 10
        case "r": value = 13
        case "t": value = 9
        case "f": value = 12
        case "v": value = 11
        case "0" where reader.current.map { !("0"..."9").contains($0) } ?? true: value = 0
        case "b" where inSet: value = 8
        case "x": value = try reader.hexadecimal(2)
        case "u": value = try unicode()
        case let other where ("a"..."z").contains(other) || ("A"..."Z").contains(other) || ("0"..."9").contains(other):
            throw reader.error("\\\(other) is not supported")
        default: value = scalar.value
        }
        guard Unicode.Scalar(value) != nil else { throw reader.error("an escape is no character") }
        return ScalarSet([value...value])
    }

    private mutating func unicode() throws(GuideError) -> UInt32 {
        guard reader.take("{") else {
            let high = try reader.hexadecimal(4)
            guard (0xD800..<0xDC00).contains(high), reader.take("\\u") else { return high }
            let low = try reader.hexadecimal(4)
            return (0xDC00..<0xE000).contains(low) ? 0x10000 + (high - 0xD800) << 10 + (low - 0xDC00) : high
        }
        var value: UInt32 = 0
        while let scalar = reader.take(), scalar != "}" {
            guard scalar.isASCII, let digit = Character(scalar).hexDigitValue, value < 0x110000 else { throw reader.error("an escape is no character") }
            value = value << 4 | UInt32(digit)
        }
        return value
    }

    /// - Parameters:
    ///   - around: what may come before the first and behind the last part that no anchor holds.
    private static func convert(_ node: Node, isStart: Bool, isEnd: Bool, around: Expression) throws(GuideError) -> Expression {
        switch node {
        case .start, .end: return try convert(.sequence([node]), isStart: isStart, isEnd: isEnd, around: around)
        case .choice(let nodes):
            var choices: [Expression] = []
            for node in nodes { choices.append(try convert(node, isStart: isStart, isEnd: isEnd, around: around)) }
            return .choice(choices)
        case .sequence(let nodes):
            var (rest, isStart, isEnd) = (nodes[...], isStart, isEnd)
            while isStart || rest.count < nodes.count, case .start? = rest.first { (rest, isStart) = (rest.dropFirst(), false) }
            var endsHere = isEnd
            while endsHere, case .end? = rest.last { (rest, isEnd) = (rest.dropLast(), false) }
            endsHere = isEnd
            guard let first = rest.first else { return isStart || endsHere ? around : .empty }
            guard rest.count > 1 else { return try convert(first, isStart: isStart, isEnd: isEnd, around: around, alone: true) }
            var parts: [Expression] = []
            for (index, node) in rest.enumerated() {
                parts.append(
                    try convert(node, isStart: isStart && index == 0, isEnd: isEnd && index == rest.count - 1, around: around, alone: true))
            }
            return .sequence(parts)
        case .plain, .loop, .look: return try convert(node, isStart: isStart, isEnd: isEnd, around: around, alone: true)
        }
    }

    /// The same of one part of a sequence.
    private static func convert(_ node: Node, isStart: Bool, isEnd: Bool, around: Expression, alone: Bool) throws(GuideError) -> Expression {
        let inner: Expression
        switch node {
        case .start, .end: throw GuideError("^ and $ are only supported at the ends of a pattern")
        case .look: throw GuideError("groups that look ahead are only supported behind the ^ of a pattern")
        case .sequence, .choice: return try convert(node, isStart: isStart, isEnd: isEnd, around: around)
        case .plain(let expression): inner = expression
        case .loop(let node, let min, let max):
            inner = .loop(try convert(node, isStart: false, isEnd: false, around: around), min: min, max: max)
        }
        return .sequence((isStart ? [around] : []) + [inner] + (isEnd ? [around] : []))
    }
}

extension ScalarSet {
    /// The only scalar; nil for none or several.
    fileprivate var single: UInt32? { ranges.count == 1 && ranges[0].lowerBound == ranges[0].upperBound ? ranges[0].lowerBound : nil }
}

/// ECMAScript's classes of characters.
enum CharacterClasses {
    static let dot = ScalarSet([0x0A...0x0A, 0x0D...0x0D, 0x2028...0x2029]).inverted
    private static let digits = ScalarSet([0x30...0x39])
    private static let words = ScalarSet([0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A])
    private static let spaces = ScalarSet([
        0x09...0x0D, 0x20...0x20, 0xA0...0xA0, 0x1680...0x1680, 0x2000...0x200A, 0x2028...0x2029, 0x202F...0x202F, 0x205F...0x205F,
        0x3000...0x3000, 0xFEFF...0xFEFF,
    ])

    /// The class of the escape `\` and `name`; nil for none.
    static func named(_ name: Unicode.Scalar) -> ScalarSet? {
        switch name {
        case "d": digits
        case "D": digits.inverted
        case "w": words
        case "W": words.inverted
        case "s": spaces
        case "S": spaces.inverted
        default: nil
        }
    }
}
