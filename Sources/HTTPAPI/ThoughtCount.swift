internal import Serving

/// How many tokens of an answer the model thought in, its marks among them.
struct ThoughtCount: Sendable {
    private var reader: ReasoningReader
    private(set) var tokens = 0

    /// Nil where nothing is split off.
    init?(_ start: ReasoningReader.Start) {
        if case .saying = start { return nil }
        reader = ReasoningReader(start)
    }

    /// - Parameter tokens: of the answer, the new text's among them.
    mutating func read(_ text: String, tokens: Int) {
        let wasThinking = reader.isThinking
        let thinks = reader.read(text).contains { if case .reasoning = $0 { true } else { false } }
        if thinks || wasThinking || reader.isThinking { self.tokens = tokens }
    }

    /// - Parameter tokens: of the whole answer.
    mutating func finish(tokens: Int) {
        let thinks = reader.finish().contains { if case .reasoning = $0 { true } else { false } }
        if thinks || reader.isThinking { self.tokens = tokens }
    }
}
