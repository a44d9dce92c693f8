package import Plan

extension PreparedPrompt {
    /// The prompt's last `count` tokens, at places that begin anew; the prompt itself where it has no more. Throws where an image would
    /// lose tokens.
    package func truncated(to count: Int, spec: InputSpec) throws(PromptError) -> PreparedPrompt {
        let cut = tokens.count - max(count, 0)
        guard cut > 0 else { return self }
        guard images.allSatisfy({ $0.tokens.ranges.first.map { $0.lowerBound >= cut } ?? true }) else {
            throw .imageCut(tokens: tokens.count, left: count)
        }
        func moved(_ range: Range<Int>) -> Range<Int> { range.lowerBound - cut..<range.upperBound - cut }
        let images = images.map { PreparedImage(image: $0.image, tokens: TokenRanges($0.tokens.ranges.map(moved))) }
        return PreparedPrompt(
            inputIDs: Array(inputIDs.dropFirst(cut)), tokens: Array(tokens.dropFirst(cut)),
            positions: spec.positions.positions(count: tokens.count - cut, images: images.flatMap { ImageSpan.spans(of: $0, spec) }), images: images,
            spans: spec.spans == .prompt ? [0..<tokens.count - cut] : spans.map(moved))
    }
}
