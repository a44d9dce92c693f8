internal import GuidedDecoding
internal import JSON

/// Finds calls of functions in an answer as it grows: `<tool_call>{"name": …, "arguments": {…}}</tool_call>`.
///
/// What is no such call stays text. A call that is not closed counts where its JSON is whole, and where the answer was cut in its arguments.
package struct ToolCallReader: Sendable {
    package enum Piece: Sendable, Equatable {
        case text(String)
        /// - arguments: JSON text of an object; its beginning where the answer was cut in it.
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
            let kept = Self.overlap(held, Self.opening)
            add(held[..<(held.count - kept)], &pieces)
            held.removeFirst(held.count - kept)
            return pieces
        }
    }

    /// What is left at the end of the answer.
    /// - Parameter isCut: whether the model would have gone on.
    package mutating func finish(isCut: Bool) -> [Piece] {
        var pieces: [Piece] = []
        if isInCall { takeCall(upTo: held.count - Self.overlap(held, Self.closing), behind: held.count, isCut: isCut, &pieces) }
        add(held[...], &pieces)
        held = []
        if !hasCall, !space.isEmpty { pieces.append(.text(String(decoding: space, as: UTF8.self))) }
        return pieces
    }

    private mutating func takeCall(upTo end: Int, behind: Int, isCut: Bool = false, _ pieces: inout [Piece]) {
        isInCall = false
        let text = held[Self.opening.count..<max(end, Self.opening.count)]
        if let call = Self.call(text) ?? (isCut ? Self.cutCall(text) : nil) {
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

    /// A call whose arguments have begun.
    private static func cutCall(_ text: ArraySlice<UInt8>) -> Piece? {
        let space = { (byte: UInt8) in " \n\r\t".utf8.contains(byte) }
        var rest = text
        func take(_ words: [String]) -> Bool {
            for word in words {
                rest = rest.drop(while: space)
                guard rest.starts(with: word.utf8) else { return false }
                rest = rest.dropFirst(word.utf8.count)
            }
            rest = rest.drop(while: space)
            return true
        }
        guard take(["{", #""name""#, ":"]) else { return nil }
        guard let end = Self.textEnd(rest), let name = (try? JSONValue(parsing: Array(rest[..<end])))?.stringValue else { return nil }
        rest = rest[end...]
        guard take([",", #""arguments""#, ":"]), rest.first == UInt8(ascii: "{") else { return nil }
        return .call(name: name, arguments: String(decoding: rest, as: UTF8.self))
    }

    /// Behind the closing mark of the JSON text that the bytes begin with.
    private static func textEnd(_ bytes: ArraySlice<UInt8>) -> Int? {
        guard bytes.first == UInt8(ascii: "\"") else { return nil }
        var place = bytes.startIndex + 1
        while place < bytes.endIndex, bytes[place] != UInt8(ascii: "\"") { place += bytes[place] == UInt8(ascii: "\\") ? 2 : 1 }
        return place < bytes.endIndex ? place + 1 : nil
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

    /// Bytes at the end that may be the beginning of a word.
    private static func overlap(_ bytes: [UInt8], _ word: [UInt8]) -> Int {
        for count in stride(from: min(bytes.count, word.count - 1), to: 0, by: -1) where bytes.suffix(count).elementsEqual(word.prefix(count)) {
            return count
        }
        return 0
    }
}
