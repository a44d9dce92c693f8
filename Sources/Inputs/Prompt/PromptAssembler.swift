internal import Foundation
internal import JSON
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
        if spec.video == nil, images.contains(where: \.isVideo) { throw .noVideos }
        let images = images.contains(where: \.isVideo) ? try placed(images, in: Array(rendered.utf8)).map(\.image) : images
        let (ids, runTokens) = try spec.image?.prompt.isWritten ?? true
            ? whole(rendered, images, mark, adds) : apart(rendered, images, mark, adds)
        if ids.count > Int(Int32.max) / 4 { throw .tooLong(tokens: ids.count) }
        let prepared = zip(images, runTokens).map { PreparedImage(image: $0, tokens: TokenRanges($1)) }
        let positions = spec.positions.positions(count: ids.count, images: prepared.flatMap { ImageSpan.spans(of: $0, spec) })
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

    /// What stands for such an image, or video, in the text.
    private func prompt(of image: ReadImage) -> ImagePrompt? { image.isVideo ? spec.video?.frames.prompt : spec.image?.prompt }

    /// Images and videos in the order of their markers, and where these are in the bytes of the text; throws where there are not as many
    /// of each kind.
    private func placed(_ images: [ReadImage], in text: [UInt8]) throws(PromptError) -> [(place: Range<Int>, image: ReadImage)] {
        var found: [(place: Range<Int>, image: ReadImage)] = []
        for isVideo in [false, true] {
            let own = images.filter { $0.isVideo == isVideo }
            guard let marker = (isVideo ? spec.video?.frames : spec.image)?.prompt.marker, !own.isEmpty else { continue }
            let places = LiteralSearch(Array(marker.utf8)).matches(in: text, 0..<text.count)
            guard places.count == own.count else { throw .placeholderCount(placeholder: marker, found: places.count, images: own.count) }
            found += zip(places, own).map { (place: $0, image: $1) }
        }
        return found.sorted { $0.place.lowerBound < $1.place.lowerBound }
    }

    /// What stands before, between and behind the markers of these.
    private func texts(_ rendered: String, _ images: [ReadImage]) throws(PromptError) -> [String] {
        guard images.contains(where: \.isVideo) else { return try texts(rendered, images: images.count) }
        let bytes = Array(rendered.utf8)
        var (texts, start): ([String], Int) = ([], 0)
        for (place, _) in try placed(images, in: bytes) {
            texts.append(String(decoding: bytes[start..<place.lowerBound], as: UTF8.self))
            start = place.upperBound
        }
        return texts + [String(decoding: bytes[start...], as: UTF8.self)]
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
        guard spec.image?.prompt.isWritten ?? false else { return text }
        var (done, rest) = ("", text[...])
        for (image, number) in numbered(images) {
            guard let prompt = prompt(of: image) else { return text }
            let parts = ImagePieces(prompt, image, number: number).parts.map { part in
                switch part {
                case .text(let text): text
                case .features(let count): String(repeating: prompt.tokenText, count: count)
                }
            }
            guard let place = rest.range(of: parts.joined()) else { return text }
            done += rest[..<place.lowerBound] + prompt.marker(number)
            rest = rest[place.upperBound...]
        }
        return done + rest
    }

    /// Each with its number among those of its kind, from 1.
    private func numbered(_ images: [ReadImage]) -> [(image: ReadImage, number: Int)] {
        var (pictures, videos) = (0, 0)
        return images.map { image in
            if image.isVideo { videos += 1 } else { pictures += 1 }
            return (image, image.isVideo ? videos : pictures)
        }
    }

    /// How the features of an image stand in its prompt.
    private struct Runs {
        /// What takes a feature.
        var token: Int32
        /// Features of each run.
        var counts: [Int]
    }

    /// The rendered text with what stands for each image, one token's text for each run of features; and the runs, by image.
    private func expanded(_ rendered: String, _ images: [ReadImage]) throws(PromptError) -> (text: String, runs: [Runs]) {
        guard let prompt = spec.image?.prompt, !prompt.marker.isEmpty else { return (rendered, []) }
        let pieces = try texts(rendered, images)
        var text = pieces[0]
        if images.isEmpty, case .framed(let behind, _) = prompt.spacing { text = behind + text }
        var runs: [Runs] = []
        for (index, (piece, (image, number))) in zip(pieces.dropFirst(), numbered(images)).enumerated() {
            let own = self.prompt(of: image) ?? prompt
            var counts: [Int] = []
            for part in ImagePieces(own, image, number: number).parts {
                switch part {
                case .text(let part): text += part
                case .features(let count):
                    text += own.tokenText
                    counts.append(count)
                }
            }
            runs.append(Runs(token: own.token, counts: counts))
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
        return !text.startsExactly(with: begin)
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
    private func located(_ runs: [Runs], in ids: [Int32]) throws(PromptError) -> (ids: [Int32], spans: [[Range<Int>]]) {
        guard let prompt = spec.image?.prompt else { return (ids, []) }
        let mismatch = PromptError.placeholderToken(placeholder: prompt.tokenText, token: prompt.token)
        let kinds = Set(runs.map(\.token) + [prompt.token])
        var whole: [Int32] = []
        whole.reserveCapacity(ids.count + runs.reduce(0) { $0 + $1.counts.reduce(0, +) })
        var spans: [[Range<Int>]] = runs.map { _ in [] }
        var (image, run) = (0, 0)
        for id in ids {
            guard kinds.contains(id) else {
                whole.append(id)
                continue
            }
            while image < runs.count, run == runs[image].counts.count { (image, run) = (image + 1, 0) }
            guard image < runs.count, runs[image].token == id else { throw mismatch }
            let count = runs[image].counts[run]
            spans[image].append(whole.count..<whole.count + count)
            whole += repeatElement(id, count: count)
            run += 1
        }
        guard zip(spans, runs).allSatisfy({ $0.count == $1.counts.count }) else { throw mismatch }
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
