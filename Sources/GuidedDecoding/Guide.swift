package import JSON

/// What a text must be, whatever a request calls it.
package enum Guide: Sendable, Equatable {
    /// Any JSON object.
    case object
    /// A JSON document that satisfies a schema.
    case schema(JSONValue)
    /// A text that matches a regular expression as a whole.
    case regex(String)
    /// One of several texts.
    case choice([String])
    /// A text of a grammar in llama.cpp's form, or in Lark's.
    case grammar(String)
    /// Calls of functions.
    case calls(ToolCalls)

    /// Two guides with the same key are the same.
    package var key: String {
        switch self {
        case .object: "object"
        case .schema(let schema): "schema \(schema.serializedText)"
        case .regex(let pattern): "regex \(pattern)"
        case .choice(let texts): "choice \(JSONValue.array(texts.map { .string($0) }).serializedText)"
        case .grammar(let text): "grammar \(text)"
        case .calls(let calls): "calls \(calls.key)"
        }
    }

    private static let maxChoices = 4096
    private static let maxChoiceBytes = 1 << 16

    /// The grammar of such texts; the same for the same guide.
    ///
    /// - Parameter isGivenUp: asked now and then whether nobody waits for it any more, which throws.
    package func compiled(isGivenUp: @escaping () -> Bool = { false }) throws(GuideError) -> Grammar {
        let effort = Effort(isGivenUp: isGivenUp)
        switch self {
        case .object: return try SchemaCompiler.anyObject(effort)
        case .schema(let schema): return try SchemaCompiler.grammar(schema, effort)
        case .regex(let pattern): return try Grammar([RegexParser.whole(pattern, effort)], effort)
        case .choice(let texts):
            guard !texts.isEmpty, !texts.contains("") else { throw GuideError("there must be at least one choice, and none may be empty") }
            guard texts.count <= Self.maxChoices, texts.reduce(0, { $0 + $1.utf8.count }) <= Self.maxChoiceBytes else {
                throw GuideError("there are more than \(Self.maxChoices) choices, or more than \(Self.maxChoiceBytes) bytes of them")
            }
            return try Grammar([AutomatonBuilder.automaton(.choice(texts.map { .text($0) }), effort)], effort)
        case .grammar(let text): return try LarkParser.isLark(text) ? LarkParser.grammar(text, effort) : GrammarParser.grammar(text, effort)
        case .calls(let calls): return try calls.grammar(effort)
        }
    }
}
