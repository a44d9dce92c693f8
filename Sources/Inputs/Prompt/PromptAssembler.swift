package import Plan

/// A prompt as the model reads it.
package struct PreparedPrompt: Sendable {
    /// Token ids; a picture's placeholder stands once per image feature.
    package let inputIDs: [Int32]
    /// Positions of the tokens.
    package let positions: TokenPositions
    /// The pictures in the order of the prompt.
    package let pictures: [PreparedPicture]
}

/// A picture's patches and the tokens that take its features.
package struct PreparedPicture: Sendable {
    package let patches: Patches
    /// Indices into the prompt's tokens, as many as the picture has features.
    package let tokens: Range<Int>
}

/// Puts a rendered chat and its pictures together, as HF's processors do: each placeholder in the text is repeated once
/// per feature of its picture, then the whole text is tokenized once.
package struct PromptAssembler: Sendable {
    package let spec: InputSpec
    private let encode: @Sendable (String) throws -> [Int32]

    /// `encode` turns text with special tokens in it into ids and adds none of its own.
    package init(spec: InputSpec, encode: @escaping @Sendable (String) throws -> [Int32]) {
        self.spec = spec
        self.encode = encode
    }

    /// The prompt for a rendered text with one placeholder per picture, in order.
    ///
    /// What stands on the two sides of a `mark` is tokenized apart, and the mark itself dropped; see `TypedPlaceholders`.
    package func prepare(
        rendered: String, pictures: [Patches], mark: Unicode.Scalar? = nil
    ) throws(PromptError) -> PreparedPrompt {
        let counts = try featureCounts(of: pictures)
        let inputIDs = try tokens(of: try expand(rendered, counts), mark: mark)
        let spans = try locate(counts, in: inputIDs)
        let positions = spec.positions.positions(
            count: inputIDs.count,
            pictures: zip(spans, pictures).map {
                PictureSpan(tokens: $0, gridHeight: $1.gridHeight, gridWidth: $1.gridWidth)
            })
        return PreparedPrompt(
            inputIDs: inputIDs, positions: positions,
            pictures: zip(pictures, spans).map { PreparedPicture(patches: $0, tokens: $1) })
    }

    /// The rendered text with each placeholder repeated by the count of its picture.
    package func expand(_ rendered: String, _ counts: [Int]) throws(PromptError) -> String {
        guard let placeholder = spec.imagePlaceholder, !placeholder.text.isEmpty else { return rendered }
        let pattern = Array(placeholder.text.utf8)
        let pieces = split(Array(rendered.utf8), by: pattern)
        guard pieces.count - 1 == counts.count else {
            throw .placeholderCount(placeholder: placeholder.text, found: pieces.count - 1, pictures: counts.count)
        }
        var bytes = Array(pieces[0])
        for (piece, count) in zip(pieces.dropFirst(), counts) {
            for _ in 0..<count { bytes += pattern }
            bytes += piece
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private func featureCounts(of pictures: [Patches]) throws(PromptError) -> [Int] {
        if pictures.isEmpty { return [] }
        guard let placeholder = spec.imagePlaceholder else { throw .noVision(pictures: pictures.count) }
        if let limit = spec.visionLimits?.maxImagesPerPrompt, pictures.count > limit {
            throw .tooManyPictures(count: pictures.count, limit: limit)
        }
        var counts: [Int] = []
        for (index, picture) in pictures.enumerated() {
            if let limit = spec.visionLimits?.maxPatchesPerImage, picture.count > limit {
                throw .tooManyPatches(index: index, count: picture.count, limit: limit)
            }
            if case .mergedGrid(let merge) = placeholder.expansion {
                guard picture.gridHeight % merge == 0, picture.gridWidth % merge == 0 else {
                    throw .gridNotMultiple(
                        index: index, height: picture.gridHeight, width: picture.gridWidth, multiple: merge)
                }
            }
            counts.append(placeholder.expansion.tokens(patches: picture.count))
        }
        return counts
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
        if ids.count > Int(Int32.max) / 4 { throw .tooLong(tokens: ids.count) }
        if let stray = ids.first(where: { $0 < 0 || $0 >= spec.vocabularySize }) {
            throw .tokenBeyondVocabulary(token: stray, size: spec.vocabularySize)
        }
        return ids
    }

    /// Finds each picture's run of placeholder tokens; every placeholder token must belong to a picture.
    private func locate(_ counts: [Int], in ids: [Int32]) throws(PromptError) -> [Range<Int>] {
        guard let placeholder = spec.imagePlaceholder else { return [] }
        let mismatch = PromptError.placeholderToken(placeholder: placeholder.text, token: placeholder.tokenID)
        var spans: [Range<Int>] = []
        var index = 0
        while let first = ids[index...].firstIndex(of: placeholder.tokenID) {
            guard spans.count < counts.count else { throw mismatch }
            let end = first + counts[spans.count]
            guard end <= ids.count, ids[first..<end].allSatisfy({ $0 == placeholder.tokenID }) else { throw mismatch }
            spans.append(first..<end)
            index = end
        }
        guard spans.count == counts.count else { throw mismatch }
        return spans
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
