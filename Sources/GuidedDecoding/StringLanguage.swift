/// Which strings a schema lets come, as JSON writes them.
struct StringLanguage {
    var minLength = 0
    var maxLength: Int?
    /// Patterns of which a text must hold each.
    var patterns: [String] = []
    /// Automata over the text itself that must accept it.
    var others: [Automaton] = []

    private static let hex = Expression.choice([.bytes(0x30, 0x39), .bytes(0x41, 0x46), .bytes(0x61, 0x66)])
    private static let unescaped = Expression.scalars(ScalarSet([0...0x1F, 0x22...0x22, 0x5C...0x5C]).inverted)
    /// One character of any string, escaped in any way that stands for one.
    private static let character = Expression.choice([
        unescaped,
        .sequence([
            .text("\\"),
            .choice([
                .any(of: "\"\\/bfnrt"),
                .sequence([
                    .text("u"),
                    .choice([
                        .sequence([.choice([.bytes(0x30, 0x39), .any(of: "ABCEFabcef")]), hex, hex, hex]),
                        .sequence([.any(of: "dD"), .bytes(0x30, 0x37), hex, hex]),
                        .sequence([
                            .any(of: "dD"), .any(of: "89abAB"), hex, hex, .text("\\u"), .any(of: "dD"), .any(of: "cdefCDEF"), hex, hex,
                        ]),
                    ]),
                ]),
            ]),
        ]),
    ])

    /// Any string at all.
    static let any = Expression.sequence([.text("\""), .loop(character, min: 0, max: nil), .text("\"")])

    var isAny: Bool { minLength == 0 && maxLength == nil && patterns.isEmpty && others.isEmpty }

    func expression(_ effort: Effort) throws(GuideError) -> Expression {
        if isAny { return Self.any }
        if let maxLength, maxLength < minLength { return .never }
        if patterns.isEmpty, others.isEmpty {
            let character = try AutomatonBuilder.automaton(Self.character, effort).merged()
            return .automaton(try Self.counted(character, minLength, maxLength, quoted: true, effort))
        }
        return .automaton(Self.quoted(Self.escaped(try text(effort))))
    }

    /// Texts in quotation marks, of an automaton whose texts hold none that is not escaped.
    private static func quoted(_ inner: Automaton) -> Automaton {
        let close = Int32(inner.states.count + 1)
        var result = Automaton()
        result.states = [Automaton.State(edges: [Automaton.Edge(low: 0x22, high: 0x22, target: 1)])]
        for state in inner.states {
            var edges = state.edges.map { Automaton.Edge(low: $0.low, high: $0.high, target: $0.target + 1) }
            if state.accepts { edges.append(Automaton.Edge(low: 0x22, high: 0x22, target: close)) }
            result.states.append(Automaton.State(edges: edges))
        }
        result.states.append(Automaton.State(accepts: true))
        return result
    }

    /// The strings themselves.
    func text(_ effort: Effort) throws(GuideError) -> Automaton {
        if let maxLength, maxLength < minLength { return .never }
        let scalar = try AutomatonBuilder.automaton(.anyScalar, effort).merged()
        if patterns.isEmpty, others.isEmpty { return try Self.counted(scalar, minLength, maxLength, quoted: false, effort) }
        var result = try Self.counted(scalar, minLength, nil, quoted: false, effort)
        for pattern in patterns { result = try result.intersection(try RegexParser.part(pattern, effort), effort) }
        for other in others { result = try result.intersection(other, effort) }
        return try maxLength.map { (most) throws(GuideError) in try result.limited(to: most, effort) } ?? result
    }

    /// All texts but these.
    static func all(but names: [String], _ effort: Effort) throws(GuideError) -> Automaton {
        let named = try AutomatonBuilder.automaton(.choice(names.map { .text($0) }), effort)
        return try StringLanguage(others: [named.complement()]).text(effort)
    }

    /// So many characters behind each other, each of one copy of the automaton for one.
    private static func counted(_ one: Automaton, _ min: Int, _ max: Int?, quoted: Bool, _ effort: Effort) throws(GuideError) -> Automaton {
        let copies = Swift.max(min, max ?? min)
        let isEndless = max == nil
        let inner = one.states.indices.filter { !one.states[$0].accepts }
        var numbers = [Int32](repeating: 0, count: one.states.count)
        for (place, state) in inner.enumerated() { numbers[state] = Int32(place) }
        let size = inner.count
        let total = (copies + (isEndless ? 1 : 0)) * size + (isEndless ? 0 : 1)
        guard total < Effort.maxStates else { throw GuideError("strings of \(copies) characters are too long for a guide") }
        try effort.spend(total)
        let first: Int32 = quoted ? 1 : 0
        var result = Automaton()
        result.states = quoted ? [Automaton.State(edges: [Automaton.Edge(low: 0x22, high: 0x22, target: 1)])] : []
        let close = first + Int32(total)
        func start(_ copy: Int) -> Int32 { first + Int32(copy * size) }
        for copy in 0..<copies + 1 {
            let isLast = copy == copies
            for state in isLast && !isEndless ? [inner[0]] : inner {
                var made = Automaton.State()
                if !isLast || isEndless {
                    made.edges = one.states[state].edges.map { edge in
                        let isEnd = one.states[Int(edge.target)].accepts
                        let target = isEnd ? start(isLast ? copy : copy + 1) : start(copy) + numbers[Int(edge.target)]
                        return Automaton.Edge(low: edge.low, high: edge.high, target: target)
                    }
                }
                if state == 0, copy >= min {
                    if quoted { made.edges.append(Automaton.Edge(low: 0x22, high: 0x22, target: close)) } else { made.accepts = true }
                }
                result.states.append(made)
            }
        }
        if quoted { result.states.append(Automaton.State(accepts: true)) }
        return result
    }

    /// The same texts inside a JSON string: what must be escaped is.
    private static func escaped(_ plain: Automaton) -> Automaton {
        var result = Automaton()
        result.states = plain.states.map { state in
            var copy = state
            copy.edges = state.edges.flatMap { edge in
                [(0x20, 0x21), (0x23, 0x5B), (0x5D, 0xFF)].compactMap { (low: UInt8, high: UInt8) in
                    let (low, high) = (max(low, edge.low), min(high, edge.high))
                    return low <= high ? Automaton.Edge(low: low, high: high, target: edge.target) : nil
                }
            }
            return copy
        }
        for index in plain.states.indices { addEscapes(of: Int32(index), plain, to: &result) }
        return result
    }

    private static let shortEscapes: [(byte: UInt8, letter: UInt8)] = [
        (0x22, 0x22), (0x5C, 0x5C), (0x2F, 0x2F), (0x08, 0x62), (0x0C, 0x66), (0x0A, 0x6E), (0x0D, 0x72), (0x09, 0x74),
    ]

    private static func addEscapes(of state: Int32, _ plain: Automaton, to result: inout Automaton) {
        func link(_ from: Int, _ byte: UInt8, _ target: Int32) {
            result.states[from].edges.append(Automaton.Edge(low: byte, high: byte, target: target))
        }
        func node() -> Int {
            result.states.append(Automaton.State())
            return result.states.count - 1
        }
        let short = shortEscapes.compactMap { escape in plain.target(state, escape.byte).map { (escape.letter, $0) } }
        let long = (UInt8(0)..<0x20).compactMap { byte in
            shortEscapes.contains { $0.byte == byte } ? nil : plain.target(state, byte).map { (byte, $0) }
        }
        guard !short.isEmpty || !long.isEmpty else { return }
        let slash = node()
        link(Int(state), 0x5C, Int32(slash))
        for (letter, target) in short { link(slash, letter, target) }
        guard !long.isEmpty else { return }
        let (unicode, zero) = (node(), node())
        let second = node()
        link(slash, 0x75, Int32(unicode))
        link(unicode, 0x30, Int32(zero))
        link(zero, 0x30, Int32(second))
        for high in UInt8(0)...1 where long.contains(where: { $0.0 >> 4 == high }) {
            let last = node()
            link(second, 0x30 + high, Int32(last))
            for (byte, target) in long where byte >> 4 == high {
                let digit = Array(String(byte & 15, radix: 16).utf8)[0]
                link(last, digit, target)
            }
        }
    }
}
