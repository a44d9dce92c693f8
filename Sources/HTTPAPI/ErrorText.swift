internal import JSON

/// What an error says: all of it to the client, and to the log without what stood in the request.
///
/// What a request holds, its texts and words and the names it gives, stands in errors as `\(quoted: …)`; names of fields, places and bounds stand there plainly.
package struct ErrorText: Sendable, Equatable, ExpressibleByStringInterpolation {
    private enum Part: Sendable, Equatable {
        case plain(String)
        case quoted(String)
    }

    /// Two plain ones never follow each other.
    private var parts: [Part] = []

    package init(stringLiteral text: String) { add(text) }

    package init(stringInterpolation: StringInterpolation) { self = stringInterpolation.text }

    package struct StringInterpolation: StringInterpolationProtocol {
        fileprivate var text = ErrorText(stringLiteral: "")

        package init(literalCapacity: Int, interpolationCount: Int) {}

        package mutating func appendLiteral(_ literal: String) { text.add(literal) }

        /// What is not the client's.
        package mutating func appendInterpolation(_ value: some Any) { text.add("\(value)") }

        package mutating func appendInterpolation(_ other: ErrorText) {
            for part in other.parts {
                if case .plain(let plain) = part { text.add(plain) } else { text.parts.append(part) }
            }
        }

        /// Where JSON is wrong, and why, in which its own characters stand.
        mutating func appendInterpolation(_ error: JSONError) {
            text.add("invalid JSON at line \(error.line), column \(error.column): ")
            appendInterpolation(quoted: error.message, upTo: .max)
        }

        /// What stood in the request.
        ///
        /// - Parameter most: of its Unicode scalars.
        package mutating func appendInterpolation(quoted words: some StringProtocol, upTo most: Int = 40) {
            text.parts.append(.quoted(String(String.UnicodeScalarView(words.unicodeScalars.prefix(most)))))
        }
    }

    private mutating func add(_ plain: String) {
        guard !plain.isEmpty else { return }
        if case .plain(let before)? = parts.last { parts[parts.count - 1] = .plain(before + plain) } else { parts.append(.plain(plain)) }
    }

    /// All of it.
    package var whole: String {
        parts.reduce(into: "") { text, part in
            switch part {
            case .plain(let words), .quoted(let words): text += words
            }
        }
    }

    /// The same with `…` for each thing that stood in the request.
    package var logged: String {
        parts.reduce(into: "") { text, part in
            if case .plain(let words) = part { text += words } else { text += "…" }
        }
    }

    /// The same with other plain words; what stood in the request stays as it is.
    func replacing(_ words: String, with others: String) -> ErrorText {
        var text = self
        text.parts = parts.map { part in
            if case .plain(let plain) = part { .plain(plain.replacing(words, with: others)) } else { part }
        }
        return text
    }
}
