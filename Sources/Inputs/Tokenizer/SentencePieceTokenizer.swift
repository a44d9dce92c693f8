internal import JSON

extension TokenizerDefinition {
    /// A `tokenizer.model` of sentencepiece with what the files beside it declare: the ids of `SentencePieceProcessor.encode` for the
    /// text between added tokens, as transformers' tokenizers in Python have them (`SentencePieceBackend`).
    ///
    /// Throws where the file contradicts itself or asks for what is not supported.
    init(sentencePiece bytes: [UInt8], declared: DeclaredTokens) throws(TokenizerError) {
        let file = try SentencePieceFile(bytes)
        guard let vocabulary = Vocabulary(tokens: file.pieces.enumerated().map { ($1.text, $0) }) else {
            throw .unsupported("tokenizer.model", "a vocabulary that large")
        }
        self.vocabulary = vocabulary
        for (id, piece) in file.pieces.enumerated() where vocabulary.id(piece.text.utf8) != Int32(id) {
            throw .malformed("piece \(id) of tokenizer.model", "its text, \(piece.text.debugDescription), is another's")
        }
        if file.fallsBackToBytes, vocabulary.fallbackIDs.contains(-1) {
            throw .malformed("tokenizer.model", "byte_fallback without a piece for each byte")
        }
        guard let unknown = file.pieces.firstIndex(where: { $0.kind == .unknown }) else {
            throw .malformed("tokenizer.model", "no piece for what is unknown")
        }
        model = try file.isBytePair ? .bytePair(.init(file, vocabulary, Int32(unknown))) : .unigram(.init(file, Int32(unknown)))
        let prefix: SentencePieceNormalizer.Prefix = declared.prefixesEveryText ? .everyText : .input
        normalizers = [
            .sentencePiece(
                SentencePieceNormalizer(
                    map: file.map, prefix: file.addsPrefix ? prefix : .none, removesSpaces: file.removesSpaces,
                    symbols: file.pieces.filter { $0.kind == .userDefined }.map { Array($0.text.utf8) }))
        ]
        decoders = [.pieces(file.removesSpaces ? .all : file.addsPrefix ? .one : .none)]
        addedTokens = file.pieces.enumerated().compactMap { id, piece in
            guard piece.kind == .control || piece.kind == .unknown else { return nil }
            return AddedToken(id: Int32(id), content: piece.text, isSpecial: true)
        }
        try place(declared)
        let names = (declared.beginning ?? file.beginning, declared.end ?? file.end)
        self.prefix = try declared.addsBeginning ?? true ? [id(ofSpecial: names.0)] : []
        self.suffix = try declared.addsEnd ?? false ? [id(ofSpecial: names.1)] : []
    }

    private func id(ofSpecial content: String) throws(TokenizerError) -> Int32 {
        let added = addedTokens.last { ExactText($0.content) == ExactText(content) }?.id
        guard let id = added ?? vocabulary.id(content.utf8) else {
            throw .malformed("tokenizer.model", "no token \(content.debugDescription), which is put around texts")
        }
        return id
    }
}

extension BytePairModel {
    /// Every pair of pieces that are a third one together is a merge; of these the one with the greatest score is made first.
    fileprivate init(_ file: SentencePieceFile, _ vocabulary: Vocabulary, _ unknown: Int32) throws(TokenizerError) {
        self.unknown = unknown
        fusesUnknown = true
        fallsBackToBytes = file.fallsBackToBytes
        let isNormal = file.pieces.map { $0.kind == .normal }
        for (id, piece) in file.pieces.enumerated() {
            switch piece.kind {
            case .unused: throw .unsupported("piece \(id) of tokenizer.model", "an unused piece in a BPE model")
            case .userDefined: atoms.append(Int32(id))
            default: continue
            }
        }
        let order = file.pieces.indices.filter { isNormal[$0] }.sorted { file.pieces[$0].score > file.pieces[$1].score }
        try vocabulary.checkDivisions("tokenizer.model")
        var rank: Int32 = 0
        var score = Float.infinity
        for id in order {
            if file.pieces[id].score < score {
                score = file.pieces[id].score
                rank += 1
            }
            for (left, right) in vocabulary.divisions(of: Int32(id)) where isNormal[Int(left)] && isNormal[Int(right)] {
                merges.append(Merge(left: left, right: right, result: Int32(id)))
                ranks.append(rank)
            }
        }
    }
}

extension Vocabulary {
    /// The pairs of tokens that are the token together.
    func divisions(of id: Int32) -> [(left: Int32, right: Int32)] {
        guard let text = text(id) else { return [] }
        var pairs: [(left: Int32, right: Int32)] = []
        for cut in text.indices.dropFirst() where text[cut] & 0xC0 != 0x80 {
            if let left = self.id(text[..<cut]), let right = self.id(text[cut...]) { pairs.append((left, right)) }
        }
        return pairs
    }

    /// Throws where the tokens are so long that finding the divisions of all takes more than a second or two.
    func checkDivisions(_ place: String) throws(TokenizerError) {
        let cost = zip(starts, starts.dropFirst()).reduce(0) { $0 + Int($1.1 - $1.0) * Int($1.1 - $1.0) }
        guard cost <= 1 << 30 else { throw .unsupported(place, "tokens that long: they have \(bytes.count) bytes together") }
    }
}

extension UnigramModel {
    /// The arithmetic is sentencepiece's, in single precision but for the bonus of symbols that the user defined.
    fileprivate init(_ file: SentencePieceFile, _ unknown: Int32) throws(TokenizerError) {
        guard file.pieces.reduce(0, { $0 + $1.text.utf8.count }) <= Self.textBytesMax else {
            throw .unsupported("tokenizer.model", "pieces of more than \(Self.textBytesMax) bytes")
        }
        let normal = file.pieces.filter { $0.kind == .normal }.map(\.score)
        let greatest = normal.max() ?? 0
        self.unknown = unknown
        unknownScore = Double((normal.min() ?? 0) - Float(Self.unknownPenalty))
        fallsBackToBytes = file.fallsBackToBytes
        isSinglePrecision = true
        scores = file.pieces.map { piece in
            switch piece.kind {
            case .normal: Double(piece.score)
            case .userDefined: Double(Float(piece.text.utf8.count) * greatest) - 0.1
            case .unknown, .control, .unused, .byte: .nan
            }
        }
    }
}
