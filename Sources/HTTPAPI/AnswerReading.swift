internal import Serving

/// Reads an answer's text, as it grows, for calls of functions.
package struct AnswerReading: Sendable {
    /// How many calls count.
    package enum Limit: Sendable {
        case none, one, several
    }

    /// A call, as the model made it.
    package struct Call: Sendable, Equatable {
        /// How many of the answer's came before.
        package var number: Int
        package var name: String
        /// JSON text of an object.
        package var arguments: String

        package init(number: Int, name: String, arguments: String) {
            self.number = number
            self.name = name
            self.arguments = arguments
        }
    }

    enum Piece: Sendable, Equatable {
        case text(String)
        case call(Call)
    }

    private let limit: Limit
    private var reader = ToolCallReader()
    private(set) var callCount = 0

    /// - Parameter limit: where no calls count, text is text.
    init(_ limit: Limit) { self.limit = limit }

    /// What is certain once more of the answer is known.
    mutating func read(_ text: String) -> [Piece] { limit == .none ? [.text(text)] : counted(reader.read(text)) }

    /// What is left at the end of the answer.
    mutating func finish() -> [Piece] { limit == .none ? [] : counted(reader.finish()) }

    private mutating func counted(_ pieces: [ToolCallReader.Piece]) -> [Piece] {
        pieces.compactMap { piece in
            switch piece {
            case .text(let text): return .text(text)
            case .call(let name, let arguments):
                guard limit == .several || callCount == 0 else { return nil }
                defer { callCount += 1 }
                return .call(Call(number: callCount, name: name, arguments: arguments))
            }
        }
    }
}
