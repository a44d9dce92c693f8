extension ReasoningReader {
    /// How a model marks what it thinks. The words are those of vLLM's `--reasoning-parser`, each the name of the first family of its kind.
    package enum Form: String, Sendable, CaseIterable {
        /// An answer begins with thinking, whether it says so or not.
        case always = "deepseek_r1"
        /// An answer that begins with `<think>`, or whose prompt ends so, begins with thinking.
        case marked = "qwen3"
    }
}

extension ReasoningReader.Form {
    /// What an answer begins with whose prompt ends so.
    ///
    /// - Parameter continues: whether the prompt ends inside the answer.
    package func start(behind prompt: String, continues: Bool = false) -> ReasoningReader.Start {
        var end = Substring(prompt)
        while end.last?.isWhitespace == true { end.removeLast() }
        if end.hasSuffix("<think>") { return .thinking }
        if end.hasSuffix("</think>") { return .saying }
        if continues { return .saying }
        return self == .always ? .thinking : .open
    }
}
