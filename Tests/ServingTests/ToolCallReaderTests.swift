import JSON
import Seeded
import Serving
import Testing

@Suite struct ToolCallReaderTests {
    private typealias Piece = ToolCallReader.Piece

    /// What is read of a text in pieces; neighbouring texts are one.
    private func read(_ pieces: [String], isCut: Bool = false) -> [Piece] {
        var reader = ToolCallReader()
        var result: [Piece] = []
        for piece in pieces.flatMap({ reader.read($0) }) + reader.finish(isCut: isCut) {
            if case .text(let text) = piece, case .text(let last)? = result.last {
                result[result.count - 1] = .text(last + text)
            } else {
                result.append(piece)
            }
        }
        return result
    }

    @Test(arguments: [
        ("plain < text", [.text("plain < text")]), ("", []), ("a \n", [.text("a \n")]),
        ("<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"é </x>\"}}\n</tool_call>", [.call(name: "f", arguments: #"{"a":"é </x>"}"#)]),
        ("Well.\n<tool_call>{\"name\": \"f\"}</tool_call>\n<tool_call>\n{\"name\": \"g\", \"arguments\": \"{\\\"x\\\": 1}\"}</tool_call>\n",
            [.text("Well."), .call(name: "f", arguments: "{}"), .call(name: "g", arguments: #"{"x": 1}"#)]),
        ("<tool_call>{\"name\": \"f\", \"arguments\": {}}", [.call(name: "f", arguments: "{}")]),
        ("<tool_call>{\"name\": \"f\", \"argu", [.text("<tool_call>{\"name\": \"f\", \"argu")]),
        ("<tool_call>no JSON</tool_call> then", [.text("<tool_call>no JSON</tool_call> then")]),
        ("<tool_call>{\"name\": 3}</tool_call>", [.text("<tool_call>{\"name\": 3}</tool_call>")]),
        ("<tool_call>{\"name\": \"f\", \"arguments\": [1]}</tool_call>", [.text("<tool_call>{\"name\": \"f\", \"arguments\": [1]}</tool_call>")]),
        ("<tool_<tool_call>{\"name\": \"f\"}</tool_call>x", [.text("<tool_"), .call(name: "f", arguments: "{}"), .text("x")]),
        ("<tool_cal", [.text("<tool_cal")]), ("</tool_call>", [.text("</tool_call>")]),
    ] as [(String, [ToolCallReader.Piece])])
    func callsAreFoundHoweverTheTextComes(_ text: String, _ pieces: [ToolCallReader.Piece]) {
        #expect(read([text]) == pieces)
        #expect(read(text.map(String.init)) == pieces)
        var dice = Dice(3)
        for _ in 0..<20 {
            var (parts, rest) = ([String](), text[...])
            while !rest.isEmpty {
                let part = rest.prefix(1 + dice.below(9))
                parts.append(String(part))
                rest = rest.dropFirst(part.count)
            }
            #expect(read(parts) == pieces)
        }
    }

    /// An answer that was cut in a call's arguments says which call it was; before them there is none.
    @Test(arguments: [
        (#"<tool_call>{"name": "f", "arguments": {"a": "x"#, .call(name: "f", arguments: #"{"a": "x"#)),
        (#"<tool_call>{"name": "f", "arguments": {"a": 1}"#, .call(name: "f", arguments: #"{"a": 1}"#)),
        ("<tool_call>\n{ \"name\" :\"q\\\" \u{e9}\",\"arguments\":{", .call(name: "q\" \u{e9}", arguments: "{")),
        ("<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_c", .call(name: "f", arguments: #"{"a":1}"#)),
        (#"<tool_call>{"name": "f", "arguments": "#, nil), (#"<tool_call>{"name": "f", "arguments": ["#, nil), (#"<tool_call>{"name": "f\"#, nil),
        (#"<tool_call>{"name": "f", "x": {"#, nil), ("<tool_call>{}{", nil),
    ] as [(String, ToolCallReader.Piece?)])
    func aCallThatWasCutIsItsBeginning(_ text: String, _ call: ToolCallReader.Piece?) {
        #expect(read(text.map(String.init), isCut: true) == [call ?? .text(text)])
        if !text.hasSuffix("</tool_c") { #expect(read([text]) == [.text(text)]) }
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
        if case .hermes = support(hermes, tells: true) {} else { Issue.record("hermes") }
        if case .none = support(hermes, tells: false) {} else { Issue.record("none") }
        if case .otherForm = support({ "<tool_call><function=\($0["name"]!)></tool_call>" }, tells: true) {} else { Issue.record("other form") }
        if case .otherForm = support({ "[TOOL_CALLS]\($0["name"]!)" }, tells: true) {} else { Issue.record("other form") }
    }
}
