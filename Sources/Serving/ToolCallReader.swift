package import GuidedDecoding
internal import JSON

/// Finds calls of functions in an answer as it grows: `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, or with
/// `<function=NAME>` and arguments in tags between the same marks.
///
/// A call has begun where its arguments have, and grows with them. What does not come to that is a call where it is closed, or the answer ends,
/// and is JSON of one; all else stays text.
package struct ToolCallReader: Sendable {
    package enum Piece: Sendable, Equatable {
        case text(String)
        case callBegan(name: String)
        /// More of the JSON text of the call's arguments, an object, as the model wrote it.
        case callGrew(by: String)
        case callEnded
    }

    private enum Place {
        case text
        /// Behind the opening mark, which is held with all that follows.
        case head
        case arguments(JSONNesting)
        case tags(TaggedArguments)
        /// Behind the arguments, up to the closing mark.
        case tail
    }

    private var place = Place.text
    /// What is not told yet.
    private var held: [UInt8] = []
    /// Bytes of `held` in which the call is not closed.
    private var searched = 0
    /// Line breaks and spaces, which belong to the answer only where text follows that is no call.
    private var space: [UInt8] = []
    private var hasCall = false
    /// Whether the answer ended within the arguments of a call.
    package private(set) var isCut = false

    private static let opening = Array(ToolCalls.opening.utf8)
    private static let closing = Array(ToolCalls.closing.utf8)

    private let functions: [ToolCalls.Function]

    /// - Parameter functions: those that are offered, whose schemas say what arguments in tags are.
    package init(_ functions: [ToolCalls.Function] = []) { self.functions = functions }

    /// What is certain once more of the answer is known.
    package mutating func read(_ text: String) -> [Piece] {
        held += text.utf8
        var pieces: [Piece] = []
        while step(&pieces) {}
        return pieces
    }

    /// What is left at the end of the answer.
    package mutating func finish() -> [Piece] {
        var pieces: [Piece] = []
        switch place {
        case .text: add(held[...], &pieces)
        case .head: takeWhole(upTo: held.count, behind: held.count, &pieces)
        case .arguments:
            isCut = true
            pieces.append(.callEnded)
        case .tail: pieces.append(.callEnded)
        case .tags(var tags):
            let ending = tags.finish(held)
            isCut = ending.isEmpty
            pieces += ending.isEmpty ? [.callEnded] : [.callGrew(by: ending), .callEnded]
        }
        (held, place) = ([], .text)
        if !hasCall, !space.isEmpty { pieces.append(.text(String(decoding: space, as: UTF8.self))) }
        return pieces
    }

    /// One step on in what is held; false where more must come first.
    private mutating func step(_ pieces: inout [Piece]) -> Bool {
        switch place {
        case .text: return readText(&pieces)
        case .head: return readHead(&pieces)
        case .arguments(var nesting):
            let count = nesting.read(held)
            if count > 0 { pieces.append(.callGrew(by: String(decoding: held[..<count], as: UTF8.self))) }
            held.removeFirst(count)
            place = nesting.hasEnded ? .tail : .arguments(nesting)
            return nesting.hasEnded
        case .tags(var tags):
            let (json, count) = tags.read(held)
            if !json.isEmpty { pieces.append(.callGrew(by: json)) }
            held.removeFirst(count)
            place = tags.hasEnded ? .tail : .tags(tags)
            return tags.hasEnded
        case .tail:
            // A call that was not closed ends where another one begins.
            let (end, next) = (Self.find(Self.closing, in: held, from: 0), Self.find(Self.opening, in: held, from: 0))
            guard let first = [end, next].compactMap(\.self).min() else {
                held.removeFirst(held.count - max(Self.overlap(held, Self.closing), Self.overlap(held, Self.opening)))
                return false
            }
            held.removeFirst(first == end ? first + Self.closing.count : first)
            place = .text
            pieces.append(.callEnded)
            return true
        }
    }

    private mutating func readText(_ pieces: inout [Piece]) -> Bool {
        guard let start = Self.find(Self.opening, in: held, from: 0) else {
            let kept = Self.overlap(held, Self.opening)
            add(held[..<(held.count - kept)], &pieces)
            held.removeFirst(held.count - kept)
            return false
        }
        add(held[..<start], &pieces)
        held.removeFirst(start)
        (place, searched) = (.head, 0)
        return true
    }

    private mutating func readHead(_ pieces: inout [Piece]) -> Bool {
        if let (name, behind) = Self.head(held[Self.opening.count...]) {
            begin(name, &pieces)
            held.removeFirst(behind)
            place = .arguments(JSONNesting())
            return true
        }
        if let (name, behind) = Self.function(held[Self.opening.count...]) {
            begin(name, &pieces)
            held.removeFirst(behind)
            place = .tags(TaggedArguments(functions.first { $0.name.isExactly(name) }?.parameters ?? .null))
            return true
        }
        guard let end = Self.find(Self.closing, in: held, from: max(Self.opening.count, searched - Self.closing.count)) else {
            searched = held.count
            return false
        }
        takeWhole(upTo: end, behind: end + Self.closing.count, &pieces)
        place = .text
        return true
    }

    private mutating func begin(_ name: String, _ pieces: inout [Piece]) {
        (space, hasCall) = ([], true)
        pieces.append(.callBegan(name: name))
    }

    /// Takes what is held up to `behind` for a call, where what comes before `end` is one.
    private mutating func takeWhole(upTo end: Int, behind: Int, _ pieces: inout [Piece]) {
        if let (name, arguments) = Self.call(held[Self.opening.count..<max(end, Self.opening.count)]) {
            begin(name, &pieces)
            pieces += [.callGrew(by: arguments), .callEnded]
        } else {
            add(held[..<behind], &pieces)
        }
        held.removeFirst(behind)
    }

    private mutating func add(_ bytes: ArraySlice<UInt8>, _ pieces: inout [Piece]) {
        let all = space + bytes
        let end = all.lastIndex { !Self.isSpace($0) }.map { $0 + 1 } ?? 0
        space = Array(all[end...])
        if end > 0 { pieces.append(.text(String(decoding: all[..<end], as: UTF8.self))) }
    }
}

extension ToolCallReader {
    private static func isSpace(_ byte: UInt8) -> Bool { [0x20, 0x0A, 0x0D, 0x09].contains(byte) }

    /// The name of a call whose arguments have begun, and where; nil for none yet, and for what has them in another order or form.
    private static func head(_ text: ArraySlice<UInt8>) -> (name: String, arguments: Int)? {
        var rest = text
        func take(_ words: [String]) -> Bool {
            for word in words {
                guard rest.starts(with: word.utf8) else { return false }
                rest = rest.dropFirst(word.utf8.count).drop(while: isSpace)
            }
            return true
        }
        rest = rest.drop(while: isSpace)
        guard take(["{", #""name""#, ":"]), rest.first == UInt8(ascii: "\"") else { return nil }
        var end = rest.startIndex + 1
        while end < rest.endIndex, rest[end] != UInt8(ascii: "\"") { end += rest[end] == UInt8(ascii: "\\") ? 2 : 1 }
        guard end < rest.endIndex, let name = (try? JSONValue(parsing: Array(rest[...end])))?.stringValue else { return nil }
        rest = rest[(end + 1)...].drop(while: isSpace)
        guard take([",", #""arguments""#, ":"]), rest.first == UInt8(ascii: "{") else { return nil }
        return (name, rest.startIndex)
    }

    /// The name of a function whose arguments stand in tags, and where they begin.
    private static func function(_ text: ArraySlice<UInt8>) -> (name: String, arguments: Int)? {
        let rest = text.drop(while: isSpace)
        guard rest.starts(with: "<function=".utf8), let close = rest.firstIndex(of: UInt8(ascii: ">")) else { return nil }
        return (String(decoding: rest[..<close].dropFirst("<function=".utf8.count), as: UTF8.self), close + 1)
    }

    /// A call that is whole.
    private static func call(_ text: ArraySlice<UInt8>) -> (name: String, arguments: String)? {
        guard let object = (try? JSONValue(parsing: Array(text)))?.objectValue, let name = object["name"]?.stringValue else { return nil }
        switch object["arguments"] {
        case nil, .null?: return (name, "{}")
        case .object(let arguments)?: return (name, JSONValue.object(arguments).serializedText)
        case .string(let text)?: return (try? JSONValue(parsing: text))?.objectValue == nil ? nil : (name, text)
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

    /// Bytes at the end that may be the beginning of a word.
    private static func overlap(_ bytes: [UInt8], _ word: [UInt8]) -> Int {
        for count in stride(from: min(bytes.count, word.count - 1), to: 0, by: -1) where bytes.suffix(count).elementsEqual(word.prefix(count)) {
            return count
        }
        return 0
    }
}

/// How deep a JSON text stands, as it grows.
struct JSONNesting {
    private var depth = 0
    private var isInString = false
    private var isEscaped = false
    private(set) var hasEnded = false

    /// Whether a list or an object goes on within a string.
    static func isInString(behind text: ArraySlice<UInt8>) -> Bool {
        let text = text.drop { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: " ") }
        guard text.first == UInt8(ascii: "[") || text.first == UInt8(ascii: "{") else { return false }
        var nesting = JSONNesting()
        _ = nesting.read(Array(text))
        return nesting.isInString
    }

    /// How many of the next bytes belong to the text, which ends where its first bracket is closed, and before what no JSON has outside of strings.
    mutating func read(_ bytes: [UInt8]) -> Int {
        for (index, byte) in bytes.enumerated() {
            if isEscaped {
                isEscaped = false
            } else if isInString {
                isEscaped = byte == UInt8(ascii: "\\")
                isInString = byte != UInt8(ascii: "\"")
            } else {
                switch byte {
                case UInt8(ascii: "\""): isInString = true
                case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
                case UInt8(ascii: "}"), UInt8(ascii: "]"):
                    depth -= 1
                    hasEnded = depth == 0
                    if hasEnded { return index + 1 }
                case UInt8(ascii: "<"):
                    hasEnded = true
                    return index
                default: break
                }
            }
        }
        return bytes.count
    }
}
