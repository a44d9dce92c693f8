internal import GuidedDecoding
internal import JSON

/// Finds calls of functions in an answer as it grows: `<tool_call>{"name": …, "arguments": {…}}</tool_call>`.
///
/// What is no such call stays text. A call that is not closed counts where its JSON is whole.
package struct ToolCallReader: Sendable {
    package enum Piece: Sendable, Equatable {
        case text(String)
        /// - arguments: JSON text of an object.
        case call(name: String, arguments: String)
    }

    /// What may be the beginning of a call, or is one that is not closed yet.
    private var held: [UInt8] = []
    private var isInCall = false
    /// Bytes of `held` in which the call is not closed.
    private var searched = 0
    /// Line breaks and spaces, which belong to the answer only where text follows that is no call.
    private var space: [UInt8] = []
    private var hasCall = false

    private static let opening = Array(ToolCalls.opening.utf8)
    private static let closing = Array(ToolCalls.closing.utf8)

    package init() {}

    /// What is certain once more of the answer is known.
    package mutating func read(_ text: String) -> [Piece] {
        held += text.utf8
        var pieces: [Piece] = []
        while true {
            if isInCall {
                guard let end = Self.find(Self.closing, in: held, from: max(Self.opening.count, searched - Self.closing.count)) else {
                    searched = held.count
                    return pieces
                }
                takeCall(upTo: end, behind: end + Self.closing.count, &pieces)
                continue
            }
            if let start = Self.find(Self.opening, in: held, from: 0) {
                add(held[..<start], &pieces)
                held.removeFirst(start)
                (isInCall, searched) = (true, 0)
                continue
            }
            let kept = Self.overlap(held)
            add(held[..<(held.count - kept)], &pieces)
            held.removeFirst(held.count - kept)
            return pieces
        }
    }

    /// What is left at the end of the answer.
    package mutating func finish() -> [Piece] {
        var pieces: [Piece] = []
        if isInCall { takeCall(upTo: held.count, behind: held.count, &pieces) }
        add(held[...], &pieces)
        held = []
        if !hasCall, !space.isEmpty { pieces.append(.text(String(decoding: space, as: UTF8.self))) }
        return pieces
    }

    private mutating func takeCall(upTo end: Int, behind: Int, _ pieces: inout [Piece]) {
        isInCall = false
        if let call = Self.call(held[Self.opening.count..<max(end, Self.opening.count)]) {
            (space, hasCall) = ([], true)
            pieces.append(call)
        } else {
            add(held[..<behind], &pieces)
        }
        held.removeFirst(behind)
    }

    private mutating func add(_ bytes: ArraySlice<UInt8>, _ pieces: inout [Piece]) {
        let all = space + bytes
        let end = all.lastIndex { !" \n\r\t".utf8.contains($0) }.map { $0 + 1 } ?? 0
        space = Array(all[end...])
        if end > 0 { pieces.append(.text(String(decoding: all[..<end], as: UTF8.self))) }
    }

    private static func call(_ text: ArraySlice<UInt8>) -> Piece? {
        guard let object = (try? JSONValue(parsing: Array(text)))?.objectValue, let name = object["name"]?.stringValue else { return nil }
        switch object["arguments"] {
        case nil, .null?: return .call(name: name, arguments: "{}")
        case .object(let arguments)?: return .call(name: name, arguments: JSONValue.object(arguments).serializedText)
        case .string(let text)?:
            guard (try? JSONValue(parsing: text))?.objectValue != nil else { return nil }
            return .call(name: name, arguments: text)
        default: return nil
        }
    }

    private static func find(_ word: [UInt8], in bytes: [UInt8], from start: Int) -> Int? {
        guard bytes.count >= word.count else { return nil }
        var place = max(start, 0)
        while place <= bytes.count - word.count {
            if bytes[place] == word[0], bytes[place..<place + word.count].elementsEqual(word) { return place }
            place += 1
        }
        return nil
    }

    /// Bytes at the end that may be the beginning of a call.
    private static func overlap(_ bytes: [UInt8]) -> Int {
        for count in stride(from: min(bytes.count, opening.count - 1), to: 0, by: -1) where bytes.suffix(count).elementsEqual(opening.prefix(count)) {
            return count
        }
        return 0
    }
}
