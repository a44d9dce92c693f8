/// What a `tokenizer.model` of sentencepiece says that bears on token ids (`ModelProto` of sentencepiece_model.proto).
struct SentencePieceFile {
    enum Kind: UInt64 {
        case normal = 1, unknown, control, userDefined, unused, byte
    }

    struct Piece {
        var text = ""
        var score: Float = 0
        var kind = Kind.normal
    }

    /// By id.
    private(set) var pieces: [Piece] = []
    private(set) var isBytePair = false
    private(set) var fallsBackToBytes = false
    private(set) var beginning = "<s>"
    private(set) var end = "</s>"
    private(set) var map: CharacterMap?
    private(set) var addsPrefix = true
    private(set) var removesSpaces = true

    /// Throws for bytes that are no such message, and for what it may ask for and is not supported.
    init(_ bytes: [UInt8]) throws(TokenizerError) {
        var reader = MessageReader(bytes[...])
        while let (field, value) = try reader.next() {
            guard case .bytes(let content) = value else { continue }
            switch field {
            case 1:
                guard pieces.count < Vocabulary.maximumID else { throw Self.unsupported("more than \(Vocabulary.maximumID) pieces") }
                pieces.append(try Self.piece(content, pieces.count))
            case 2: try readTraining(content)
            case 3: try readNormalization(content)
            case 5: try Self.checkDenormalization(content)
            default: continue
            }
        }
        if pieces.isEmpty { throw .malformed("tokenizer.model", "it has no pieces; is it a model of sentencepiece?") }
    }

    private static func unsupported(_ what: String) -> TokenizerError { .unsupported("tokenizer.model", what) }

    private static func text(_ bytes: ArraySlice<UInt8>, _ place: String) throws(TokenizerError) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .malformed(place, "the text is no UTF-8") }
        return text
    }

    private static func piece(_ bytes: ArraySlice<UInt8>, _ id: Int) throws(TokenizerError) -> Piece {
        var piece = Piece()
        let place = "piece \(id) of tokenizer.model"
        var reader = MessageReader(bytes)
        while let (field, value) = try reader.next() {
            switch (field, value) {
            case (1, .bytes(let content)): piece.text = try text(content, place)
            case (2, .word(let bits)): piece.score = Float(bitPattern: bits)
            case (3, .number(let number)):
                guard let kind = Kind(rawValue: number) else { throw .malformed(place, "it is of an unknown kind, \(number)") }
                piece.kind = kind
            default: continue
            }
        }
        guard !piece.text.isEmpty, piece.score.isFinite else { throw .malformed(place, "it has no text, or no score") }
        return piece
    }

    private mutating func readTraining(_ bytes: ArraySlice<UInt8>) throws(TokenizerError) {
        var reader = MessageReader(bytes)
        while let (field, value) = try reader.next() {
            switch (field, value) {
            case (3, .number(1)): isBytePair = false
            case (3, .number(2)): isBytePair = true
            case (3, .number): throw Self.unsupported("a model of words or of characters; BPE and Unigram are")
            case (24, .number(let flag)) where flag != 0: throw Self.unsupported("spaces behind words (treat_whitespace_as_suffix)")
            case (35, .number(let flag)): fallsBackToBytes = flag != 0
            case (46, .bytes(let content)): beginning = try Self.text(content, "tokenizer.model")
            case (47, .bytes(let content)): end = try Self.text(content, "tokenizer.model")
            default: continue
            }
        }
    }

    private mutating func readNormalization(_ bytes: ArraySlice<UInt8>) throws(TokenizerError) {
        var reader = MessageReader(bytes)
        while let (field, value) = try reader.next() {
            switch (field, value) {
            case (2, .bytes(let content)) where !content.isEmpty:
                guard let map = CharacterMap(Array(content)) else {
                    throw .malformed("tokenizer.model", "its normalizer's precompiled_charsmap contradicts itself")
                }
                self.map = map
            case (3, .number(let flag)): addsPrefix = flag != 0
            case (4, .number(let flag)): removesSpaces = flag != 0
            case (5, .number(0)): throw Self.unsupported("spaces that are not spelled ▁ (escape_whitespaces)")
            default: continue
            }
        }
    }

    private static func checkDenormalization(_ bytes: ArraySlice<UInt8>) throws(TokenizerError) {
        var reader = MessageReader(bytes)
        while let (field, value) = try reader.next() {
            if field == 2, case .bytes(let content) = value, !content.isEmpty { throw unsupported("a denormalizer") }
        }
    }
}
