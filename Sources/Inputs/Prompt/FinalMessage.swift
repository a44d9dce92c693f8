package import JSON

/// The last message of a conversation, whose text the answer goes on with.
///
/// Source: `transformers.utils.chat_template_utils.render_jinja_template` with `continue_final_message`: the message's last text
/// ends in a tag, and what is rendered ends where the tag begins.
package struct FinalMessage: Sendable {
    /// The conversation with the tag in it, to be rendered.
    package let messages: JSONValue
    /// What is continued, without spaces around it.
    private let text: [UInt8]

    private static let tag = "CONTINUE_FINAL_MESSAGE_TAG "

    package init(of messages: JSONValue) throws(FinalMessageError) {
        guard var list = messages.arrayValue, var last = list.last?.objectValue else { throw .noText }
        switch last["content"] {
        case .string(let text):
            self.text = Array(text.trimmed.utf8)
            last["content"] = .string(text + Self.tag)
        case .array(var parts):
            guard let index = parts.lastIndex(where: { $0["text"]?.stringValue != nil }), var part = parts[index].objectValue,
                let text = part["text"]?.stringValue
            else { throw .noText }
            self.text = Array(text.trimmed.utf8)
            part["text"] = .string(text + Self.tag)
            parts[index] = .object(part)
            last["content"] = .array(parts)
        default: throw .noText
        }
        list[list.count - 1] = .object(last)
        self.messages = .array(list)
    }

    /// The rendered text up to the end of the message; throws where the template does not show the message as it is.
    package func end(of rendered: String) throws(FinalMessageError) -> String {
        let bytes = Array(rendered.utf8)
        let tag = Array(Self.tag.utf8)
        let isThere = text.isEmpty || !LiteralSearch(text).matches(in: bytes, 0..<bytes.count).isEmpty
        guard isThere, let place = LiteralSearch(Array(tag.dropLast())).matches(in: bytes, 0..<bytes.count).last else { throw .notShown }
        let before = String(decoding: bytes[..<place.lowerBound], as: UTF8.self)
        // A template that trims its messages has trimmed the tag and not what stands before it.
        let keepsSpace = bytes.dropFirst(place.lowerBound).starts(with: tag)
        return keepsSpace ? before : before.trimmedAtEnd
    }
}

/// Why a conversation's last message cannot be continued.
package enum FinalMessageError: Error, Hashable, CustomStringConvertible {
    case noText
    case notShown

    package var description: String {
        switch self {
        case .noText: "continue_final_message: the last message has no text to go on with"
        case .notShown: "continue_final_message: the chat template does not show the last message as it is, so that nothing can go on with it"
        }
    }
}

extension String {
    /// As `str.rstrip` of Python.
    fileprivate var trimmedAtEnd: String {
        var scalars = Substring(self).unicodeScalars
        while let last = scalars.last, last.isPythonSpace { scalars.removeLast() }
        return String(Substring(scalars))
    }

    /// As `str.strip`.
    fileprivate var trimmed: String { String(Substring(trimmedAtEnd.unicodeScalars.drop(while: \.isPythonSpace))) }
}

extension Unicode.Scalar {
    fileprivate var isPythonSpace: Bool { properties.isWhitespace || (0x1C...0x1F).contains(value) }
}
