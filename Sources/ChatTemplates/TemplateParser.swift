/// Builds the statements of a template from its tokens, with Jinja's grammar.
struct TemplateParser {
    /// How deep expressions, and how deep statements, may nest.
    static let depthLimit = 64

    private let tokens: [TemplateToken]
    private var position = 0
    private var statementDepth = 0
    private var loopDepth = 0
    var expressionDepth = 0
    /// Every name that an expression read; macros look for `varargs` and `kwargs` in what their bodies added.
    var namesRead: [String] = []

    static func statements(_ source: String) throws(ChatTemplateError) -> [TemplateStatement] {
        var parser = TemplateParser(tokens: try TemplateLexer.tokens(source))
        let (body, _) = try parser.body(until: [])
        return body
    }

    private init(tokens: [TemplateToken]) {
        self.tokens = tokens
    }

    var current: TemplateToken { tokens[min(position, tokens.count - 1)] }
    var next: TemplateToken { tokens[min(position + 1, tokens.count - 1)] }
    var line: Int { current.line }

    mutating func advance() { position += 1 }
    mutating func stepBack() { position -= 1 }

    func failure(_ message: String) -> ChatTemplateError {
        ChatTemplateError(reason: .syntax, line: line, column: current.column, message: message)
    }

    func isSymbol(_ symbol: String) -> Bool { current.kind == .symbol(symbol) }
    func isName(_ name: String) -> Bool { current.kind == .name(name) }

    mutating func take(symbol: String) -> Bool {
        guard isSymbol(symbol) else { return false }
        advance()
        return true
    }

    mutating func take(name: String) -> Bool {
        guard isName(name) else { return false }
        advance()
        return true
    }

    mutating func expect(symbol: String) throws(ChatTemplateError) {
        guard take(symbol: symbol) else { throw failure("expected '\(symbol)', found \(seen)") }
    }

    mutating func expectName() throws(ChatTemplateError) -> String {
        guard case .name(let name) = current.kind else { throw failure("expected a name, found \(seen)") }
        advance()
        return name
    }

    private mutating func expectBlockEnd() throws(ChatTemplateError) {
        guard current.kind == .blockEnd else { throw failure("expected '%}', found \(seen)") }
        advance()
    }

    var seen: String {
        switch current.kind {
        case .text: "text"
        case .variableBegin: "'{{'"
        case .variableEnd: "'}}'"
        case .blockBegin: "'{%'"
        case .blockEnd: "'%}'"
        case .name(let name): "'\(name)'"
        case .string: "a string"
        case .int, .float: "a number"
        case .symbol(let symbol): "'\(symbol)'"
        case .end: "the end of the template"
        }
    }

    /// Statements up to a tag that starts with one of the words, and that word; the word is passed.
    private mutating func body(until words: [String]) throws(ChatTemplateError) -> ([TemplateStatement], end: String) {
        guard statementDepth < Self.depthLimit else { throw failure("blocks nest deeper than \(Self.depthLimit) levels") }
        statementDepth += 1
        defer { statementDepth -= 1 }
        var statements: [TemplateStatement] = []
        while true {
            let line = line
            switch current.kind {
            case .text(let text):
                advance()
                statements.append(TemplateStatement(kind: .text(text), line: line))
            case .variableBegin:
                advance()
                statements.append(TemplateStatement(kind: .output(try tuple()), line: line))
                guard current.kind == .variableEnd else { throw failure("expected '}}', found \(seen)") }
                advance()
            case .blockBegin:
                advance()
                let word = try expectName()
                if words.contains(word) { return (statements, word) }
                statements.append(TemplateStatement(kind: try statement(word), line: line))
                try expectBlockEnd()
            case .end where words.isEmpty: return (statements, "")
            default: throw failure("expected \(words.map { "'{% \($0) %}'" }.joined(separator: " or ")), found \(seen)")
            }
        }
    }

    /// The body of a block whose opening tag has been read up to its end; the closing tag is read up to its end.
    private mutating func block(until word: String) throws(ChatTemplateError) -> [TemplateStatement] {
        _ = take(symbol: ":")
        try expectBlockEnd()
        return try body(until: [word]).0
    }

    private mutating func statement(_ word: String) throws(ChatTemplateError) -> TemplateStatement.Kind {
        switch word {
        case "if": return try condition()
        case "for": return try loop()
        case "set": return try set()
        case "macro": return .macro(try macro())
        case "call": return try callBlock()
        case "filter": return try filterBlock()
        case "with": return try with()
        case "generation": return .scope(try isolatedBlock(until: "endgeneration"))
        case "print": return .output(try printed())
        case "break", "continue":
            guard loopDepth > 0 else { throw failure("'\(word)' outside of a loop") }
            return word == "break" ? .leaveLoop : .nextIteration
        case "include", "import", "from", "extends", "block", "autoescape", "do", "debug", "trans":
            throw failure("'{% \(word) %}' is not allowed in chat templates")
        default: throw failure("unknown tag '\(word)'")
        }
    }

    /// The values of a print tag, one after the other.
    private mutating func printed() throws(ChatTemplateError) -> TemplateExpression {
        var parts = [try expression()]
        while take(symbol: ",") { parts.append(try expression()) }
        let depth = 1 + (parts.map(\.depth).max() ?? 0)
        return TemplateExpression(kind: .concatenation(parts), line: parts[0].line, depth: depth)
    }

    private mutating func condition() throws(ChatTemplateError) -> TemplateStatement.Kind {
        var branches: [(test: TemplateExpression, body: [TemplateStatement])] = []
        while true {
            let test = try tuple(withConditional: false)
            _ = take(symbol: ":")
            try expectBlockEnd()
            let (statements, end) = try body(until: ["elif", "else", "endif"])
            branches.append((test, statements))
            if end == "elif" { continue }
            let otherwise = end == "else" ? try block(until: "endif") : []
            return .condition(branches, otherwise: otherwise)
        }
    }

    private mutating func loop() throws(ChatTemplateError) -> TemplateStatement.Kind {
        let target = try target(endingAt: "in", allowsAttributes: false)
        if case .name("loop") = target { throw failure("'loop' is the loop's own variable") }
        guard take(name: "in") else { throw failure("expected 'in', found \(seen)") }
        let iterable = try tuple(withConditional: false, endingAt: "recursive")
        let condition = take(name: "if") ? try expression() : nil
        let isRecursive = take(name: "recursive")
        _ = take(symbol: ":")
        try expectBlockEnd()
        loopDepth += 1
        let (statements, end) = try body(until: ["endfor", "else"])
        loopDepth -= 1
        let otherwise = end == "else" ? try block(until: "endfor") : []
        return .loop(
            TemplateLoop(
                target: target, iterable: iterable, condition: condition, body: statements, otherwise: otherwise,
                isRecursive: isRecursive))
    }

    private mutating func set() throws(ChatTemplateError) -> TemplateStatement.Kind {
        let target = try target(endingAt: nil, allowsAttributes: true)
        if loopDepth > 0, case .name("loop") = target { throw failure("'loop' is the loop's own variable") }
        if take(symbol: "=") { return .set(target, try tuple()) }
        let filters = try filterChain()
        return .setBlock(target, filters, try isolatedBlock(until: "endset"))
    }

    /// A block from which `break` and `continue` cannot reach a loop outside.
    private mutating func isolatedBlock(until word: String) throws(ChatTemplateError) -> [TemplateStatement] {
        let outer = loopDepth
        loopDepth = 0
        defer { loopDepth = outer }
        return try block(until: word)
    }

    private mutating func target(
        endingAt end: String?, allowsAttributes: Bool
    ) throws(ChatTemplateError) -> TemplateTarget {
        var targets: [TemplateTarget] = []
        var isTuple = false
        repeat {
            if isSymbol("=") || end.map(isName) ?? false || current.kind == .blockEnd || isSymbol(")") { break }
            targets.append(try oneTarget(allowsAttributes: allowsAttributes))
            if isSymbol(",") { isTuple = true }
        } while take(symbol: ",")
        guard let first = targets.first else { throw failure("expected a name to assign to, found \(seen)") }
        return isTuple ? .tuple(targets) : first
    }

    private mutating func oneTarget(allowsAttributes: Bool) throws(ChatTemplateError) -> TemplateTarget {
        if take(symbol: "(") {
            guard statementDepth < Self.depthLimit else { throw failure("targets nest too deep") }
            statementDepth += 1
            defer { statementDepth -= 1 }
            let inner = try target(endingAt: nil, allowsAttributes: allowsAttributes)
            try expect(symbol: ")")
            return inner
        }
        let name = try expectName()
        guard !["true", "false", "none", "True", "False", "None"].contains(name) else {
            throw failure("cannot assign to '\(name)'")
        }
        if allowsAttributes, take(symbol: ".") { return .attribute(of: name, try expectName()) }
        return .name(name)
    }

    private mutating func signature() throws(ChatTemplateError) -> [TemplateParameter] {
        var parameters: [TemplateParameter] = []
        try expect(symbol: "(")
        while !isSymbol(")") {
            if !parameters.isEmpty { try expect(symbol: ",") }
            let name = try expectName()
            if parameters.contains(where: { $0.name == name }) { throw failure("the parameter '\(name)' is named twice") }
            let value = take(symbol: "=") ? try expression() : nil
            if value == nil, parameters.last?.defaultValue != nil {
                throw failure("the parameter '\(name)' without default follows one with default")
            }
            parameters.append(TemplateParameter(name: name, defaultValue: value))
        }
        advance()
        return parameters
    }

    private mutating func macro(
        _ name: String, _ parameters: [TemplateParameter], until word: String
    ) throws(ChatTemplateError) -> TemplateMacro {
        let outerNames = namesRead
        namesRead = []
        let body = try isolatedBlock(until: word)
        let usesVarargs = namesRead.contains("varargs")
        let usesKwargs = namesRead.contains("kwargs")
        let usesCaller = namesRead.contains("caller")
        namesRead = outerNames
        return TemplateMacro(
            name: name, parameters: parameters, body: body, usesVarargs: usesVarargs, usesKwargs: usesKwargs,
            usesCaller: usesCaller)
    }

    private mutating func macro() throws(ChatTemplateError) -> TemplateMacro {
        let name = try expectName()
        return try macro(name, try signature(), until: "endmacro")
    }

    private mutating func callBlock() throws(ChatTemplateError) -> TemplateStatement.Kind {
        let parameters = isSymbol("(") ? try signature() : []
        let expression = try expression()
        guard case .call(let callee, let arguments) = expression.kind else { throw failure("expected a call") }
        return .callBlock(try macro("caller", parameters, until: "endcall"), callee, arguments)
    }

    private mutating func filterBlock() throws(ChatTemplateError) -> TemplateStatement.Kind {
        let first = try filter()
        let filters = [first] + (try filterChain())
        return .filterBlock(filters, try isolatedBlock(until: "endfilter"))
    }

    private mutating func with() throws(ChatTemplateError) -> TemplateStatement.Kind {
        var bindings: [(TemplateTarget, TemplateExpression)] = []
        while current.kind != .blockEnd {
            if !bindings.isEmpty { try expect(symbol: ",") }
            let target = try oneTarget(allowsAttributes: false)
            try expect(symbol: "=")
            bindings.append((target, try expression()))
        }
        return .with(bindings, try block(until: "endwith"))
    }
}
