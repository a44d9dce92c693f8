internal import Tensors

/// Reads modules from text; every error says line and column, and no text traps.
package struct Parser {
    private var cursor: TokenCursor
    private var module: Module

    /// The module that a text describes. Types are checked op by op; `Verifier` checks the rest.
    package static func parse(_ text: String) throws(ParseError) -> Module {
        var lexer = Lexer(text)
        let tokens = try lexer.run()
        var parser = Parser(cursor: TokenCursor(tokens), module: Module(stage: try stage(lexer.header)))
        return try parser.parseModule()
    }

    private static func stage(_ header: String?) throws(ParseError) -> Stage {
        let parts = (header ?? "").split(separator: "·", maxSplits: 1).map { $0.split(separator: " ").joined(separator: " ") }
        guard parts.count == 2, parts[0].hasPrefix("vir "), parts[1].hasPrefix("stage: ") else {
            throw ParseError(line: 1, column: 1, reason: "the text does not start with `// vir 1 · stage: traced`")
        }
        guard parts[0] == "vir 1" else {
            throw ParseError(line: 1, column: 1, reason: "version `\(parts[0])` is not known; this program reads `vir 1`")
        }
        guard let stage = Stage(rawValue: String(parts[1].dropFirst("stage: ".count))) else {
            let known = Stage.allCases.map(\.rawValue).joined(separator: ", ")
            throw ParseError(line: 1, column: 1, reason: "`\(parts[1])` is not known; stages are \(known)")
        }
        return stage
    }

    private mutating func parseModule() throws(ParseError) -> Module {
        while cursor.current.kind != .end {
            let token = cursor.current
            switch token.kind {
            case .word("symbol"):
                cursor.advance()
                let name = try cursor.symbolName()
                try cursor.expect("<=")
                module.symbols.append(Symbol(name, bound: try cursor.int()))
            case .word("attribute"):
                cursor.advance()
                let key = try cursor.string()
                guard module.attributes[key] == nil else { throw cursor.error("attribute \"\(key)\" stands twice", at: token) }
                try cursor.expect("=")
                module.attributes[key] = try cursor.string()
            case .word("weight"):
                cursor.advance()
                let name = try cursor.name()
                try cursor.expect(":")
                let type = try cursor.type()
                module.weights.append(WeightDecl(name, type, source: cursor.accept("=") ? try cursor.string() : nil))
            case .word("graph"):
                cursor.advance()
                let name = try cursor.name()
                var parser = GraphParser(cursor: cursor, name: name)
                module.graphs.append(try parser.parse(&cursor))
            default:
                throw cursor.error("expected symbol, attribute, weight or graph, not \(token.text)", at: token)
            }
        }
        return module
    }
}
