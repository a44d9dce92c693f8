import GuidedDecoding
import JSON
import Seeded
import Serving
import Testing

@Suite struct ToolCallReaderTests {
    /// What an answer holds, whatever pieces it came in.
    private enum Part: Sendable, Equatable {
        case text(String)
        case call(name: String, arguments: String)
    }

    private static let functions = [
        ToolCalls.Function(
            name: "f",
            parameters: [
                "properties": [
                    "s": ["type": "string"], "i": ["type": "integer"], "o": ["$ref": "#/$defs/o"], "b": ["type": ["boolean", "null"]], "u": ["anyOf": [["type": "string"], ["type": "null"]]],
                    "any": [:], "l": ["type": "array"],
                ],
                "$defs": ["o": ["type": "object"]],
            ])
    ]

    private func read(_ pieces: [String]) -> [Part] {
        var reader = ToolCallReader(Self.functions)
        var (parts, isInCall) = ([Part](), false)
        for piece in pieces.flatMap({ reader.read($0) }) + reader.finish() {
            switch (piece, parts.last) {
            case (.text(let text), .text(let last)?) where !isInCall: parts[parts.count - 1] = .text(last + text)
            case (.text(let text), _): parts.append(.text(text))
            case (.callBegan(let name), _):
                #expect(!isInCall)
                isInCall = true
                parts.append(.call(name: name, arguments: ""))
            case (.callGrew(let text), .call(let name, let before)?):
                #expect(isInCall && !text.isEmpty)
                parts[parts.count - 1] = .call(name: name, arguments: before + text)
            case (.callEnded, _):
                #expect(isInCall)
                isInCall = false
            case (.callGrew, _): Issue.record("arguments of no call")
            }
        }
        #expect(!isInCall)
        return parts
    }

    @Test(arguments: [
        ("plain < text", [.text("plain < text")]), ("", []), ("a \n", [.text("a \n")]),
        ("<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"é </x>\"}}\n</tool_call>", [.call(name: "f", arguments: #"{"a": "é </x>"}"#)]),
        ("Well.\n<tool_call>{\"name\": \"f\"}</tool_call>\n<tool_call>\n{\"name\": \"g\", \"arguments\": \"{\\\"x\\\": 1}\"}</tool_call>\n",
            [.text("Well."), .call(name: "f", arguments: "{}"), .call(name: "g", arguments: #"{"x": 1}"#)]),
        ("<tool_call>{\"arguments\": {\"a\": 1}, \"name\": \"f\"}</tool_call>", [.call(name: "f", arguments: #"{"a":1}"#)]),
        ("<tool_call>{ \"name\" :\"q\\\" é\",\"arguments\":{\"a\": [{\"}]\\\\\": 1}]} , \"id\": 3}</tool_call> x", [.call(name: "q\" é", arguments: #"{"a": [{"}]\\": 1}]}"#), .text(" x")]),
        ("<tool_call>{\"name\": \"f\", \"arguments\": {}}", [.call(name: "f", arguments: "{}")]),
        ("<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"</tool_call>", [.call(name: "f", arguments: "{\"a\": \"</tool_call>")]),
        ("<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1", [.call(name: "f", arguments: "{\"a\": 1")]),
        ("<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1</tool_call>b", [.call(name: "f", arguments: "{\"a\": 1"), .text("b")]),
        ("<tool_call>{\"name\": \"f\", \"arguments\": {}}\n<tool_call>{\"name\": \"g\", \"arguments\": {}}\n</tool_c", [.call(name: "f", arguments: "{}"), .call(name: "g", arguments: "{}")]),
        ("<tool_call>{\"name\": \"f\", \"argu", [.text("<tool_call>{\"name\": \"f\", \"argu")]),
        ("<tool_call>{\"name\": \"f\\\"", [.text("<tool_call>{\"name\": \"f\\\"")]),
        ("<tool_call>no JSON</tool_call> then", [.text("<tool_call>no JSON</tool_call> then")]),
        ("<tool_call>{\"name\": 3}</tool_call>", [.text("<tool_call>{\"name\": 3}</tool_call>")]),
        ("<tool_call>{\"name\": \"f\", \"arguments\": [1]}</tool_call>", [.text("<tool_call>{\"name\": \"f\", \"arguments\": [1]}</tool_call>")]),
        ("<tool_<tool_call>{\"name\": \"f\"}</tool_call>x", [.text("<tool_"), .call(name: "f", arguments: "{}"), .text("x")]),
        ("Well.\n<tool_call>\n<function=f>\n<parameter=s>\n5\n</parameter>\n<parameter=i>\n5\n</parameter>\n<parameter=o>\n{\"x\": [1]}\n</parameter>\n</function>\n</tool_call>",
            [.text("Well."), .call(name: "f", arguments: #"{"s": "5", "i": 5, "o": {"x":[1]}}"#)]),
        ("<tool_call><function=f><parameter=s>a\n\n<b>\n</function></parameter><parameter=b>True</parameter><parameter=u>None\n</parameter><parameter=s>2</parameter></function></tool_call>x",
            [.call(name: "f", arguments: #"{"s": "a\n\n<b>\n</function>", "b": true, "u": null}"#), .text("x")]),
        ("<tool_call><function=f><parameter=any>[1, 2]</parameter><parameter=i>much</parameter><parameter=w>1</parameter><parameter=l>[\"</parameter>\"]</parameter></function></tool_call>",
            [.call(name: "f", arguments: #"{"any": [1,2], "i": "much", "w": "1", "l": ["</parameter>"]}"#)]),
        ("<tool_call>\n<function=g>\n</function>\n</tool_call>\n<tool_call>\n<function=h>\n<parameter=a>\n\n</parameter>\n</tool_call>",
            [.call(name: "g", arguments: "{}"), .call(name: "h", arguments: #"{"a": ""}"#)]),
        ("<tool_call><function=f><tool_call><function=g></function>", [.call(name: "f", arguments: "{}"), .call(name: "g", arguments: "{}")]),
        ("<tool_call><function=f><parameter=i>1</parameter>", [.call(name: "f", arguments: #"{"i": 1}"#)]),
        ("<tool_call><function=f><parameter=i>1</parameter><parameter=s>cut", [.call(name: "f", arguments: #"{"i": 1"#)]),
        ("<tool_call><function=f", [.text("<tool_call><function=f")]),
        ("<tool_cal", [.text("<tool_cal")]), ("</tool_call>", [.text("</tool_call>")]),
    ] as [(String, [Part])])
    private func callsAreFoundHoweverTheTextComes(_ text: String, _ parts: [Part]) {
        #expect(read([text]) == parts)
        #expect(read(text.map(String.init)) == parts)
        var dice = Dice(3)
        for _ in 0..<20 {
            var (cut, rest) = ([String](), text[...])
            while !rest.isEmpty {
                let part = rest.prefix(1 + dice.below(9))
                cut.append(String(part))
                rest = rest.dropFirst(part.count)
            }
            #expect(read(cut) == parts)
        }
    }

    /// A schema that refers to itself in many places is looked at once.
    @Test func schemasMayReferToThemselves() {
        let itself = JSONValue.array(Array(repeating: ["$ref": "#/properties/r"], count: 50) + [["type": "integer"]])
        var reader = ToolCallReader([ToolCalls.Function(name: "f", parameters: ["properties": ["r": ["anyOf": itself]]])])
        let pieces = reader.read("<tool_call><function=f><parameter=r>5</parameter></function></tool_call>")
        #expect(pieces == [.callBegan(name: "f"), .callGrew(by: #"{"r": 5}"#), .callEnded])
    }

    /// Arguments are told as they come.
    @Test func callsGrow() {
        var reader = ToolCallReader()
        #expect(reader.read("<tool_call>\n{\"name\": \"f\", \"arguments\": ") == [])
        #expect(reader.read("{\"a\"") == [.callBegan(name: "f"), .callGrew(by: "{\"a\"")])
        #expect(reader.read(": {}") == [.callGrew(by: ": {}")])
        #expect(reader.read("}}\n</tool_call") == [.callGrew(by: "}")])
        #expect(reader.read(">b") == [.callEnded, .text("b")])
    }

    /// Text that cannot begin a call is not held back.
    @Test func textComesAtOnce() {
        var reader = ToolCallReader()
        #expect(reader.read("Hello <") == [.text("Hello")])
        #expect(reader.read("b> you") == [.text(" <b> you")])
        #expect(reader.read("<tool_call>{}") == [])
    }

    private func support(_ write: @escaping @Sendable (JSONValue) -> String, tells: Bool) -> ToolForm.Support {
        ToolForm { messages, extra in
            let calls = (messages.arrayValue ?? []).flatMap { $0["tool_calls"]?.arrayValue ?? [] }.map { write($0["function"] ?? .null) }
            return (tells ? extra["tools"]?.serializedText ?? "" : "") + calls.joined()
        }.support
    }

    @Test func templatesAreToldApart() {
        let hermes: @Sendable (JSONValue) -> String = { "<tool_call>\n{\"name\": \($0["name"]!.serializedText), \"arguments\": \($0["arguments"]!.serializedText)}\n</tool_call>" }
        if case .calls(.json) = support(hermes, tells: true) {} else { Issue.record("JSON") }
        let tags: @Sendable (JSONValue) -> String = { "<tool_call>\n<function=\($0["name"]!.stringValue!)>\n<parameter=x>\n1\n</parameter>\n</function>\n</tool_call>" }
        if case .calls(.tags) = support(tags, tells: true) {} else { Issue.record("tags") }
        if case .none = support(hermes, tells: false) {} else { Issue.record("none") }
        if case .otherForm = support({ "<tool_call><function=\($0["name"]!)></tool_call>" }, tells: true) {} else { Issue.record("other form") }
        if case .otherForm = support({ "[TOOL_CALLS]\($0["name"]!)" }, tells: true) {} else { Issue.record("other form") }
    }
}
