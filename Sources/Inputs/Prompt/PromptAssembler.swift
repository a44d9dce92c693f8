internal import Foundation
package import Plan

/// A prompt as the model reads it.
package struct PreparedPrompt: Sendable {
    /// Token ids as HuggingFace shows them; what takes an image's features stands once per feature.
    package let inputIDs: [Int32]
    /// The ids that the model reads: tokens of its vocabulary.
    package let tokens: [Int32]
    /// Positions of the tokens.
    package let positions: TokenPositions
    /// The images in the order of the prompt.
    package let images: [PreparedImage]
    /// Ranges of tokens that see each other whole, in order and apart.
    package let spans: [Range<Int>]
}

/// An image's inputs and the tokens that take its features.
package struct PreparedImage: Sendable {
    package let image: ReadImage
    /// Indices into the prompt's tokens, as many as the image has features.
    package let tokens: TokenRanges
}

/// Puts a rendered chat and its images together, as HF's processors do: what stands for an image takes the place of its marker in the
/// text, then the whole text is tokenized once.
package struct PromptAssembler: Sendable {
    package let spec: InputSpec
    private let encode: @Sendable (_ text: String, _ addsSpecialTokens: Bool) throws -> [Int32]

    /// `encode` turns text with special tokens in it into ids, and adds those of the tokenizer's post-processor where it is told.
    package init(spec: InputSpec, encode: @escaping @Sendable (_ text: String, _ addsSpecialTokens: Bool) throws -> [Int32]) {
        self.spec = spec
        self.encode = encode
    }

    /// The prompt for a rendered text with one marker per image, in order.
    ///
    /// What stands on the two sides of a `mark` is tokenized apart, and the mark itself dropped; see `TypedPlaceholders`.
    ///
    /// - Parameter adds: whether the tokenizer's special tokens are added; nil for what HF's processor does.
    package func prepare(
        rendered: String, images: [ReadImage], mark: Unicode.Scalar? = nil, addsSpecialTokens adds: Bool? = nil
    ) throws(PromptError) -> PreparedPrompt {
        if !images.isEmpty, spec.image == nil { throw .noVision(images: images.count) }
        let (ids, runTokens) = try spec.image?.prompt.isWritten ?? true
            ? whole(rendered, images, mark, adds) : apart(rendered, images, mark, adds)
        if ids.count > Int(Int32.max) / 4 { throw .tooLong(tokens: ids.count) }
        let prepared = zip(images, runTokens).map { PreparedImage(image: $0, tokens: TokenRanges($1)) }
        let positions = spec.positions.positions(count: ids.count, images: prepared.compactMap(ImageSpan.init))
        let spans =
            switch spec.spans {
            case .none: [Range<Int>]()
            case .images: prepared.flatMap(\.tokens.ranges)
            case .prompt: [ids.indices]
            }
        let tokens = ids.contains { $0 < 0 } ? ids.map { $0 < 0 ? spec.image?.prompt.token ?? 0 : $0 } : ids
        return PreparedPrompt(inputIDs: ids, tokens: tokens, positions: positions, images: prepared, spans: spans)
    }

    private func whole(
        _ rendered: String, _ images: [ReadImage], _ mark: Unicode.Scalar?, _ adds: Bool?
    ) throws(PromptError) -> (ids: [Int32], spans: [[Range<Int>]]) {
        let (text, runs) = try expanded(rendered, images)
        let ids = try tokens(of: text, mark: mark, adds: adds ?? addsSpecialTokens(to: text))
        if ids.isEmpty { throw .empty }
        return try located(runs, in: ids)
    }

    /// Every text between images for itself, and between them as many ids as the image has features.
    private func apart(
        _ rendered: String, _ images: [ReadImage], _ mark: Unicode.Scalar?, _ adds: Bool?
    ) throws(PromptError) -> (ids: [Int32], spans: [[Range<Int>]]) {
        guard let prompt = spec.image?.prompt else { return ([], []) }
        var (ids, spans): ([Int32], [[Range<Int>]]) = ([], [])
        for (index, piece) in try texts(rendered, images: images.count).enumerated() {
            var text = piece
            if index > 0 {
                let (start, count) = (ids.count, images[index - 1].features.count)
                if case .located(let closing, _) = prompt.spacing {
                    let place = try place(in: piece, before: closing, prompt, mark, limit: count)
                    ids += place.bytes.map(Int32.init) + repeatElement(prompt.token, count: count - place.bytes.count)
                    text = place.rest
                } else {
                    ids += repeatElement(Int32(-index), count: count)
                }
                spans.append([start..<ids.count])
            }
            if case .located(_, let openings) = prompt.spacing {
                if index < images.count { text += prompt.marker }
                for part in cut(text, behind: openings) { ids += try tokens(of: part, mark: mark, adds: adds == true && ids.isEmpty) }
            } else {
                ids += try tokens(of: text, mark: mark, adds: adds ?? true)
            }
        }
        if ids.isEmpty { throw .empty }
        return (ids, spans)
    }

    /// The bytes of where an image is, and the text from `closing` on.
    private func place(
        in text: String, before closing: String, _ prompt: ImagePrompt, _ mark: Unicode.Scalar?, limit: Int
    ) throws(PromptError) -> (bytes: [UInt8], rest: String) {
        let parts = text.split(separator: closing, maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { throw .unclosed(marker: prompt.marker, closing: closing) }
        let path = String(String.UnicodeScalarView(parts[0].unicodeScalars.filter { $0 != mark }))
        let bytes = Array(path.precomposedStringWithCanonicalMapping.utf8)
        guard bytes.count <= limit else { throw .placeTooLong(bytes: bytes.count, limit: limit) }
        return (bytes, closing + parts[1])
    }

    /// The text in parts, which end where one of `openings` ends.
    private func cut(_ text: String, behind openings: [String]) -> [String] {
        let bytes = Array(text.utf8)
        let ends = openings.flatMap { LiteralSearch(Array($0.utf8)).matches(in: bytes, 0..<bytes.count).map(\.upperBound) }
        var (parts, start): ([String], Int) = ([], 0)
        for end in ends.sorted() + [bytes.count] where end > start {
            parts.append(String(decoding: bytes[start..<end], as: UTF8.self))
            start = end
        }
        return parts
    }

    /// What stands before, between and behind the markers of so many images; throws where there are not as many.
    private func texts(_ rendered: String, images: Int) throws(PromptError) -> [String] {
        guard let prompt = spec.image?.prompt, !prompt.marker.isEmpty else { return [rendered] }
        let isNumbered = prompt.marker(1) != prompt.marker
        guard isNumbered else {
            let pieces = split(Array(rendered.utf8), by: Array(prompt.marker.utf8))
            guard pieces.count - 1 == images else {
                throw .placeholderCount(placeholder: prompt.marker, found: pieces.count - 1, images: images)
            }
            return pieces.map { String(decoding: $0, as: UTF8.self) }
        }
        var (texts, rest): ([String], ArraySlice<UInt8>) = ([], ArraySlice(rendered.utf8))
        while let place = LiteralSearch(Array(prompt.marker(texts.count + 1).utf8)).matches(in: Array(rest), 0..<rest.count).first {
            texts.append(String(decoding: rest.prefix(place.lowerBound), as: UTF8.self))
            rest = rest.dropFirst(place.upperBound)
        }
        guard texts.count == images else {
            let marker = prompt.marker(min(texts.count, images) + 1)
            throw .placeholderCount(placeholder: marker, found: texts.count, images: images)
        }
        return texts + [String(decoding: rest, as: UTF8.self)]
    }

    /// A text in which what stands for the images is written out, with their markers again.
    package func collapsed(_ text: String, _ images: [ReadImage]) -> String {
        guard let prompt = spec.image?.prompt, prompt.isWritten else { return text }
        var (done, rest) = ("", text[...])
        for (index, image) in images.enumerated() {
            let parts = ImagePieces(prompt, image.layout, image.features, number: index + 1).parts.map { part in
                switch part {
                case .text(let text): text
                case .features(let count): String(repeating: prompt.tokenText, count: count)
                }
            }
            guard let place = rest.range(of: parts.joined()) else { return text }
            done += rest[..<place.lowerBound] + prompt.marker(index + 1)
            rest = rest[place.upperBound...]
        }
        return done + rest
    }

    /// The rendered text with what stands for each image, one token's text for each run of features; and the runs, by image.
    private func expanded(_ rendered: String, _ images: [ReadImage]) throws(PromptError) -> (text: String, runs: [[Int]]) {
        guard let prompt = spec.image?.prompt, !prompt.marker.isEmpty else { return (rendered, []) }
        let pieces = try texts(rendered, images: images.count)
        var text = pieces[0]
        if images.isEmpty, case .framed(let behind, _) = prompt.spacing { text = behind + text }
        var runs: [[Int]] = []
        for (index, (piece, image)) in zip(pieces.dropFirst(), images).enumerated() {
            var counts: [Int] = []
            for part in ImagePieces(prompt, image.layout, image.features, number: index + 1).parts {
                switch part {
                case .text(let part): text += part
                case .features(let count):
                    text += prompt.tokenText
                    counts.append(count)
                }
            }
            runs.append(counts)
            if index + 1 == images.count, case .framed(let behind, _) = prompt.spacing { text += behind }
            text += piece
        }
        if case .framed(_, let end) = prompt.spacing { text += end }
        return (text, runs)
    }

    /// A processor adds the tokenizer's special tokens unless the template wrote the first of them; a tokenizer alone adds none to chats
    /// (`ProcessorMixin.apply_chat_template`, `PreTrainedTokenizerBase.apply_chat_template`).
    private func addsSpecialTokens(to text: String) -> Bool {
        guard let prompt = spec.image?.prompt else { return false }
        if case .framed = prompt.spacing { return false }
        guard let begin = spec.specialTokens["bos_token"], !begin.isEmpty else { return true }
        return !text.utf8.starts(with: begin.utf8)
    }

    private func tokens(of text: String, mark: Unicode.Scalar?, adds: Bool) throws(PromptError) -> [Int32] {
        let pieces = mark.map { split(Array(text.utf8), by: Array(String($0).utf8)).map { String(decoding: $0, as: UTF8.self) } } ?? [text]
        var ids: [Int32] = []
        do {
            for (index, piece) in pieces.enumerated() { ids += try encode(piece, adds && index == 0) }
        } catch {
            throw .tokenizer("\(error)")
        }
        if let stray = ids.first(where: { $0 < 0 || $0 >= spec.vocabularySize }) {
            throw .tokenBeyondVocabulary(token: stray, size: spec.vocabularySize)
        }
        return ids
    }

    /// The tokens with each run at its full length, and where the runs of each image are; every token of the kind must begin a run.
    private func located(_ runs: [[Int]], in ids: [Int32]) throws(PromptError) -> (ids: [Int32], spans: [[Range<Int>]]) {
        guard let prompt = spec.image?.prompt else { return (ids, []) }
        let mismatch = PromptError.placeholderToken(placeholder: prompt.tokenText, token: prompt.token)
        var whole: [Int32] = []
        whole.reserveCapacity(ids.count + runs.joined().reduce(0, +))
        var spans: [[Range<Int>]] = runs.map { _ in [] }
        var (image, run) = (0, 0)
        for id in ids {
            guard id == prompt.token else {
                whole.append(id)
                continue
            }
            while image < runs.count, run == runs[image].count { (image, run) = (image + 1, 0) }
            guard image < runs.count else { throw mismatch }
            spans[image].append(whole.count..<whole.count + runs[image][run])
            whole += repeatElement(id, count: runs[image][run])
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
