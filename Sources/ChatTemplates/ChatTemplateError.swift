/// Why a chat template cannot be read or rendered, and on which of its lines.
package struct ChatTemplateError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Reason: Equatable, Sendable {
        /// The template is not valid Jinja, or uses a construct that chat templates may not.
        case syntax
        /// The template asked for something that its values do not allow.
        case evaluation
        /// The template refused the conversation itself, by `raise_exception`; `message` is its own.
        case raised
        /// The template ran too long, too deep, or wrote too much.
        case limit
    }

    package let reason: Reason
    /// Counts from one.
    package let line: Int
    /// Of what is not valid, in characters of Unicode from one; nil for what fails when it runs.
    package let column: Int?
    /// What is wrong, at most `messageMax` characters of it.
    package let message: String

    /// Templates and conversations may put texts of any length into a message.
    package static let messageMax = 500

    init(reason: Reason, line: Int, column: Int? = nil, message: String) {
        (self.reason, self.line, self.column) = (reason, line, column)
        let scalars = message.unicodeScalars
        let end = scalars.index(scalars.startIndex, offsetBy: Self.messageMax, limitedBy: scalars.endIndex) ?? scalars.endIndex
        self.message = end == scalars.endIndex ? message : "\(String(scalars[..<end]))… (\(message.utf8.count) bytes)"
    }

    /// `line 2, column 7`.
    package var place: String { "line \(line)" + (column.map { ", column \($0)" } ?? "") }

    package var description: String {
        switch reason {
        case .syntax: "chat template, \(place): \(message)"
        case .evaluation: "chat template failed at line \(line): \(message)"
        case .raised: message
        case .limit: "chat template stopped at line \(line): \(message)"
        }
    }
}
