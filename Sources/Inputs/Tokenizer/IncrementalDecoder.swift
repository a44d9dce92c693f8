/// Turns token ids into text one at a time, for streaming.
///
/// Never gives half a UTF-8 scalar. All pieces and the result of `finish` together equal `Tokenizer.decode` of all ids.
package struct IncrementalDecoder: Sendable {
    private let tokenizer: Tokenizer
    private let skipsSpecialTokens: Bool
    private let spacesAddedTokens: Bool
    private var lastIsAdded = false
    /// Nil when the tokenizer names no decoder.
    private var stages: [DecoderStage]?
    private var isFirst = true

    /// - Parameter spacesAddedTokens: whether added tokens that follow each other have a space between them where the tokenizer names no
    ///   decoder; with one there never is.
    package init(_ tokenizer: Tokenizer, skipSpecialTokens: Bool, spacesAddedTokens: Bool = true) {
        self.tokenizer = tokenizer
        self.spacesAddedTokens = spacesAddedTokens
        skipsSpecialTokens = skipSpecialTokens
        var isFused = false
        stages = tokenizer.definition.decoders.map { steps in
            steps.map { step in
                let stage = DecoderStage(step, isFused: isFused)
                isFused = stage.fuses
                return stage
            }
        }
    }

    /// Takes the next id and gives the text that has become certain; ids that the vocabulary lacks give nothing.
    ///
    /// Throws when a decoder makes the text too long, or its regular expression takes too many steps.
    package mutating func append(_ id: Int32) throws(TokenizationError) -> String {
        var output: [UInt8] = []
        try append(id, to: &output)
        return String(decoding: output, as: UTF8.self)
    }

    /// Gives the text that was held back; nothing may be appended afterwards.
    package mutating func finish() throws(TokenizationError) -> String {
        var output: [UInt8] = []
        try finish(into: &output)
        return String(decoding: output, as: UTF8.self)
    }

    mutating func append(_ id: Int32, to output: inout [UInt8]) throws(TokenizationError) {
        guard let token = tokenizer.decodedToken(id, skipsSpecialTokens: skipsSpecialTokens) else { return }
        guard let stages else {
            let isAdded = tokenizer.isAdded(id)
            if !isFirst, spacesAddedTokens || !isAdded || !lastIsAdded { output.append(UInt8(ascii: " ")) }
            (isFirst, lastIsAdded) = (false, isAdded)
            output += token
            return
        }
        // A run of byte tokens gives its text all at once when it ends.
        let run = stages.reduce(0) { $0 + $1.runBytes }
        try pass([token], from: 0, of: stages.count, .decoding(bytes: token.count + run), to: &output)
    }

    mutating func finish(into output: inout [UInt8]) throws(TokenizationError) {
        guard let count = stages?.count else { return }
        let work = TokenizationWork.decoding(bytes: stages?.reduce(0) { $0 + $1.heldBytes } ?? 0)
        for index in 0..<count {
            work.enter(.decoder, index)
            try pass(stages?[index].finish(work) ?? [], from: index + 1, of: count, work, to: &output)
        }
    }

    private mutating func pass(
        _ tokens: [[UInt8]], from first: Int, of count: Int, _ work: TokenizationWork, to output: inout [UInt8]
    ) throws(TokenizationError) {
        var tokens = tokens
        for index in first..<count {
            work.enter(.decoder, index)
            var passed: [[UInt8]] = []
            for token in tokens { passed += try stages?[index].append(token, work) ?? [] }
            try work.checkLength(passed.reduce(0) { $0 + $1.count })
            tokens = passed
        }
        for token in tokens { output += token }
    }
}
