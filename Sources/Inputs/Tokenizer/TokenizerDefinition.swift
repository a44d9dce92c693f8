/// Everything a `tokenizer.json` says that bears on token ids, as plain values; read from JSON or from the compiled form.
struct TokenizerDefinition: Sendable {
    var addedTokens: [AddedToken] = []
    var normalizers: [NormalizerStep] = []
    var preTokenizers: [PreTokenizerStep] = []
    var model = BytePairModel()
    /// Ids put before and after a sequence that is encoded with special tokens.
    var prefix: [Int32] = []
    var suffix: [Int32] = []
    /// Nil when the file names no decoder: then decoded tokens are joined by spaces.
    var decoders: [DecoderStep]?

    /// Most steps of a chain: a pattern takes up to 25 ms and a megabyte when it is loaded.
    static let stepsMax = 100
}

/// A token that is found in the text before the model sees it.
struct AddedToken: Equatable, Sendable {
    var id: Int32
    var content: String
    /// Matches only where no word character adjoins.
    var singleWord = false
    /// Swallows the white space on its left or right.
    var stripsLeft = false
    var stripsRight = false
    /// Is looked for in the normalized text, in its own normalized form.
    var isNormalized = false
    /// Left out when decoding skips special tokens.
    var isSpecial = false
}

enum UnicodeForm: UInt8, Sendable {
    case canonicalComposition, canonicalDecomposition, compatibilityComposition, compatibilityDecomposition
}

enum NormalizerStep: Sendable {
    case unicode(UnicodeForm)
    case lowercase
    case strip(left: Bool, right: Bool)
    case stripAccents
    case replace(TextPattern, with: [UInt8])
    case prepend([UInt8])
    case byteLevel
}

/// What becomes of the text that a splitting pattern matched.
enum SplitBehavior: UInt8, Sendable {
    case removed, isolated, mergedWithPrevious, mergedWithNext, contiguous
}

enum PrependScheme: UInt8, Sendable {
    case first, never, always
}

enum PreTokenizerStep: Sendable {
    case split(TextPattern, SplitBehavior, invert: Bool)
    case byteLevel(addPrefixSpace: Bool, splitsWords: Bool)
    case digits(individual: Bool)
    case metaspace(replacement: [UInt8], PrependScheme, splits: Bool)
    case whitespaceSplit
    case whitespace
    case punctuation(SplitBehavior)
}

enum DecoderStep: Sendable {
    case byteLevel
    case byteFallback
    case fuse
    case replace(TextPattern, with: [UInt8])
    case strip(content: [UInt8], start: Int, stop: Int)
    case metaspace(replacement: [UInt8], PrependScheme)
    case endOfWord(suffix: [UInt8])
}

/// The vocabulary and merges of a byte-pair encoding model.
struct BytePairModel: Sendable {
    struct Merge: Equatable, Sendable {
        var left: Int32
        var right: Int32
        var result: Int32
    }

    var vocabulary = Vocabulary()
    /// In order of rank: the first merge is tried first.
    var merges: [Merge] = []
    var unknown: Int32?
    var fusesUnknown = false
    var fallsBackToBytes = false
    var ignoresMerges = false
    var continuingPrefix: [UInt8] = []
    var endOfWordSuffix: [UInt8] = []
}
