package import Plan

/// A prompt as the model reads it.
package struct PreparedPrompt: Sendable {
    /// Token ids; what takes a picture's features stands once per feature.
    package let inputIDs: [Int32]
    /// Positions of the tokens.
    package let positions: TokenPositions
    /// The pictures in the order of the prompt.
    package let pictures: [PreparedPicture]
    /// Ranges of tokens that see each other whole, in order and apart.
    package let spans: [Range<Int>]
}

/// A picture's inputs and the tokens that take its features.
package struct PreparedPicture: Sendable {
    package let picture: ReadPicture
    /// Indices into the prompt's tokens, as many as the picture has features.
    package let tokens: TokenRanges
}

/// Puts a rendered chat and its pictures together, as HF's processors do: what stands for a picture takes the place of its marker in the
/// text, then the whole text is tokenized once.
package struct PromptAssembler: Sendable {
    package let spec: InputSpec
    private let encode: @Sendable (String) throws -> [Int32]

    /// `encode` turns text with special tokens in it into ids and adds none of its own.
    package init(spec: InputSpec, encode: @escaping @Sendable (String) throws -> [Int32]) {
        self.spec = spec
        self.encode = encode
    }

    /// The prompt for a rendered text with one marker per picture, in order.
    ///
    /// What stands on the two sides of a `mark` is tokenized apart, and the mark itself dropped; see `TypedPlaceholders`.
    package func prepare(
        rendered: String, pictures: [ReadPicture], mark: Unicode.Scalar? = nil
    ) throws(PromptError) -> PreparedPrompt {
        if !pictures.isEmpty, spec.picture == nil { throw .noVision(pictures: pictures.count) }
        let (text, runs) = try expanded(rendered, pictures)
        let (ids, runTokens) = try located(runs, in: try tokens(of: text, mark: mark))
        if ids.count > Int(Int32.max) / 4 { throw .tooLong(tokens: ids.count) }
        let prepared = zip(pictures, runTokens).map { PreparedPicture(picture: $0, tokens: TokenRanges($1)) }
        let positions = spec.positions.positions(count: ids.count, pictures: prepared.compactMap(PictureSpan.init))
        let spans =
            switch spec.spans {
            case .none: [Range<Int>]()
            case .pictures: prepared.flatMap(\.tokens.ranges)
            case .prompt: [ids.indices]
            }
        return PreparedPrompt(inputIDs: ids, positions: positions, pictures: prepared, spans: spans)
    }

    /// The rendered text with what stands for each picture, one token's text for each run of features; and the runs, by picture.
    private func expanded(_ rendered: String, _ pictures: [ReadPicture]) throws(PromptError) -> (text: String, runs: [[Int]]) {
        guard let prompt = spec.picture?.prompt, !prompt.marker.isEmpty else { return (rendered, []) }
        let pieces = split(Array(rendered.utf8), by: Array(prompt.marker.utf8))
        guard pieces.count - 1 == pictures.count else {
            throw .placeholderCount(placeholder: prompt.marker, found: pieces.count - 1, pictures: pictures.count)
        }
        var bytes = Array(pieces[0])
        var runs: [[Int]] = []
        for (index, (piece, picture)) in zip(pieces.dropFirst(), pictures).enumerated() {
            var counts: [Int] = []
            for part in PicturePieces(prompt, picture.layout, picture.features, number: index + 1).parts {
                switch part {
                case .text(let text): bytes += text.utf8
                case .features(let count):
                    bytes += prompt.tokenText.utf8
                    counts.append(count)
                }
            }
            runs.append(counts)
            bytes += piece
        }
        return (String(decoding: bytes, as: UTF8.self), runs)
    }

    private func tokens(of text: String, mark: Unicode.Scalar?) throws(PromptError) -> [Int32] {
        let pieces = mark.map { split(Array(text.utf8), by: Array(String($0).utf8)).map { String(decoding: $0, as: UTF8.self) } }
        var ids: [Int32] = []
        do {
            for piece in pieces ?? [text] { ids += try encode(piece) }
        } catch {
            throw .tokenizer("\(error)")
        }
        if ids.isEmpty { throw .empty }
        if let stray = ids.first(where: { $0 < 0 || $0 >= spec.vocabularySize }) {
            throw .tokenBeyondVocabulary(token: stray, size: spec.vocabularySize)
        }
        return ids
    }

    /// The tokens with each run at its full length, and where the runs of each picture are; every token of the kind must begin a run.
    private func located(_ runs: [[Int]], in ids: [Int32]) throws(PromptError) -> (ids: [Int32], spans: [[Range<Int>]]) {
        guard let prompt = spec.picture?.prompt else { return (ids, []) }
        let mismatch = PromptError.placeholderToken(placeholder: prompt.tokenText, token: prompt.token)
        var whole: [Int32] = []
        whole.reserveCapacity(ids.count + runs.joined().reduce(0, +))
        var spans: [[Range<Int>]] = runs.map { _ in [] }
        var (picture, run) = (0, 0)
        for id in ids {
            guard id == prompt.token else {
                whole.append(id)
                continue
            }
            while picture < runs.count, run == runs[picture].count { (picture, run) = (picture + 1, 0) }
            guard picture < runs.count else { throw mismatch }
            spans[picture].append(whole.count..<whole.count + runs[picture][run])
            whole += repeatElement(id, count: runs[picture][run])
            run += 1
        }
        guard zip(spans, runs).allSatisfy({ $0.count == $1.count }) else { throw mismatch }
        return (whole, spans)
    }
}

/// The stretches between occurrences of `pattern`, found from left to right; one more than there are occurrences. Takes time
/// proportional to both.
func split(_ bytes: [UInt8], by pattern: [UInt8]) -> [ArraySlice<UInt8>] {
    var pieces: [ArraySlice<UInt8>] = []
    var start = 0
    for place in LiteralSearch(pattern).matches(in: bytes, 0..<bytes.count) {
        pieces.append(bytes[start..<place.lowerBound])
        start = place.upperBound
    }
    pieces.append(bytes[start...])
    return pieces
}
