import GuidedDecoding
import JSON
import Seeded
import Testing
import ThreadTime

@Suite struct GuideTests {
    private func matches(_ guide: Guide, _ text: String) throws -> Bool { try guide.compiled().matches(text.utf8) }

    @Test(arguments: [
        ("a|bc*", ["a", "b", "bccc"], ["", "ab", "c"]), ("(ab){2,3}", ["abab", "ababab"], ["ab", "abababab"]), ("[^a-z]", ["A", "é", "😀", "-"], ["a", "", "AB"]),
        (#"\d{3}-\w+\s?"#, ["123-a_9", "123-x "], ["12-a", "123-", "123-é"]), ("^x$", ["x"], ["^x$", "xx"]), (#"[\]\-a]+"#, ["]-a"], ["b"]), ("[a-]", ["a", "-"], ["b"]),
        ("(?:a|)b", ["ab", "b"], ["a"]), (#"\u00e9\x41\."#, ["éA."], ["eAx"]), (#"\u{1F600}|\ud83d\ude01"#, ["😀", "😁"], ["a"]), ("a+?b*?", ["a", "aab"], ["b"]),
        ("(?<year>[0-9]{4})", ["2024"], ["24"]), ("^(?!ab)(?=.*c)[abc]+", ["c", "bac"], ["abc", "ba"]), ("^(?!^x*$)x*y?$", ["xy", "y"], ["", "xx"]), ("a{,3}", ["a{,3}"], ["aa"]), (".", ["x", "日"], ["\n", ""]), ("", [""], ["a"]), (#"\S\W\D"#, ["a-b"], ["a b1"]),
    ] as [(String, [String], [String])])
    func regularExpressionsMatchWholeTexts(_ pattern: String, _ right: [String], _ wrong: [String]) throws {
        for text in right { #expect(try matches(.regex(pattern), text), "\(text)") }
        for text in wrong { #expect(try !matches(.regex(pattern), text), "\(text)") }
    }

    @Test(arguments: ["(", ")", "[a", "a**", "*", "(?!x)", #"\1"#, #"\p{L}"#, "a{3,1}", "[z-a]", "x^y", #"\"#, "(a{30000}){30000}", "a{9999999}", String(repeating: "(", count: 300), "[]", #"\ud800"#])
    func otherRegularExpressionsAreRefused(_ pattern: String) {
        #expect(throws: GuideError.self) { try Guide.regex(pattern).compiled() }
    }

    @Test func choicesAreTheirTexts() throws {
        let guide = Guide.choice(["yes", "yes, but", "nö"])
        for text in ["yes", "yes, but", "nö"] { #expect(try matches(guide, text)) }
        for text in ["", "ye", "yes,", "no"] { #expect(try !matches(guide, text)) }
        for wrong in [[], [""], Array(repeating: "x", count: 5000)] { #expect(throws: GuideError.self) { try Guide.choice(wrong).compiled() } }
    }

    private let arithmetic = """
        # sums of products
        root  ::= term (("+" | "-") term)*
        term  ::= factor ("*" factor)*
        factor ::= number | "(" root ")"   # recursive
        number ::= [0-9]+
          | "x" [a-z_\\x41]? {0,2}
        """

    @Test func grammarsAreRecursive() throws {
        let grammar = try Guide.grammar(arithmetic.replacing("? {0,2}", with: "{0,2}")).compiled()
        for text in ["1", "12*(3+x)", "((((7))))", "xA_-1*xb"] { #expect(grammar.matches(text.utf8), "\(text)") }
        for text in ["", "1+", "(1", "xabc", "()"] { #expect(!grammar.matches(text.utf8), "\(text)") }
        let palindromes = try Guide.grammar(#"root ::= "a" root "a" | "b" root "b" | "c""#).compiled()
        #expect(palindromes.matches("abcba".utf8) && !palindromes.matches("abcab".utf8))
        let ambiguous = try Guide.grammar("root ::= item item item\nitem ::= \"a\"* \"b\"?").compiled()
        #expect(ambiguous.matches("aabaab".utf8) && ambiguous.matches("".utf8) && !ambiguous.matches("bbbb".utf8))
    }

    @Test(arguments: [
        ("root ::= x", "the rule x is used but not there"), ("a ::= \"b\"", "no rule root"), ("root ::= root \"a\" | \"b\"", "the rule root begins with itself"),
        ("root ::= a\na ::= e root | \"y\"\ne ::= \"x\"?", "begins with itself"), ("root ::= \"a\"\nroot ::= \"b\"", "is there twice"), ("root : \"a\"", "::= is expected"),
        ("root ::= \"a", "a text is not closed"), ("root ::= [a", "not closed"), ("root ::= (\"a\"", "a parenthesis is not closed"), ("root ::= \"a\" root", "no text can match"),
        ("root ::= \"a\" $", "a rule does not end there"), ("root ::= \"a\"" + String(repeating: "*", count: 100), "repetitions follow each other"), ("", "no rule root"),
        ("root ::= " + String(repeating: "(", count: 100000), "nest deeper"),
    ])
    func faultyGrammarsSayWhy(_ text: String, _ message: String) {
        do {
            _ = try Guide.grammar(text).compiled()
            Issue.record("compiles")
        } catch {
            #expect("\(error)".contains(message), "\(error)")
        }
    }

    private static let sums = """
        // sums, with names
        ?start: sum
              | NAME "=" sum    -> assign
        ?sum: product
            | sum "+" product   -> add
        ?product.2: atom
            | product "*" atom
        ?atom: NUMBER | "-" atom | NAME
             | "(" sum ")"      # nested
        %import common.CNAME -> NAME
        %import common (NUMBER, INT)
        %import common.WS_INLINE
        %ignore WS_INLINE
        """

    /// Grammars in Lark's form.
    @Test(arguments: [
        ("start: \"a\" | B\nB: /[0-9]+/", ["a", "12"], ["", "b", "a1"]), (sums, ["1", "a = 1 + 2*(3 + b)", "  -x * 1.5e3 "], ["", "1 +", "a = = b", "1\n", "(1"]),
        ("start: A ~ 3\nA: \"x\"..\"z\" B?\nB.2: \"\\n\" | C\nC: /a\\/b/", ["xyz", "xa/byz\n"], ["xy", "wxy", "xyzz"]),
        ("start: \"Go\"i x ~ 1..2 [\"!\"]\nx: (\" \"\n | \"-\") \"\\u00e9\"", ["GO \u{e9}", "go-\u{e9} \u{e9}!"], ["go", "Go \u{e9}!!"]),
        ("start: | \"a\" start", ["", "aaa"], ["b"]), ("start: a\n\n\na: \"b\" |\nb: \"c\"", ["b", ""], ["c"]),
        ("%import common.ESCAPED_STRING\n%import common.NEWLINE\nstart: ESCAPED_STRING (NEWLINE ESCAPED_STRING)*", [#""a\"b""#, "\"\"\r\n\"x\""], [#""a"b""#]),
    ] as [(String, [String], [String])])
    func grammarsOfLarkAreRead(_ text: String, _ right: [String], _ wrong: [String]) throws {
        let grammar = try Guide.grammar(text).compiled()
        for text in right { #expect(grammar.matches(text.utf8), "\(text)") }
        for text in wrong { #expect(!grammar.matches(text.utf8), "\(text)") }
    }

    @Test(arguments: [
        ("start: x", "the rule x is used but not there"), ("start: X", "the terminal X is used but not there"), ("start: sep{\"a\"}", "rules with parameters, such as sep{…}, are not supported"),
        ("%declare X\nstart: X", "%declare is not supported"), ("%import python.NAME\nstart: NAME", "%import is only supported of common"),
        ("%import common.FOO\nstart: FOO", "common.FOO is not supported, only CNAME, "), ("start: /a/i", "the flag i of a regular expression"), ("start: <tok>", "< is not supported there"),
        ("start: A\nA: B\nB: A", "is made of itself"), ("start: A\nA: b\nb: \"x\"", "the rule b stands in a terminal"), ("start: (\"a\"", "a parenthesis is not closed"),
        ("start: \"a", "a text is not closed"), ("start: \"a\"\nstart: \"b\"", "start is there twice"), ("start: a\na: b \"x\" | \"y\"\nb: a", "begins with itself"),
        ("start: /(/", "/(/: a group is not closed"), ("start: \"a\" ->", "-> needs a name"), ("start: \"a\" ~ 3..1", "a repetition is"), ("start: \"\"", "a terminal is empty"),
        ("start: " + String(repeating: "(", count: 100000), "nest deeper"), ("start: A\nA: B ~ 30000\nB: C ~ 30000\nC: \"x\"", "too large"),
    ])
    func whatIsNotReadOfLarkIsNamed(_ text: String, _ message: String) {
        do {
            _ = try Guide.grammar(text).compiled()
            Issue.record("compiles")
        } catch {
            #expect("\(error)".contains(message), "\(error)")
        }
    }

    /// A mask holds exactly the tokens whose bytes the grammar takes next.
    @Test func masksAreExact() throws {
        let schema = try JSONValue(parsing: ##"{"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string", "maxLength": 60}}, "b": {"anyOf": [{"type": "integer"}, {"$ref": "#"}]}}, "required": ["b"]}"##)
        let guides = [Guide.object, .schema(schema), .regex("(\"[a-c]*\"){2,5}|x+"), .grammar(#"root ::= "a" root "a" | [b"]* | "ab" root? "\"}""#)]
        for guide in guides {
            let made = TokenGuide(try guide.compiled(), TestVocabulary.trie)
            var dice = Dice(7)
            for _ in 0..<12 {
                var state = made.start
                for _ in 0..<30 {
                    let mask = made.mask(state)
                    var tokens: [Int32] = []
                    for token in 0..<TestVocabulary.end {
                        let next = made.advanced(state, token)
                        let isPossible = next.accepts || next != GuideStateProbe.none(made)
                        #expect(mask.contains(token) == isPossible, "token \(token) behind \(guide)")
                        if isPossible { tokens.append(token) }
                    }
                    #expect(!mask.contains(TestVocabulary.end))
                    guard let token = dice.pick(tokens) else { break }
                    state = made.advanced(state, token)
                }
            }
        }
    }

    /// However deep it goes, a text can end.
    @Test func deepTextsCanEnd() throws {
        let guide = TokenGuide(try Guide.schema(true).compiled(), TestVocabulary.trie)
        let open = Int32(UInt8(ascii: "["))
        var (state, depth) = (guide.start, 0)
        while guide.mask(state).contains(open), depth < 2000 {
            state = guide.advanced(state, open)
            depth += 1
        }
        #expect((100..<300).contains(depth), "\(depth)")
        for _ in 0..<depth {
            #expect(guide.mask(state).contains(Int32(UInt8(ascii: "]"))))
            state = guide.advanced(state, Int32(UInt8(ascii: "]")))
        }
        #expect(state.isComplete)
    }

    /// A grammar in which every byte doubles the ways still answers soon.
    @Test func ambiguousGrammarsAreBounded() throws {
        let rules = (0..<40).map { "a\($0) ::= \"a\" (a\(($0 * 7 + 1) % 40) | a\(($0 * 11 + 3) % 40)) \"b\" | [a-z] a\(($0 + 1) % 40) \"c\" | \"d\"" }
        let guide = TokenGuide(try Guide.grammar("root ::= a0\n" + rules.joined(separator: "\n")).compiled(), TestVocabulary.trie)
        var state = guide.start
        let took = threadTime {
            for _ in 0..<60 {
                _ = guide.mask(state)
                state = guide.advanced(state, Int32(UInt8(ascii: "a")))
            }
        }
        #expect(took < .seconds(10), "\(took)")
    }

    @Test func masksSetLogits() {
        var mask = TokenMask(vocabularySize: 200)
        for token: Int32 in [0, 63, 64, 199] { mask.insert(token) }
        for count in [10, 64, 130, 200, 260] {
            var logits = [Float](repeating: 1, count: count)
            logits.withUnsafeMutableBufferPointer { mask.apply(to: $0) }
            #expect(logits.indices.filter { logits[$0] == 1 } == [0, 63, 64, 199].filter { $0 < count })
        }
    }
}

enum GuideStateProbe {
    /// The state from which nothing leads on.
    static func none(_ guide: TokenGuide) -> GuideState { guide.advanced(guide.start, TestVocabulary.end) }
}
