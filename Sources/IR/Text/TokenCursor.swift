internal import Tensors

/// Walks over tokens and reads the small things: names, numbers, types, attribute values.
struct TokenCursor {
    private let tokens: [Token]
    private var index = 0

    init(_ tokens: [Token]) { self.tokens = tokens }

    var current: Token { tokens[index] }

    /// The token just passed.
    var previous: Token { tokens[Swift.max(0, index - 1)] }

    var isAtValue: Bool {
        if case .value = current.kind { true } else { false }
    }

    mutating func advance() { if index + 1 < tokens.count { index += 1 } }

    func error(_ reason: String, at token: Token? = nil) -> ParseError {
        let token = token ?? current
        return ParseError(line: token.line, column: token.column, reason: reason)
    }

    mutating func accept(_ punctuation: String) -> Bool {
        guard current.kind == .punctuation(punctuation) else { return false }
        advance()
        return true
    }

    mutating func acceptWord(_ word: String) -> Bool {
        guard current.kind == .word(word) else { return false }
        advance()
        return true
    }

    mutating func expect(_ punctuation: String) throws(ParseError) {
        guard accept(punctuation) else { throw error("expected `\(punctuation)`, not \(current.text)") }
    }

    mutating func word(_ what: String) throws(ParseError) -> String {
        guard case .word(let word) = current.kind else { throw error("expected \(what), not \(current.text)") }
        advance()
        return word
    }

    mutating func symbolName() throws(ParseError) -> String { try word("a symbol") }

    mutating func name() throws(ParseError) -> String {
        guard case .name(let name) = current.kind else { throw error("expected a name such as `@x`, not \(current.text)") }
        advance()
        return name
    }

    mutating func valueName() throws(ParseError) -> String {
        guard case .value(let name) = current.kind else { throw error("expected a value such as `%x`, not \(current.text)") }
        advance()
        return name
    }

    mutating func string() throws(ParseError) -> String {
        guard case .string(let string) = current.kind else { throw error("expected a quoted string, not \(current.text)") }
        advance()
        return string
    }

    mutating func int() throws(ParseError) -> Int {
        guard case .number(let text) = current.kind, let number = Int(text) else {
            throw error("expected an integer, not \(current.text)")
        }
        advance()
        return number
    }

    mutating func double() throws(ParseError) -> Double {
        switch current.kind {
        case .word("inf"):
            advance()
            return .infinity
        case .number(let text):
            guard let number = Double(text) else { throw error("expected a number, not \(current.text)") }
            advance()
            return number
        default:
            throw error("expected a number, not \(current.text)")
        }
    }

    mutating func element() throws(ParseError) -> DType {
        let token = current
        let word = try word("an element type")
        guard let element = DType(rawValue: word) else {
            let known = DType.allCases.map(\.rawValue).joined(separator: ", ")
            throw error("\(token.text) is not an element type; they are \(known)", at: token)
        }
        return element
    }

    mutating func type() throws(ParseError) -> TensorType {
        let token = current
        let type = TensorType(try element(), try shape())
        do { try type.checkLimits() } catch { throw self.error(error.reason, at: token) }
        return type
    }

    mutating func shape() throws(ParseError) -> Shape { Shape(try list { cursor throws(ParseError) in try cursor.dim() }) }

    private mutating func dim() throws(ParseError) -> Dim {
        let token = current
        if case .word = token.kind { return .symbol(try symbolName()) }
        let factor = try int()
        guard factor >= 0 else { throw error("an extent is not negative", at: token) }
        guard accept("*") else { return .fixed(factor) }
        guard factor > 0 else { throw error("a symbol is multiplied by 1 or more", at: token) }
        return Dim(factor, times: try symbolName())
    }

    private mutating func list<T>(_ element: (inout TokenCursor) throws(ParseError) -> T) throws(ParseError) -> [T] {
        try expect("[")
        var list: [T] = []
        if accept("]") { return list }
        repeat { list.append(try element(&self)) } while accept(",")
        try expect("]")
        return list
    }

    /// The mask behind an input's type; nil where none stands.
    mutating func mask() throws(ParseError) -> Mask? {
        if acceptWord("causal") {
            var (window, spans): (Int?, Bool) = (nil, false)
            guard accept("{") else { return .causal() }
            repeat {
                let token = current
                switch try word("window or spans") {
                case "window" where window == nil && !spans:
                    try expect("=")
                    window = try int()
                case "spans" where !spans: spans = true
                default: throw error("expected window or spans, each once and in this order, not \(token.text)", at: token)
                }
            } while accept(",")
            try expect("}")
            return .causal(window: window, spans: spans)
        }
        guard acceptWord("segments") else { return nil }
        try expect("{")
        let queries = try labelledWord("queries")
        try expect(",")
        let keys = try labelledWord("keys")
        try expect("}")
        return .segments(queries: queries, keys: keys)
    }

    /// `label = word`
    private mutating func labelledWord(_ label: String) throws(ParseError) -> String {
        guard acceptWord(label) else { throw error("expected `\(label)`, not \(current.text)") }
        try expect("=")
        return try word("a name")
    }

    mutating func attributeValue(_ kind: AttributeKind) throws(ParseError) -> AttributeValue {
        switch kind {
        case .int: return .int(try int())
        case .float: return .float(try double())
        case .bool:
            let token = current
            switch try word("true or false") {
            case "true": return .bool(true)
            case "false": return .bool(false)
            default: throw error("expected true or false, not \(token.text)", at: token)
            }
        case .word(let words):
            let token = current
            let word = try word("a word")
            guard words.contains(word) else { throw error("expected \(words.joined(separator: ", ")), not \(token.text)", at: token) }
            return .word(word)
        case .name: return .name(try name())
        case .names: return .names(try list { cursor throws(ParseError) in try cursor.name() })
        case .ints: return .ints(try list { cursor throws(ParseError) in try cursor.int() })
        case .floats: return .floats(try list { cursor throws(ParseError) in try cursor.double() })
        case .shape: return .shape(try shape())
        case .element: return .element(try element())
        case .type: return .type(try type())
        }
    }
}
