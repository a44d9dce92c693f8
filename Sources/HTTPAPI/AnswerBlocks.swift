/// An answer as a row of blocks, each a text or a call of a function, and how the row grows.
package struct AnswerBlocks: Sendable {
    package enum Block: Sendable, Equatable {
        case text(String)
        case call(AnswerReading.Call)
    }

    /// What is new, with the place of its block in the row.
    package enum Change: Sendable, Equatable {
        case textBegan(Int)
        case textGrew(Int, by: String)
        case textEnded(Int, String)
        case called(Int, AnswerReading.Call)
    }

    /// Those that have ended.
    package private(set) var blocks: [Block] = []
    private var open: String?
    private var reading: AnswerReading

    package init(_ limit: AnswerReading.Limit) { reading = AnswerReading(limit) }

    package var hasCalls: Bool { reading.callCount > 0 }

    package mutating func add(_ text: String) -> [Change] { changes(reading.read(text)) }

    /// - Parameters:
    ///   - isNeverEmpty: whether an answer without words is one text.
    ///   - isCut: whether the model would have gone on.
    package mutating func finish(isNeverEmpty: Bool, isCut: Bool) -> [Change] {
        var changes = changes(reading.finish(isCut: isCut))
        if isNeverEmpty, blocks.isEmpty, open == nil {
            open = ""
            changes.append(.textBegan(0))
        }
        return changes + ended()
    }

    private mutating func changes(_ pieces: [AnswerReading.Piece]) -> [Change] {
        pieces.flatMap { piece -> [Change] in
            let place = blocks.count
            switch piece {
            case .text(let text), .reasoning(let text):
                let began: [Change] = open == nil ? [.textBegan(place)] : []
                open = (open ?? "") + text
                return began + [.textGrew(place, by: text)]
            case .call(let call):
                let ended = ended()
                blocks.append(.call(call))
                return ended + [.called(blocks.count - 1, call)]
            }
        }
    }

    private mutating func ended() -> [Change] {
        guard let text = open else { return [] }
        open = nil
        blocks.append(.text(text))
        return [.textEnded(blocks.count - 1, text)]
    }
}
