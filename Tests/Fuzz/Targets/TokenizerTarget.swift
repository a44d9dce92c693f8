import Budgets
import Inputs
import JSON
import Seeded

extension FuzzTarget {
    /// `tokenizer.json`: one that is taken encodes any text within bounds, as its compiled form does, and one whose pieces are
    /// all bytes gives the text back.
    static let tokenizer = FuzzTarget("tokenizer", secondsMax: 5) { dice, corpus in
        JSONText.changed(dice.pick(corpus) ?? [], &dice, corpus: corpus, words: tokenizerWords)
    } check: { input in
        guard let tokenizer = try? Tokenizer(json: input) else { return }
        guard let compiled = try? Tokenizer(compiled: tokenizer.compiled) else {
            throw Finding("its compiled form cannot be read")
        }
        let isExact = ByteLevel.keepsEverything(input)
        for text in tokenizerTexts {
            let budget = WorkBudget(cpuLimit: .seconds(1))
            do {
                try budget.onThisThread { try check(text, tokenizer, compiled, budget, isExact: isExact) }
            } catch is TokenizationError {
                // Bounds are there to be met, but not by texts that become their bytes.
                if isExact { throw Finding("refuses \(text.debugDescription.prefix(80))") }
            }
        }
    }

    private static func check(_ text: String, _ tokenizer: Tokenizer, _ compiled: Tokenizer, _ budget: WorkBudget, isExact: Bool) throws {
        let ids = try tokenizer.encode(text, addSpecialTokens: false, budget: budget)
        guard try ids == compiled.encode(text, addSpecialTokens: false, budget: budget) else {
            throw Finding("the compiled form encodes \(text.debugDescription.prefix(80)) otherwise")
        }
        let decoded = try tokenizer.decode(ids, skipSpecialTokens: false)
        if isExact, !decoded.utf8.elementsEqual(text.utf8) {
            throw Finding("\(text.debugDescription.prefix(80)) comes back as \(decoded.debugDescription.prefix(80))")
        }
        guard ids.allSatisfy({ $0 >= 0 && Int($0) < tokenizer.idLimit }) else { throw Finding("an id beyond \(tokenizer.idLimit)") }
        guard let longest = tokenizer.maxTokenBytes else { return }
        guard text.utf8.count <= longest * ids.count else {
            throw Finding("\(text.utf8.count) bytes became \(ids.count) tokens of at most \(longest) bytes")
        }
    }

    private static let tokenizerTexts = [
        "", " ", "Hello, world! It's 2024.", "<|im_start|>user\n<|image_pad|><|im_end|>", "日本語 e\u{301}\u{327} ﬁ Å\u{0}\u{7F}",
        "👩‍👩‍👧\u{FFFD}\u{202E}\r\n\t  x", String(repeating: "ab", count: 300), String(repeating: "é", count: 200),
        String(repeating: " ", count: 500), "a" + String(repeating: "\u{301}\u{316}", count: 200),
    ]

    private static let tokenizerWords = [
        "type", "ByteLevel", "Sequence", "NFC", "NFKD", "Lowercase", "Strip", "StripAccents", "Replace", "Prepend", "Split", "Digits",
        "Metaspace", "Whitespace", "WhitespaceSplit", "Punctuation", "ByteFallback", "Fuse", "BPEDecoder", "BPE", "Isolated", "Removed",
        "MergedWithPrevious", "MergedWithNext", "Contiguous", "Regex", "String", "\\p{L}+|\\s", "(a+)+$", "(?=a)", "(?i:'s)", "", "Ġ", "▁",
        "normalized", "lstrip", "rstrip", "single_word", "special", "content", "<unk>", "<0x41>", "TemplateProcessing", "BertProcessing",
    ]
}

/// What a tokenizer of bytes says of itself.
private enum ByteLevel {
    /// Whether nothing in the file changes, drops or moves text: all bytes are tokens, and no step but the splitting of words.
    static func keepsEverything(_ file: [UInt8]) -> Bool {
        guard let json = try? JSONValue(parsing: file), let model = json["model"]?.objectValue, json["decoder"]?["type"] == "ByteLevel",
            json["normalizer"]?.isNull ?? true, json["pre_tokenizer"]?["type"] == "ByteLevel",
            json["pre_tokenizer"]?["add_prefix_space"] == false
        else { return false }
        let plain = ["continuing_subword_prefix", "end_of_word_suffix", "unk_token", "fuse_unk", "byte_fallback", "ignore_merges"]
        guard plain.allSatisfy({ model[$0] == nil || model[$0] == .null || model[$0] == false || model[$0] == "" }) else { return false }
        guard json["added_tokens"]?.arrayValue?.isEmpty ?? true else { return false }
        let vocabulary = model["vocab"]?.objectValue ?? JSONObject()
        return ByteTokenizer.alphabet.allSatisfy { vocabulary[$0] != nil }
    }
}
