import Serving
import Testing

/// What the model thinks, split off what it says.
@Suite struct ReasoningReaderTests {
    /// Thoughts and words of an answer that comes in pieces of so many characters.
    private func read(_ text: String, _ start: ReasoningReader.Start, by size: Int) -> (thoughts: String, words: String) {
        var reader = ReasoningReader(start)
        var (thoughts, words) = ("", "")
        var rest = Substring(text)
        func take(_ pieces: [ReasoningReader.Piece]) {
            for piece in pieces {
                switch piece {
                case .reasoning(let text):
                    #expect(words.isEmpty, "thoughts behind words")
                    thoughts += text
                case .text(let text): words += text
                }
            }
        }
        while !rest.isEmpty {
            take(reader.read(String(rest.prefix(size))))
            rest = rest.dropFirst(size)
        }
        take(reader.finish())
        return (thoughts, words)
    }

    @Test(arguments: [1, 2, 3, 7, 100])
    func marksAreFoundAcrossPieces(size: Int) {
        for (text, start, thoughts, words) in [
            ("<think>\nso</think>\n\nYes", .thinking, "\nso", "\n\nYes"), ("so</think>Yes", .thinking, "so", "Yes"),
            ("\n<think>a < b </thin></think>c", .open, "a < b </thin>", "c"), ("Yes <think>no</think>", .open, "", "Yes <think>no</think>"),
            ("<thin>k", .open, "", "<thin>k"), ("so", .thinking, "so", ""), ("<think>so", .open, "so", ""), ("a</think", .thinking, "a</think", ""),
            ("<think></think>é", .thinking, "", "é"), ("a</think>b</think>", .thinking, "a", "b</think>"), ("<think>a</think>", .saying, "", "<think>a</think>"),
            ("", .thinking, "", ""), ("<thi", .open, "", "<thi"),
        ] as [(String, ReasoningReader.Start, String, String)] {
            let found = read(text, start, by: size)
            #expect(found.thoughts == thoughts && found.words == words, "\(text): \(found)")
        }
    }

    /// What is certain comes at once.
    @Test func thoughtsAreNotHeldBack() {
        var reader = ReasoningReader(.thinking)
        #expect(reader.read("so ") == [.reasoning("so ")])
        #expect(reader.read("be it</th") == [.reasoning("be it")])
        #expect(reader.read("ink>Yes") == [.text("Yes")])
    }

    @Test func promptsTellHowAnswersBegin() {
        let cases: [(String, ReasoningReader.Form, ReasoningReader.Start)] = [
            ("assistant\n<think>\n", .marked, .thinking), ("assistant\n<think>\n\n</think>\n\n", .always, .saying), ("assistant\n", .marked, .open),
            ("assistant\n", .always, .thinking),
        ]
        for (prompt, form, start) in cases { #expect(form.start(behind: prompt) == start) }
    }
}
