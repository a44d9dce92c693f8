package import Budgets

/// Why a text cannot be made tokens, or tokens text.
package enum TokenizationError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A step makes the text longer than it may become.
    case textTooLong(place: String, limit: Int)
    /// A regular expression takes too many steps, or too much memory, on the text.
    case patternGaveUp(place: String, pattern: String)
    /// The budget is used up, or the request was cancelled.
    case work(WorkLimitError)

    package var description: String {
        switch self {
        case .textTooLong(let place, let limit):
            "the tokenizer cannot read this text: \(place) makes it longer than \(limit) bytes"
        case .patternGaveUp(let place, let pattern):
            "the tokenizer cannot read this text: the regular expression of \(place), \(Self.shown(pattern)), takes too many steps on it"
        case .work(let error): error.description
        }
    }

    /// More of a pattern than this is not repeated in messages.
    private static let shownCount = 80

    private static func shown(_ pattern: String) -> String {
        let start = pattern.unicodeScalars.prefix(shownCount)
        return String(start).debugDescription + (start.endIndex == pattern.endIndex ? "" : "…")
    }
}
