/// Reads grammars in the form of llama.cpp (GBNF): `name ::= …`, with `root` for the whole text.
struct GrammarParser {
    private var reader: ScalarReader
    private var depth = 0
    private var numbers: [String: Int] = [:]
    private var names: [String] = []
    private var rules: [Expression?] = []

    static let maxBytes = 1 << 17
    private static let maxDepth = 50
    private static let maxRules = 1 << 12
    /// Most repetitions behind each other, as in `a+?`.
    private static let maxRepetitions = 8

    static func grammar(_ text: String, _ effort: Effort) throws(GuideError) -> Grammar {
        guard text.utf8.count <= maxBytes else { throw GuideError("the grammar has more than \(maxBytes) bytes") }
        var parser = GrammarParser(reader: ScalarReader(text))
        _ = try parser.number(of: "root")
        try parser.skipSpace(lines: true)
        while !parser.reader.isAtEnd { try parser.rule() }
        var automata: [Automaton] = []
        for (index, rule) in parser.rules.enumerated() {
            guard let rule else {
                throw GuideError(index == 0 ? "the grammar has no rule root" : "the rule \(parser.names[index].prefix(60)) is used but not there")
            }
            automata.append(try AutomatonBuilder.automaton(rule, effort))
        }
        let names = parser.names
        return try Grammar(automata, names: { "the rule \(names[$0].prefix(60))" }, effort)
    }

    private init(reader: ScalarReader) { self.reader = reader }

    private mutating func number(of name: String) throws(GuideError) -> Int {
        if let known = numbers[name] { return known }
        guard names.count < Self.maxRules else { throw GuideError("the grammar has more than \(Self.maxRules) rules") }
        numbers[name] = names.count
        names.append(name)
        rules.append(nil)
        return names.count - 1
    }

    private mutating func skipSpace(lines: Bool) throws(GuideError) {
        while let scalar = reader.current {
            switch scalar {
            case " ", "\t": reader.skip()
            case "\n" where lines, "\r" where lines: reader.skip()
            case "#": while let other = reader.current, other != "\n", other != "\r" { _ = (other, reader.skip()) }
            default: return
            }
        }
    }

    private mutating func name() -> String? {
        var name = ""
        while let scalar = reader.current, scalar.isASCII, scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || scalar == "-" || scalar == "_" {
            name.unicodeScalars.append(scalar)
            reader.skip()
        }
        return name.isEmpty ? nil : name
    }

    private mutating func rule() throws(GuideError) {
        guard let name = name() else { throw reader.error("a rule's name is expected") }
        try skipSpace(lines: false)
        guard reader.take("::=") else { throw reader.error("::= is expected behind the name \(name.prefix(60))") }
        let number = try number(of: name)
        guard rules[number] == nil else { throw reader.error("the rule \(name.prefix(60)) is there twice") }
        rules[number] = try alternatives(lines: false)
        guard reader.isAtEnd || reader.current == "\n" || reader.current == "\r" else { throw reader.error("a rule does not end there") }
        try skipSpace(lines: true)
    }

    /// - Parameter lines: whether lines may break, as they may inside parentheses.
    private mutating func alternatives(lines: Bool) throws(GuideError) -> Expression {
        depth += 1
        guard depth <= Self.maxDepth else { throw reader.error("parentheses nest deeper than \(Self.maxDepth)") }
        var choices: [Expression] = []
        repeat {
            // Lines may break behind a bar.
            try skipSpace(lines: true)
            var parts: [Expression] = []
            while let part = try repeated() {
                parts.append(part)
                try skipSpace(lines: lines)
            }
            choices.append(.sequence(parts))
            try skipContinuation(lines)
        } while reader.take("|")
        depth -= 1
        return choices.count == 1 ? choices[0] : .choice(choices)
    }

    /// Goes on to a line that begins with a bar.
    private mutating func skipContinuation(_ lines: Bool) throws(GuideError) {
        guard !lines else { return }
        let place = reader.position
        try skipSpace(lines: true)
        if reader.current != "|" { reader.go(to: place) }
    }

    private mutating func repeated() throws(GuideError) -> Expression? {
        guard var part = try primary() else { return nil }
        for _ in 0..<Self.maxRepetitions {
            if reader.take("*") {
                part = .loop(part, min: 0, max: nil)
            } else if reader.take("+") {
                part = .loop(part, min: 1, max: nil)
            } else if reader.take("?") {
                part = .optional(part)
            } else if reader.take("{") {
                let least = try reader.number()
                var most = least
                if reader.take(",") { most = try reader.number() }
                guard reader.take("}"), least != nil || most != nil else { throw reader.error("a repetition is {n}, {n,}, {,n} or {n,m}") }
                if let most, most < least ?? 0 { throw reader.error("a repetition counts down") }
                part = .loop(part, min: least ?? 0, max: most)
            } else {
                return part
            }
        }
        throw reader.error("more than \(Self.maxRepetitions) repetitions follow each other")
    }

    private mutating func primary() throws(GuideError) -> Expression? {
        switch reader.current {
        case "\""?:
            reader.skip()
            return try literal()
        case "["?:
            reader.skip()
            return .scalars(try set())
        case "."?:
            reader.skip()
            return .anyScalar
        case "("?:
            reader.skip()
            let inner = try alternatives(lines: true)
            guard reader.take(")") else { throw reader.error("a parenthesis is not closed") }
            return inner
        default:
            let place = reader.position
            guard let name = name() else { return nil }
            // The next rule begins where a name is followed by ::=.
            try skipSpace(lines: false)
            guard !reader.take("::=") else {
                reader.go(to: place)
                return nil
            }
            return .rule(try number(of: name))
        }
    }

    private mutating func literal() throws(GuideError) -> Expression {
        var text = ""
        while let scalar = reader.take() {
            if scalar == "\"" { return .text(text) }
            text.unicodeScalars.append(scalar == "\\" ? try escape() : scalar)
        }
        throw reader.error("a text is not closed")
    }

    private mutating func escape() throws(GuideError) -> Unicode.Scalar {
        try reader.escape(of: "\"\\[]-^/'", controls: ["n": 10, "r": 13, "t": 9])
    }

    private mutating func set() throws(GuideError) -> ScalarSet {
        let isInverted = reader.take("^")
        var ranges: [ClosedRange<UInt32>] = []
        while let scalar = reader.take() {
            if scalar == "]" {
                let set = ScalarSet(ranges).withoutSurrogates
                return isInverted ? set.inverted : set
            }
            let low = scalar == "\\" ? try escape() : scalar
            guard reader.current == "-", let next = reader.next, next != "]" else {
                ranges.append(low.value...low.value)
                continue
            }
            reader.skip(2)
            let high = next == "\\" ? try escape() : next
            guard low <= high else { throw reader.error("a range of characters has no order") }
            ranges.append(low.value...high.value)
        }
        throw reader.error("a set of characters is not closed")
    }
}
