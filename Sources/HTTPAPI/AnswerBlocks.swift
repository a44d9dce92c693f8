package import Serving

/// An answer as a row of blocks, each a thought, a text or a call of a function, and how the row grows.
package struct AnswerBlocks: Sendable {
    package enum Block: Sendable, Equatable {
        case thought(String)
        case text(String)
        case call(AnswerReading.Call)
    }

    /// What is new, with the place of its block in the row.
    package enum Change: Sendable, Equatable {
        case thoughtBegan(Int)
        case thoughtGrew(Int, by: String)
        case thoughtEnded(Int, String)
        case textBegan(Int)
        case textGrew(Int, by: String)
        case textEnded(Int, String)
        /// A call without its arguments.
        case callBegan(Int, AnswerReading.Call)
        case callGrew(Int, by: String)
        case callEnded(Int, AnswerReading.Call)
    }

    /// Those that have ended.
    package private(set) var blocks: [Block] = []
    private var open: Block?
    private var reading: AnswerReading

    package init(_ limit: AnswerReading.Limit, _ start: ReasoningReader.Start = .saying) { reading = AnswerReading(limit, start) }

    /// Whether the end of what is known is a thought.
    package var isThinking: Bool { reading.isThinking }
    package var hasCalls: Bool { reading.callCount > 0 }

    package mutating func add(_ text: String) -> [Change] { changes(reading.read(text)) }

    /// - Parameter isNeverEmpty: whether an answer without words is one text.
    package mutating func finish(isNeverEmpty: Bool) -> [Change] {
        var changes = changes(reading.finish())
        if isNeverEmpty, blocks.isEmpty, open == nil {
            open = .text("")
            changes.append(.textBegan(0))
        }
        return changes + ended()
    }

    private mutating func changes(_ pieces: [AnswerReading.Piece]) -> [Change] {
        pieces.flatMap { piece -> [Change] in
            let place = blocks.count
            switch piece {
            case .reasoning(let text):
                guard case .thought(let before)? = open else {
                    open = .thought(text)
                    return [.thoughtBegan(place), .thoughtGrew(place, by: text)]
                }
                open = .thought(before + text)
                return [.thoughtGrew(place, by: text)]
            case .text(let text):
                guard case .text(let before)? = open else {
                    let ended = ended()
                    open = .text(text)
                    return ended + [.textBegan(blocks.count), .textGrew(blocks.count, by: text)]
                }
                open = .text(before + text)
                return [.textGrew(place, by: text)]
            case .callBegan(let call):
                let ended = ended()
                open = .call(call)
                return ended + [.callBegan(blocks.count, call)]
            case .callGrew(_, let text):
                guard case .call(var call)? = open else { return [] }
                call.arguments += text
                open = .call(call)
                return [.callGrew(place, by: text)]
            case .callEnded: return ended()
            }
        }
    }

    private mutating func ended() -> [Change] {
        guard let block = open else { return [] }
        open = nil
        blocks.append(block)
        switch block {
        case .thought(let text): return [.thoughtEnded(blocks.count - 1, text)]
        case .text(let text): return [.textEnded(blocks.count - 1, text)]
        case .call(let call): return [.callEnded(blocks.count - 1, call)]
        }
    }
}
