import Budgets
import Inputs
import JSON
import Testing
import ThreadTime

/// What a hostile tokenizer may cost: the growth of a text, the steps of a pattern, the budget of a request.
@Suite struct TokenizerLimitTests {
    private func tokenizer(_ change: (inout JSONObject) -> Void) throws -> Tokenizer {
        var object = try #require(try TextFixture.json("tokenizer/demo.json").objectValue)
        change(&object)
        return try Tokenizer(json: JSONValue.object(object).serialized)
    }

    private func splitting(_ pattern: String) throws -> Tokenizer {
        try tokenizer {
            $0["pre_tokenizer"] = [
                "type": "Sequence",
                "pretokenizers": [
                    ["type": "Split", "pattern": ["Regex": .string(pattern)], "behavior": "Isolated"],
                    ["type": "ByteLevel", "add_prefix_space": false, "use_regex": false],
                ],
            ]
        }
    }

    /// Twelve steps that make 64 letters of one: 64^12 bytes.
    private static let growing: [JSONValue] = Array(
        repeating: ["type": "Replace", "pattern": ["String": "a"], "content": .string(String(repeating: "a", count: 64))], count: 12)

    private static let tokenOfOneLetter: JSONValue = [
        "id": 761, "content": "a", "single_word": false, "lstrip": false, "rstrip": false, "normalized": true, "special": false,
    ]

    @Test func aTextThatGrowsIsRefused() throws {
        let tokenizer = try tokenizer { $0["normalizer"] = ["type": "Sequence", "normalizers": .array(Self.growing)] }
        #expect(throws: TokenizationError.textTooLong(place: "step 4 of tokenizer.json's normalizer", limit: (1 << 20) + 16)) {
            try tokenizer.encode("a", addSpecialTokens: false)
        }
        #expect(try !tokenizer.encode("b", addSpecialTokens: false).isEmpty)
    }

    @Test func anAddedTokenThatGrowsIsRefusedAtLoad() throws {
        let error = #expect(throws: TokenizerError.self) {
            try tokenizer {
                $0["normalizer"] = ["type": "Sequence", "normalizers": .array(Self.growing)]
                $0["added_tokens"] = [Self.tokenOfOneLetter]
            }
        }
        #expect(error?.place == "normalizer")
        #expect(error?.message.contains("added token 761") == true)
    }

    @Test func answersThatGrowAreRefused() throws {
        let tokenizer = try tokenizer {
            $0["decoder"] = ["type": "Sequence", "decoders": .array([["type": "ByteLevel"]] + Self.growing)]
        }
        let ids = try tokenizer.encode("banana", addSpecialTokens: false)
        let error = #expect(throws: TokenizationError.self) { try tokenizer.decode(ids, skipSpecialTokens: false) }
        #expect(error?.description.contains("tokenizer.json's decoder makes it longer than") == true)
    }

    @Test(arguments: ["(?:a|aa)+b", "(a+)+$", "(?:a*)*b", "(?:\\w|a)+?\\d", "(?<=a|aa)(?:a|a)*b", "(?:\\X|a)+ca"])
    func aPatternThatTakesTooLongIsNamed(_ pattern: String) throws {
        let tokenizer = try splitting(pattern)
        let text = String(repeating: String(repeating: "a", count: 40) + "cb", count: 500)
        let time = threadTime {
            #expect(throws: TokenizationError.patternGaveUp(place: "step 1 of tokenizer.json's pre_tokenizer", pattern: pattern)) {
                try tokenizer.encode(text, addSpecialTokens: false)
            }
        }
        #expect(time < .seconds(10), "\(time)")
        #expect(try !tokenizer.encode("aaab 1", addSpecialTokens: false).isEmpty)
    }

    /// A group of one letter needs memory for each of a million: more than PCRE2's own stack, less than the bound.
    @Test func longMatchesAreFound() throws {
        let tokenizer = try splitting("(?:a|b)+")
        let text = String(repeating: "ab", count: 500_000)
        let ids = try tokenizer.encode(text, addSpecialTokens: false)
        #expect(try tokenizer.decode(ids, skipSpecialTokens: false) == text)
    }

    @Test func aMegabyteOfOrdinaryTextIsRead() throws {
        let texts = ["The quick brown fox, 4217 times; it's 日本語.\n  ", " ", "\n", "A", "=", "\u{1F1E9}\u{1F1EA}"].map {
            String(repeating: $0, count: 1_000_000 / $0.utf8.count)
        }
        for name in ["qwen2", "llama3", "tekken", "gemma"] {
            let tokenizer = try TextFixture.tokenizer(name)
            for text in texts {
                let budget = WorkBudget(cpuLimit: .seconds(20))
                #expect(throws: Never.self, "\(name)") {
                    try budget.onThisThread { _ = try tokenizer.encode(text, addSpecialTokens: false, budget: budget) }
                }
            }
        }
    }

    @Test(arguments: ["(?:a|aa)+b", "(?:(?=\\w*+)a)*cc", "(a+)\\1+cc"]) func aPatternEndsWithItsBudget(_ pattern: String) throws {
        let tokenizer = try splitting(pattern)
        let text = String(repeating: "a", count: 23_000) + "cb"
        let budget = WorkBudget(cpuLimit: .milliseconds(100))
        let time = threadTime {
            #expect(throws: TokenizationError.work(.cpuTime(limit: .milliseconds(100)))) {
                try budget.onThisThread { try tokenizer.encode(text, addSpecialTokens: false, budget: budget) }
            }
        }
        #expect(time < .seconds(5), "\(time)")
    }

    /// Every place is gone from to the end of the run, and back again, which takes the square of its length.
    @Test func stepsOverLongStretchesCountMore() throws {
        let tokenizer = try splitting("(?:(?=\\w*+)a)*cc")
        #expect(throws: TokenizationError.self) {
            try tokenizer.encode(String(repeating: "a", count: 23_000) + "cb", addSpecialTokens: false)
        }
    }

    @Test func aTrialFindsPatternsOfExponentialCost() throws {
        #expect(try splitting("(?:a|aa)+b").fault?.contains("4096 times \"a\": the tokenizer cannot read this text") == true)
        #expect(try splitting("(?:z|zz)+q").fault?.contains("4096 times \"z\"") == true)
        for name in ["demo", "qwen2", "llama3", "tekken", "qwen35", "smollm", "gemma"] {
            #expect(try TextFixture.tokenizer(name).fault == nil)
        }
    }

    @Test func aCancelledBudgetEndsTheWork() throws {
        let budget = WorkBudget(cpuLimit: .seconds(10))
        budget.cancel()
        let tokenizer = try TextFixture.tokenizer("demo")
        let text = String(repeating: "A red circle. ", count: 10_000)
        #expect(throws: TokenizationError.work(.cancelled)) {
            try budget.onThisThread { try tokenizer.encode(text, addSpecialTokens: false, budget: budget) }
        }
    }

    /// Every newline begins a token that takes the space around it.
    @Test func addedTokensOfSpaceTakeLinearTime() throws {
        let tokenizer = try tokenizer {
            $0["added_tokens"] = [
                [
                    "id": 761, "content": "\n", "single_word": false, "lstrip": true, "rstrip": true, "normalized": false,
                    "special": false,
                ]
            ]
        }
        var ids: [Int32] = []
        let time = try threadTime {
            ids = try tokenizer.encode(String(repeating: "\n", count: 200_000), addSpecialTokens: false)
        }
        #expect(ids == [761])
        #expect(time < .seconds(2), "\(time)")
    }

    @Test func chainsAreBounded() throws {
        let step: JSONValue = ["type": "Lowercase"]
        for (count, isRead) in [(100, true), (101, false)] {
            let read = try? tokenizer {
                $0["normalizer"] = ["type": "Sequence", "normalizers": .array(Array(repeating: step, count: count))]
            }
            #expect((read != nil) == isRead)
        }
    }

    @Test(arguments: [
        (#"(*NO_JIT)a"#, "a verb of PCRE2"), (String(repeating: "a", count: 70_000), "more than 65536 bytes"),
        ("((((a{1,9}){1,9}){1,9}){1,9}){1,9}", "too large"),
    ])
    func patternsThatAreTooMuchAreRefused(_ pattern: String, _ words: String) throws {
        let error = #expect(throws: TokenizerError.self) { try splitting(pattern) }
        #expect(error?.place == "pre_tokenizer.pretokenizers[0].pattern")
        #expect(error?.message.contains(words) == true)
    }

    @Test func aDecoderStripsOneCharacter() throws {
        let error = #expect(throws: TokenizerError.self) {
            try tokenizer { $0["decoder"] = ["type": "Strip", "content": "", "start": 1_000_000, "stop": 0] }
        }
        #expect(error?.place == "decoder.content")
    }
}
