package import GuidedDecoding
internal import Serving

/// Reads an answer's text, as it grows, for what the model thinks and for calls of functions.
package struct AnswerReading: Sendable {
    /// How many calls count, of which functions.
    package enum Limit: Sendable {
        case none
        case one([ToolCalls.Function])
        case several([ToolCalls.Function])
    }

    /// A call, as the model made it.
    package struct Call: Sendable, Equatable {
        /// How many of the answer's came before.
        package var number: Int
        package var name: String
        /// JSON text of an object, as far as the model wrote it.
        package var arguments: String

        package init(number: Int, name: String, arguments: String) {
            self.number = number
            self.name = name
            self.arguments = arguments
        }
    }

    enum Piece: Sendable, Equatable {
        case reasoning(String)
        case text(String)
        /// A call without its arguments, which follow.
        case callBegan(Call)
        /// The call of this number.
        case callGrew(Int, by: String)
        case callEnded
    }

    private let takesOne: Bool
    private var reasoning: ReasoningReader
    /// Nil where no calls count.
    private var reader: ToolCallReader?
    private(set) var callCount = 0
    /// Whether the call at hand does not count.
    private var isSkipping = false

    /// - Parameters:
    ///   - limit: where no calls count, text is text.
    ///   - start: what the answer begins with.
    init(_ limit: Limit, _ start: ReasoningReader.Start = .saying) {
        switch limit {
        case .none: (takesOne, reader) = (false, nil)
        case .one(let functions): (takesOne, reader) = (true, ToolCallReader(functions))
        case .several(let functions): (takesOne, reader) = (false, ToolCallReader(functions))
        }
        reasoning = ReasoningReader(start)
    }

    /// Whether there are calls that count, and the last of them is whole.
    var hasWholeCalls: Bool { callCount > 0 && (isSkipping || reader?.isCut != true) }

    /// Whether the end of what is known is a thought.
    var isThinking: Bool { reasoning.isThinking }

    /// What is certain once more of the answer is known.
    mutating func read(_ text: String) -> [Piece] { said(reasoning.read(text)) }

    /// What is left at the end of the answer.
    mutating func finish() -> [Piece] { said(reasoning.finish()) + counted(reader?.finish() ?? []) }

    /// Thoughts as they are, and what is said read for calls.
    private mutating func said(_ pieces: [ReasoningReader.Piece]) -> [Piece] {
        var read: [Piece] = []
        for piece in pieces {
            switch piece {
            case .reasoning(let text): read.append(.reasoning(text))
            case .text(let text): read += counted(reader?.read(text) ?? [.text(text)])
            }
        }
        return read
    }

    private mutating func counted(_ pieces: [ToolCallReader.Piece]) -> [Piece] {
        pieces.compactMap { piece in
            switch piece {
            case .text(let text): return .text(text)
            case .callBegan(let name):
                isSkipping = takesOne && callCount > 0
                guard !isSkipping else { return nil }
                defer { callCount += 1 }
                return .callBegan(Call(number: callCount, name: name, arguments: ""))
            case .callGrew(let text): return isSkipping ? nil : .callGrew(callCount - 1, by: text)
            case .callEnded: return isSkipping ? nil : .callEnded
            }
        }
    }
}
