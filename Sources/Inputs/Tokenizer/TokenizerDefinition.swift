/// Everything a tokenizer's files say that bears on token ids, as plain values; read from these or from the compiled form.
struct TokenizerDefinition: Sendable {
    var addedTokens: [AddedToken] = []
    var normalizers: [NormalizerStep] = []
    var preTokenizers: [PreTokenizerStep] = []
    /// The model's tokens; added tokens need not be among them.
    var vocabulary = Vocabulary()
    var model = TokenModel.bytePair(BytePairModel())
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
    /// A table of replacements that sentencepiece made, as HuggingFace's `Precompiled` reads it.
    case precompiled(CharacterMap)
    /// HuggingFace's `Nmt`: control characters go, odd spaces become spaces.
    case machineTranslation
    case bert(BertCleaning)
    /// All that sentencepiece does before its model sees the text.
    case sentencePiece(SentencePieceNormalizer)
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
    /// As sentencepiece joins pieces; of the spaces that the text begins with it drops those that encoding puts there.
    case pieces(SpacesBefore)
}

/// Which spaces at the beginning of a decoded text are none of its own.
enum SpacesBefore: UInt8, Sendable {
    case none, one, all
}

/// How a word becomes tokens.
enum TokenModel: Sendable {
    case bytePair(BytePairModel)
    case unigram(UnigramModel)
}

/// The merges of a byte-pair encoding model.
struct BytePairModel: Sendable {
    struct Merge: Equatable, Sendable {
        var left: Int32
        var right: Int32
        var result: Int32
    }

    /// In order of rank: the first merge is tried first.
    var merges: [Merge] = []
    /// Where several merges share a rank, and the leftmost pair of these goes first: the rank of each; otherwise empty.
    var ranks: [Int32] = []
    /// Tokens that are found whole, the longest first, before anything is merged, and are never merged themselves.
    var atoms: [Int32] = []
    var unknown: Int32?
    var fusesUnknown = false
    var fallsBackToBytes = false
    var ignoresMerges = false
    var continuingPrefix: [UInt8] = []
    var endOfWordSuffix: [UInt8] = []
}

/// The scores of a unigram language model: the tokens of a word are those with the greatest sum.
struct UnigramModel: Sendable {
    /// By id; NaN for a token that is not found in text.
    var scores: [Double] = []
    var unknown: Int32 = 0
    /// The score of a character that no token begins with.
    var unknownScore = 0.0
    var fallsBackToBytes = false
    /// Whether sums are rounded to single precision, as sentencepiece's are.
    var isSinglePrecision = false

    /// Bytes of all tokens together; the vocabularies of a hundred languages have two million.
    static let textBytesMax = 16 << 20
}
