internal import GuidedDecoding
internal import JSON

/// The arguments of a call as Qwen3.5 writes them: `<parameter=NAME>`, a line break, the value, a line break and `</parameter>` for each, up
/// to `</function>`.
struct TaggedArguments {
    private let values: BareArguments
    /// Of the arguments so far.
    private var names: Set<ExactText> = []
    /// Bytes of the argument at hand in which it does not end.
    private var searched = 0
    private(set) var hasEnded = false

    private static let start = Array("<parameter=".utf8)
    private static let end = Array("</parameter>".utf8)
    private static let last = Array("</function>".utf8)
    /// The call's own marks, which end it as well.
    private static let outer = [ToolCalls.closing, ToolCalls.opening].map { Array($0.utf8) }

    /// - Parameter parameters: the JSON Schema of the arguments; null where the function is not known.
    init(_ parameters: JSONValue) { values = BareArguments(parameters) }

    /// The JSON text of arguments that are whole, and how many bytes need not be seen again.
    mutating func read(_ bytes: [UInt8]) -> (json: String, count: Int) {
        var (json, place) = ("", 0)
        while !hasEnded, let start = bytes[place...].firstIndex(of: UInt8(ascii: "<")) {
            place = start
            let rest = bytes[place...]
            if rest.starts(with: Self.start) {
                guard let argument = argument(rest.dropFirst(Self.start.count)) else { break }
                json += argument.json
                place = argument.end
            } else if rest.starts(with: Self.last) {
                json += ending()
                place += Self.last.count
            } else if Self.outer.contains(where: rest.starts) {
                json += ending()
            } else if ([Self.start, Self.last] + Self.outer).contains(where: { $0.starts(with: rest) }) {
                break
            } else {
                place += 1
            }
        }
        return (json, place)
    }

    /// What closes the arguments where the answer ends behind `bytes`; empty inside of an argument.
    mutating func finish(_ bytes: [UInt8]) -> String { hasEnded || !bytes.isEmpty ? "" : ending() }

    private mutating func ending() -> String {
        hasEnded = true
        return names.isEmpty ? "{}" : "}"
    }

    /// The argument whose name comes next; nil where it has not ended. An argument that was there before counts no more.
    private mutating func argument(_ text: ArraySlice<UInt8>) -> (json: String, end: Int)? {
        guard let close = text.firstIndex(of: UInt8(ascii: ">")) else { return nil }
        let name = String(decoding: text[..<close], as: UTF8.self)
        var from = max(close + 1, text.startIndex + searched - Self.end.count)
        while let end = Self.find(Self.end, in: text, from: from) {
            guard values.takesStrings(name) || !JSONNesting.isInString(behind: text[(close + 1)..<end]) else {
                from = end + 1
                continue
            }
            searched = 0
            var value = text[(close + 1)..<end]
            if value.first == UInt8(ascii: "\n") { value.removeFirst() }
            if value.last == UInt8(ascii: "\n") { value.removeLast() }
            guard names.insert(ExactText(name)).inserted else { return ("", end + Self.end.count) }
            let json = values.json(name, String(decoding: value, as: UTF8.self))
            return ("\(names.count == 1 ? "{" : ", ")\(JSONValue.string(name).serializedText): \(json)", end + Self.end.count)
        }
        searched = text.count
        return nil
    }

    private static func find(_ word: [UInt8], in bytes: ArraySlice<UInt8>, from start: Int) -> Int? {
        var place = start
        while let next = bytes[min(place, bytes.endIndex)...].firstIndex(of: word[0]) {
            if bytes[next...].starts(with: word) { return next }
            place = next + 1
        }
        return nil
    }
}
