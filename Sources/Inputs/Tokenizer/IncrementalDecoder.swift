/// Turns token ids into text one at a time, for streaming.
///
/// Never gives half a UTF-8 scalar. All pieces and the result of `finish` together equal `Tokenizer.decode` of all ids.
package struct IncrementalDecoder: Sendable {
    private let tokenizer: Tokenizer
    private let skipsSpecialTokens: Bool
    /// Nil when the tokenizer names no decoder.
    private var stages: [DecoderStage]?
    private var isFirst = true

    package init(_ tokenizer: Tokenizer, skipSpecialTokens: Bool) {
        self.tokenizer = tokenizer
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
    package mutating func append(_ id: Int32) -> String {
        var output: [UInt8] = []
        append(id, to: &output)
        return String(decoding: output, as: UTF8.self)
    }

    /// Gives the text that was held back; nothing may be appended afterwards.
    package mutating func finish() -> String {
        var output: [UInt8] = []
        finish(into: &output)
        return String(decoding: output, as: UTF8.self)
    }

    mutating func append(_ id: Int32, to output: inout [UInt8]) {
        guard let token = tokenizer.decodedToken(id, skipsSpecialTokens: skipsSpecialTokens) else { return }
        guard let stages else {
            if !isFirst { output.append(UInt8(ascii: " ")) }
            isFirst = false
            output += token
            return
        }
        pass([token], from: 0, of: stages.count, to: &output)
    }

    mutating func finish(into output: inout [UInt8]) {
        guard let count = stages?.count else { return }
        for index in 0..<count {
            pass(stages?[index].finish() ?? [], from: index + 1, of: count, to: &output)
        }
    }

    private mutating func pass(_ tokens: [[UInt8]], from first: Int, of count: Int, to output: inout [UInt8]) {
        var tokens = tokens
        for index in first..<count {
            tokens = tokens.flatMap { stages?[index].append($0) ?? [] }
        }
        for token in tokens { output += token }
    }
}
