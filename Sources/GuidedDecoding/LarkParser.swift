/// Reads grammars in the form of Lark: `name: …` with `start` for the whole text, and terminals in capitals.
///
/// Read is what says which texts there are: rules, terminals, texts, ranges of characters, regular expressions, groups, repetitions, `%ignore`
/// and imports of common terminals. Names of alternatives, priorities and marks of trees say nothing of that. A rule that begins with itself is
/// read as a repetition.
struct LarkParser {
    private var reader: ScalarReader
    private let effort: Effort
    private var depth = 0
    private var numbers: [String: Int] = [:]
    private var names = ["start", "%ignore"]
    private var definitions: [Expression?] = [nil, nil]
    /// What may stand behind each terminal; nil where the grammar ignores nothing.
    private var ignored: [Expression]?
    /// Whether a terminal is read, in which nothing is ignored.
    private var isInTerminal = false

    /// The rule of the whole text, and that of what is ignored.
    private static let (whole, between) = (0, 1)
    private static let maxDepth = 50
    private static let maxRules = 1 << 12

    /// Whether a text looks like such a grammar, and not like one of llama.cpp.
    static func isLark(_ text: String) -> Bool {
        guard !text.contains("::=") else { return false }
        return text.split(whereSeparator: \.isNewline).contains { line in
            let name = line.drop { " \t?!".contains($0) }
            guard name.hasPrefix("start") else { return false }
            let rest = name.dropFirst(5).drop { " \t".contains($0) }
            return rest.first == ":" || rest.first == "."
        }
    }

    static func grammar(_ text: String, _ effort: Effort) throws(GuideError) -> Grammar {
        guard text.utf8.count <= GrammarParser.maxBytes else { throw GuideError("the grammar has more than \(GrammarParser.maxBytes) bytes") }
        var parser = LarkParser(reader: ScalarReader(text), effort: effort)
        if text.contains("%ignore") { parser.ignored = [] }
        let start = try parser.number(of: "start")
        try parser.skipSpace(lines: true)
        while !parser.reader.isAtEnd { try parser.statement() }
        return try parser.finish(start)
    }

    private init(reader: ScalarReader, effort: Effort) { (self.reader, self.effort) = (reader, effort) }

    private mutating func finish(_ start: Int) throws(GuideError) -> Grammar {
        definitions[Self.whole] = ignored == nil ? .rule(start) : .sequence([.rule(Self.between), .rule(start)])
        definitions[Self.between] = .loop(.choice(ignored ?? []), min: 0, max: nil)
        var automata: [Automaton] = []
        for (number, name) in names.enumerated() {
            let definition = try definition(number)
            let isPlain = number == Self.between || number > Self.between && Self.isTerminal(name)
            automata.append(try AutomatonBuilder.automaton(isPlain ? try inlined(definition, [number]) : definition, effort))
        }
        let names = names
        return try Grammar(automata, names: { "the rule \(names[$0].prefix(60))" }, effort)
    }

    private func definition(_ number: Int) throws(GuideError) -> Expression {
        if let definition = definitions[number] { return definition }
        let kind = Self.isTerminal(names[number]) ? "terminal" : "rule"
        throw GuideError("the \(kind) \(names[number].prefix(60)) is used but not there")
    }

    /// A terminal with those that it is made of in their places.
    private func inlined(_ expression: Expression, _ open: [Int]) throws(GuideError) -> Expression {
        try effort.spend(1)
        func all(_ parts: [Expression]) throws(GuideError) -> [Expression] {
            var made: [Expression] = []
            for part in parts { made.append(try inlined(part, open)) }
            return made
        }
        switch expression {
        case .rule(let number):
            guard Self.isTerminal(names[number]) else { throw GuideError("the rule \(names[number].prefix(60)) stands in a terminal, which is made of terminals alone") }
            guard !open.contains(number), open.count <= Self.maxDepth else { throw GuideError("the terminal \(names[number].prefix(60)) is made of itself, or nests too deep") }
            return try inlined(definition(number), open + [number])
        case .sequence(let parts): return .sequence(try all(parts))
        case .choice(let parts): return .choice(try all(parts))
        case .loop(let inner, let min, let max): return .loop(try inlined(inner, open), min: min, max: max)
        case .bytes, .automaton, .network: return expression
        }
    }

    private static func isTerminal(_ name: String) -> Bool { name.first { $0 != "_" }?.isUppercase ?? false }

    private mutating func number(of name: String) throws(GuideError) -> Int {
        if let known = numbers[name] { return known }
        guard names.count < Self.maxRules else { throw GuideError("the grammar has more than \(Self.maxRules) rules") }
        numbers[name] = names.count
        names.append(name)
        definitions.append(nil)
        return names.count - 1
    }

    private mutating func define(_ name: String, _ make: (Int) -> Expression) throws(GuideError) {
        let number = try number(of: name)
        guard definitions[number] == nil else { throw reader.error("\(name.prefix(60)) is there twice") }
        definitions[number] = make(number)
    }
}

/// Lines.
extension LarkParser {
    private mutating func statement() throws(GuideError) {
        if reader.take("%") {
            try directive()
        } else {
            while reader.take("?") || reader.take("!") {}
            guard let name = name() else { throw reader.error("a rule's name is expected") }
            if reader.current == "{" { throw reader.error("rules with parameters, such as \(name.prefix(60)){…}, are not supported") }
            if reader.take(".") {
                _ = reader.take("-")
                guard try reader.number() != nil else { throw reader.error("a priority is a whole number") }
            }
            try skipSpace(lines: false)
            guard reader.take(":") else { throw reader.error(": is expected behind the name \(name.prefix(60))") }
            isInTerminal = Self.isTerminal(name)
            let choices = try alternatives(lines: false)
            try define(name) { Self.unwound(choices, $0) }
        }
        try skipSpace(lines: false)
        if let scalar = reader.current, scalar != "\n", scalar != "\r" { throw reader.error("\(scalar) is not supported there: a line does not end") }
        try skipSpace(lines: true)
    }

    /// A rule whose alternatives may begin with itself, as one that begins with the others and goes on.
    private static func unwound(_ choices: [[Expression]], _ number: Int) -> Expression {
        func isAgain(_ parts: [Expression]) -> Bool { if case .rule(number)? = parts.first { true } else { false } }
        let again = choices.filter(isAgain).map { Expression.sequence(Array($0.dropFirst())) }
        let first = Expression.choice(choices.filter { !isAgain($0) }.map { .sequence($0) })
        return again.isEmpty ? first : .sequence([first, .loop(.choice(again), min: 0, max: nil)])
    }

    private mutating func directive() throws(GuideError) {
        let directive = name() ?? ""
        try skipSpace(lines: false)
        switch directive {
        case "import": try importTerminals()
        case "ignore":
            isInTerminal = true
            let choices = try alternatives(lines: false)
            ignored?.append(.choice(choices.map { .sequence($0) }))
        default: throw reader.error("%\(directive.prefix(60)) is not supported, only %import of common terminals and %ignore are")
        }
    }

    private mutating func importTerminals() throws(GuideError) {
        guard let library = name(), library == "common" else { throw reader.error("%import is only supported of common") }
        if reader.take(".") {
            guard let terminal = name() else { throw reader.error("%import needs the name of a terminal") }
            try skipSpace(lines: false)
            var alias = terminal
            if reader.take("->") {
                try skipSpace(lines: false)
                guard let name = name() else { throw reader.error("-> needs a name") }
                alias = name
            }
            return try importTerminal(terminal, as: alias)
        }
        try skipSpace(lines: false)
        guard reader.take("(") else { throw reader.error("%import is written %import common.NAME or %import common (NAME, NAME)") }
        repeat {
            try skipSpace(lines: true)
            guard let terminal = name() else { throw reader.error("%import needs the name of a terminal") }
            try importTerminal(terminal, as: terminal)
            try skipSpace(lines: true)
        } while reader.take(",")
        guard reader.take(")") else { throw reader.error("a parenthesis is not closed") }
    }

    private mutating func importTerminal(_ terminal: String, as name: String) throws(GuideError) {
        guard let pattern = Self.common[terminal] else {
            throw reader.error("common.\(terminal.prefix(60)) is not supported, only \(Self.common.keys.sorted().joined(separator: ", ")) are")
        }
        guard Self.isTerminal(name) else { throw reader.error("\(name.prefix(60)) is no name of a terminal") }
        let made = Expression.automaton(try RegexParser.whole(pattern, effort))
        try define(name) { _ in made }
    }

    /// Terminals of Lark's own library, as regular expressions.
    private static let common = [
        "DIGIT": "[0-9]", "HEXDIGIT": "[0-9a-fA-F]", "INT": "[0-9]+", "SIGNED_INT": "[+-]?[0-9]+", "DECIMAL": #"[0-9]+\.[0-9]*|\.[0-9]+"#,
        "FLOAT": #"[0-9]+[eE][+-]?[0-9]+|(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"#,
        "SIGNED_FLOAT": #"[+-]?(?:[0-9]+[eE][+-]?[0-9]+|(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"#,
        "NUMBER": #"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"#,
        "SIGNED_NUMBER": #"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"#,
        "ESCAPED_STRING": #""(?:[^"\\\n]|\\[^\n])*""#, "LCASE_LETTER": "[a-z]", "UCASE_LETTER": "[A-Z]", "LETTER": "[A-Za-z]", "WORD": "[A-Za-z]+",
        "CNAME": "[A-Za-z_][A-Za-z0-9_]*", "WS_INLINE": #"[ \t]+"#, "WS": #"[ \t\f\r\n]+"#, "CR": #"\r"#, "LF": #"\n"#, "NEWLINE": #"(?:\r?\n)+"#,
        "SH_COMMENT": #"#[^\n]*"#, "CPP_COMMENT": #"//[^\n]*"#,
    ]
}

/// What stands in a line.
extension LarkParser {
    private mutating func skipSpace(lines: Bool) throws(GuideError) {
        while let scalar = reader.current {
            switch scalar {
            case " ", "\t": reader.skip()
            case "\n" where lines, "\r" where lines: reader.skip()
            case "/" where reader.next == "/", "#": while let other = reader.current, other != "\n", other != "\r" { _ = (other, reader.skip()) }
            default: return
            }
        }
    }

    private mutating func name() -> String? {
        var name = ""
        while let scalar = reader.current, scalar.isASCII, scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || scalar == "_" {
            name.unicodeScalars.append(scalar)
            reader.skip()
        }
        return name.isEmpty ? nil : name
    }

    /// - Parameter lines: whether lines may break, as they may inside parentheses.
    private mutating func alternatives(lines: Bool) throws(GuideError) -> [[Expression]] {
        depth += 1
        guard depth <= Self.maxDepth else { throw reader.error("parentheses nest deeper than \(Self.maxDepth)") }
        var choices: [[Expression]] = []
        repeat {
            // Lines may break behind a bar, unless nothing follows that is of the rule.
            let place = reader.position
            try skipSpace(lines: true)
            var parts: [Expression] = []
            while let part = try repeated() {
                parts.append(part)
                try skipSpace(lines: lines)
            }
            if parts.isEmpty, !lines, reader.current != "|" { reader.go(to: place) }
            try skipSpace(lines: false)
            if reader.take("->") {
                try skipSpace(lines: false)
                guard name() != nil else { throw reader.error("-> needs a name") }
            }
            choices.append(parts)
            let end = reader.position
            try skipSpace(lines: true)
            if !lines, reader.current != "|" { reader.go(to: end) }
        } while reader.take("|")
        depth -= 1
        return choices
    }

    private mutating func group(_ close: String) throws(GuideError) -> Expression {
        reader.skip()
        let choices = try alternatives(lines: true)
        guard reader.take(close) else { throw reader.error("a parenthesis is not closed") }
        return .choice(choices.map { .sequence($0) })
    }

    private mutating func repeated() throws(GuideError) -> Expression? {
        guard let part = try primary() else { return nil }
        if reader.take("*") { return .loop(part, min: 0, max: nil) }
        if reader.take("+") { return .loop(part, min: 1, max: nil) }
        if reader.take("?") { return .optional(part) }
        let place = reader.position
        try skipSpace(lines: false)
        guard reader.take("~") else {
            reader.go(to: place)
            return part
        }
        try skipSpace(lines: false)
        guard let least = try reader.number() else { throw reader.error("a repetition is ~ n or ~ n..m") }
        var most = least
        if reader.take("..") {
            guard let number = try reader.number(), number >= least else { throw reader.error("a repetition is ~ n or ~ n..m") }
            most = number
        }
        return .loop(part, min: least, max: most)
    }

    private mutating func primary() throws(GuideError) -> Expression? {
        switch reader.current {
        case "\""?: return terminal(try text())
        case "/"?: return terminal(try pattern())
        case "("?: return try group(")")
        case "["?: return .optional(try group("]"))
        default:
            let place = reader.position
            guard let name = name() else { return nil }
            if reader.current == "{" { throw reader.error("rules with parameters, such as \(name.prefix(60)){…}, are not supported") }
            // The next rule begins where a name is followed by a colon.
            let end = reader.position
            if reader.take(".") { _ = (reader.take("-"), try reader.number()) }
            try skipSpace(lines: false)
            guard reader.current != ":" else {
                reader.go(to: place)
                return nil
            }
            reader.go(to: end)
            let call = Expression.rule(try number(of: name))
            return Self.isTerminal(name) ? terminal(call) : call
        }
    }

    /// A terminal in a rule, with what is ignored behind it.
    private func terminal(_ text: Expression) -> Expression { isInTerminal || ignored == nil ? text : .sequence([text, .rule(Self.between)]) }

    /// A text, or a range of characters.
    private mutating func text() throws(GuideError) -> Expression {
        let scalars = try literal()
        if reader.take("..") {
            guard reader.current == "\"" else { throw reader.error("a range of characters is \"a\"..\"z\"") }
            let high = try literal()
            guard scalars.count == 1, high.count == 1, scalars[0] <= high[0] else { throw reader.error("a range of characters is \"a\"..\"z\"") }
            return .scalars(ScalarSet([scalars[0].value...high[0].value]).withoutSurrogates)
        }
        guard reader.take("i") else { return .sequence(scalars.map { .text(String(Character($0))) }) }
        return .sequence(scalars.map { scalar in
            guard scalar.isASCII else { return .text(String(Character(scalar))) }
            let letter = String(Character(scalar))
            return .choice(Set([letter.lowercased(), letter.uppercased()]).sorted().map { .text($0) })
        })
    }

    private mutating func literal() throws(GuideError) -> [Unicode.Scalar] {
        reader.skip()
        var scalars: [Unicode.Scalar] = []
        while let scalar = reader.take() {
            if scalar == "\"" {
                guard !scalars.isEmpty else { throw reader.error("a terminal is empty") }
                return scalars
            }
            scalars.append(scalar == "\\" ? try reader.escape(of: "\"\\/'", controls: ["n": 10, "r": 13, "t": 9, "f": 12]) : scalar)
        }
        throw reader.error("a text is not closed")
    }

    private mutating func pattern() throws(GuideError) -> Expression {
        reader.skip()
        var pattern = ""
        while let scalar = reader.take() {
            if scalar == "/" {
                if let flag = reader.current, "imslx".unicodeScalars.contains(flag) { throw reader.error("the flag \(flag) of a regular expression is not supported") }
                _ = reader.take("u")
                do throws(GuideError) {
                    return .automaton(try RegexParser.whole(pattern, effort))
                } catch {
                    throw GuideError("/\(pattern.prefix(60))/: \(error.message)")
                }
            }
            guard scalar == "\\", let other = reader.take() else {
                pattern.unicodeScalars.append(scalar)
                continue
            }
            if other != "/" { pattern.unicodeScalars.append(scalar) }
            pattern.unicodeScalars.append(other)
        }
        throw reader.error("a regular expression is not closed")
    }
}
