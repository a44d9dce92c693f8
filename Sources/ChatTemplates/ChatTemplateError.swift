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

    package var reason: Reason
    /// Counts from one.
    package var line: Int
    package var message: String

    package var description: String {
        switch reason {
        case .syntax: "chat template, line \(line): \(message)"
        case .evaluation: "chat template failed at line \(line): \(message)"
        case .raised: message
        case .limit: "chat template stopped at line \(line): \(message)"
        }
    }
}
