package import JSON
package import Plan

/// Messages in which somebody wrote as text what stands for an image, or for one of its features, such as `<|image_pad|>`.
///
/// A template sees a mark behind the first character of each, a character that occurs nowhere in the messages. A placeholder
/// of the rendered text is then the template's own, and tokenizing the text in pieces, cut at the marks, gives no placeholder's
/// token. One that two neighbouring parts make together gets its mark between them. Messages without such text stay as they are.
/// A placeholder of a single character cannot be told apart.
package struct TypedPlaceholders: Sendable {
    package let messages: JSONValue
    /// Nil where no placeholder was typed.
    package let mark: Unicode.Scalar?

    package init(_ messages: JSONValue, prompt: ImagePrompt?, video: ImagePrompt? = nil) {
        let texts = Set(
            [prompt, video].compactMap(\.self).flatMap { prompt in
                prompt.marker.split(separator: "{image}", omittingEmptySubsequences: false).prefix(1).map(String.init) + [prompt.tokenText]
            }
        ).sorted()
        let typed = texts.filter { $0.unicodeScalars.count > 1 && messages.containsText(Array($0.utf8)) }
        let mark = typed.isEmpty ? nil : Self.candidates.first { !messages.containsText(Array(String($0).utf8)) }
        self.mark = mark
        guard let mark else {
            self.messages = messages
            return
        }
        self.messages = typed.reduce(messages) { messages, text in
            messages.marking(
                Array(text.utf8), firstBytes: text.unicodeScalars.first.map { UTF8.width($0) } ?? 0, with: Array(String(mark).utf8))
        }
    }

    /// The last private-use characters.
    private static let candidates = (UInt32(0)...255).compactMap { Unicode.Scalar(0x10_FFFD - $0) }
}

extension JSONValue {
    /// Whether a string of the value, a key included, holds `pattern`.
    fileprivate func containsText(_ pattern: [UInt8]) -> Bool {
        switch self {
        case .string(let text): !places(of: pattern, in: Array(text.utf8)).isEmpty
        case .array(let elements):
            elements.contains { $0.containsText(pattern) }
                || zip(elements, elements.dropFirst()).contains { $0.makes(pattern, with: $1) }
        case .object(let object):
            object.contains { JSONValue.string($0).containsText(pattern) || $1.containsText(pattern) }
        default: false
        }
    }

    /// The text of a message part that is one.
    private var partText: String? { self["type"] == "text" ? self["text"]?.stringValue : nil }

    /// Whether `pattern` begins at the end of this text part and ends in the next.
    private func makes(_ pattern: [UInt8], with next: JSONValue) -> Bool {
        guard let text = partText, let following = next.partText else { return false }
        let border = Array(text.utf8.suffix(pattern.count - 1)) + following.utf8.prefix(pattern.count - 1)
        return !places(of: pattern, in: border).isEmpty
    }

    /// The value with a mark behind the first character of each `pattern` in its strings, keys included.
    fileprivate func marking(_ pattern: [UInt8], firstBytes: Int, with mark: [UInt8]) -> JSONValue {
        switch self {
        case .string(let text):
            let bytes = Array(text.utf8)
            var replaced: [UInt8] = []
            var start = 0
            for found in places(of: pattern, in: bytes) {
                replaced += bytes[start..<found.lowerBound + firstBytes]
                replaced += mark
                replaced += pattern[firstBytes...]
                start = found.upperBound
            }
            return .string(String(decoding: replaced + bytes[start...], as: UTF8.self))
        case .array(let elements):
            var marked = elements.map { $0.marking(pattern, firstBytes: firstBytes, with: mark) }
            for index in elements.indices.dropLast() where elements[index].makes(pattern, with: elements[index + 1]) {
                guard var part = marked[index].objectValue, let text = marked[index].partText else { continue }
                part["text"] = .string(text + String(decoding: mark, as: UTF8.self))
                marked[index] = .object(part)
            }
            return .array(marked)
        case .object(let object):
            var replaced = JSONObject()
            for (key, value) in object {
                let name = JSONValue.string(key).marking(pattern, firstBytes: firstBytes, with: mark).stringValue ?? key
                replaced[name] = value.marking(pattern, firstBytes: firstBytes, with: mark)
            }
            return .object(replaced)
        default: return self
        }
    }
}

/// The places of `pattern` in time proportional to the bytes, whatever it is.
private func places(of pattern: [UInt8], in bytes: [UInt8]) -> [Range<Int>] {
    bytes.count < pattern.count ? [] : LiteralSearch(pattern).matches(in: bytes, 0..<bytes.count)
}
