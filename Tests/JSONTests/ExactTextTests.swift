import JSON
import Testing

/// Strings compared by their bytes in UTF-8.
@Suite struct ExactTextTests {
    private static let texts = [
        "", "a", "aa", "ab", "b", "aaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaab", "\0", "a\0", "é", "e\u{301}", "€", "\u{FFFF}", "😀", "z",
    ]

    @Test(arguments: texts, texts)
    func bytesDecide(_ left: String, _ right: String) {
        let (bytes, others) = (Array(left.utf8), Array(right.utf8))
        #expect(left.isExactly(right) == (bytes == others))
        #expect(left.precedesExactly(right) == bytes.lexicographicallyPrecedes(others))
        #expect(left.startsExactly(with: right) == bytes.starts(with: others))
        #expect(left.endsExactly(with: right) == bytes.reversed().starts(with: others.reversed()))
        #expect((ExactText(left) == ExactText(right)) == (bytes == others))
    }
}
