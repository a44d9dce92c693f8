import Serving
import Testing

@Suite struct TextStreamTests {
    /// The text shown for `text` cut into pieces of `size` characters, and the stop string found.
    private func run(_ text: String, _ stops: [String], size: Int) -> (text: String, stop: String?) {
        var stream = TextStream(stops: stops)
        var shown = ""
        var rest = Substring(text)
        while !rest.isEmpty {
            shown += stream.append(String(rest.prefix(size)))
            rest = rest.dropFirst(size)
        }
        return (shown + stream.finish(), stream.stop)
    }

    @Test(arguments: 1...6)
    func findsStopsAcrossPieces(size: Int) {
        #expect(run("one two three", ["two"], size: size) == ("one ", "two"))
        #expect(run("aaab", ["aab"], size: size) == ("a", "aab"))
        #expect(run("abcabd", ["abd", "zz"], size: size) == ("abc", "abd"))
        #expect(run("no stop here", ["xyz", "hero"], size: size) == ("no stop here", nil))
        #expect(run("日本語。次", ["。"], size: size) == ("日本語", "。"))
        #expect(run("èé", ["é"], size: size) == ("è", "é"))
        #expect(run("abc", ["abc", "b"], size: size) == ("a", "b"))
        #expect(run("x", ["x"], size: size) == ("", "x"))
        #expect(run("text", [], size: size) == ("text", nil))
    }

    @Test func aStopStringIsShownWhereThatIsAsked() {
        var stream = TextStream(stops: ["two"], includesStop: true)
        #expect(stream.append("one tw") == "one " && stream.append("o three") == "two" && stream.stop == "two")
    }

    /// What ends too early is text; what only begins too early is a stop.
    @Test func textMayHaveToBeLonger() {
        var stream = TextStream(stops: ["ab"])
        #expect(stream.append("ab", mayStop: false) == "ab" && stream.append("xa", mayStop: false) == "x")
        #expect(stream.append("b") == "" && stream.stop == "ab")
    }

    @Test func showsAsSoonAsNoStopCanBegin() {
        var stream = TextStream(stops: ["###"])
        #expect(stream.append("ab#") == "ab")
        #expect(stream.append("#") == "")
        #expect(stream.append("c") == "##c")
        #expect(stream.append("##") == "")
        #expect(stream.append("#tail") == "")
        #expect(stream.stop == "###")
        #expect(stream.append("more") == "")
        #expect(stream.finish() == "")
    }
}
