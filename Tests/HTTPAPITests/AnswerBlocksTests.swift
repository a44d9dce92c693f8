import HTTPAPI
import Testing

/// Answers as rows of texts and calls, however their text arrives.
@Suite struct AnswerBlocksTests {
    private static let call = "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": [1]}}\n</tool_call>"
    private static let f = AnswerReading.Call(number: 0, name: "f", arguments: #"{"a": [1]}"#)

    private func blocks(_ pieces: [String], _ limit: AnswerReading.Limit = .several([]), isNeverEmpty: Bool = false) -> AnswerBlocks {
        var blocks = AnswerBlocks(limit)
        for piece in pieces { _ = blocks.add(piece) }
        _ = blocks.finish(isNeverEmpty: isNeverEmpty)
        return blocks
    }

    @Test func textsAndCallsAreARow() {
        let text = "one " + Self.call + " " + Self.call + "\ntwo"
        var second = Self.f
        second.number = 1
        let whole = blocks([text])
        #expect(whole.blocks == [.text("one"), .call(Self.f), .call(second), .text("\ntwo")] && whole.hasCalls)
        #expect(blocks(text.map { String($0) }).blocks == whole.blocks)
        #expect(blocks([text], .one([])).blocks == [.text("one"), .call(Self.f), .text("\ntwo")])
        #expect(blocks([text], .none).blocks == [.text(text)])
        #expect(blocks([]).blocks == [] && blocks([], isNeverEmpty: true).blocks == [.text("")])
        #expect(blocks([Self.call], isNeverEmpty: true).blocks == [.call(Self.f)])
    }

    @Test func changesComeInOrder() {
        var blocks = AnswerBlocks(.several([]))
        #expect(blocks.add("a") == [.textBegan(0), .textGrew(0, by: "a")])
        #expect(blocks.add("b<tool") == [.textGrew(0, by: "b")])
        #expect(blocks.add(Self.call.dropFirst(5) + "c") == [
            .textEnded(0, "ab"), .callBegan(1, AnswerReading.Call(number: 0, name: "f", arguments: "")), .callGrew(1, by: Self.f.arguments), .callEnded(1, Self.f),
            .textBegan(2), .textGrew(2, by: "c"),
        ])
        #expect(blocks.finish(isNeverEmpty: true) == [.textEnded(2, "c")])
        var empty = AnswerBlocks(.none)
        #expect(empty.finish(isNeverEmpty: true) == [.textBegan(0), .textEnded(0, "")])
    }
}
