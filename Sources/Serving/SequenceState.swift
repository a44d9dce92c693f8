package import Plan

/// What the scheduler knows of one sequence: how many tokens there are, and for how many the cache holds K and V.
package struct SequenceState: Sendable {
    /// Rising in order of arrival.
    package private(set) var id: Int
    /// The smaller, the more urgent; the same for all sequences of one prompt.
    package let priority: Int
    /// The same for all sequences of one prompt; nil for a sequence alone.
    package let group: Int?
    /// How many sequences may fork from one, itself included: they run all at once or not at all. 1 where none does.
    package let seats: Int
    /// Prompt and generated tokens.
    package private(set) var tokens: [Int32]
    package let promptCount: Int
    /// Most tokens that prompt and output have together; what grows with the tokens takes its memory before the first step.
    package let longest: Int
    package var images: [ImageTokens]
    /// Ranges of the prompt inside which all tokens see each other where masks have spans; ascending and disjoint.
    package let spans: [Range<Int>]
    /// Tokens whose K and V are in the cache.
    package var computed = 0
    /// Cache blocks in order.
    package var blocks: [Int32] = []
    /// Where the sequence's recurrent states are kept while it runs; −1 else.
    package var stateSlot: Int32 = -1
    /// Full blocks that the pool has been told about.
    package var publishedBlocks = 0
    /// Whether the blocks that it begins with have been looked for where they are stored.
    package var lookup = Lookup.due
    /// Whether the logits of all tokens of the prompt are wanted, not only those behind which the output begins.
    package let readsPrompt: Bool
    /// Whether the hidden state of the prompt's last token is wanted, which `extend` alone gives.
    package let readsHidden: Bool
    /// Whether tokens may be guessed ahead.
    package let mayGuess: Bool
    /// The tokens behind the known ones that the batch at hand computes as well.
    private var ahead: PromptLookup.Guess?
    /// Those that a draft model has guessed, from a place on; empty where they are looked up.
    private var drafted: (tokens: [Int32], start: Int) = ([], 0)
    /// How many there were of them at first, and what they cost.
    private var draft = (count: 0, cost: 0.0)
    package var guesses = GuessHistory()
    /// Tokens of the prompt whose logits have been read; they are not read again.
    private var read = 0
    /// Since when its next tokens can be computed as part of a prompt, by the scheduler's pace; nil where they wait, for an image or otherwise.
    package var readableSince: Double?
    /// Prompt tokens found in the cache when the sequence first ran; nil before.
    package var cachedTokens: Int?

    /// Which axis positions stand on, where lengths tell.
    private let lengths: LengthAxes?
    private let salt: String
    /// Tokens of all images, in order; kept only where tokens are guessed.
    private let pictures: [Range<Int>]
    private let pictureCount: Int
    package let adapter: ChosenAdapter?
    /// The least gear of each decode step, again from the first one after the last; empty for any.
    private let gears: [Int]
    private var digests: [ContentDigest] = []

    package init(
        id: Int, group: Int? = nil, seats: Int = 1, prompt: [Int32], longest: Int = 0, images: [ImageTokens] = [], spans: [Range<Int>] = [], lengths: LengthAxes? = nil,
        salt: String = "", adapter: ChosenAdapter? = nil, gears: [Int] = [], readsPrompt: Bool = false, readsHidden: Bool = false,
        mayGuess: Bool = false, priority: Int = 0
    ) {
        self.priority = priority
        self.mayGuess = mayGuess
        pictures = mayGuess ? images.flatMap(\.tokens.ranges).sorted { $0.lowerBound < $1.lowerBound } : []
        pictureCount = pictures.reduce(0) { $0 + $1.count }
        self.readsHidden = readsHidden
        self.readsPrompt = readsPrompt
        precondition(seats == 1 || seats > 1 && group != nil, "what forks is a group")
        self.id = id
        self.group = group
        self.seats = seats
        self.lengths = lengths
        self.gears = gears
        self.spans = spans
        tokens = prompt
        promptCount = prompt.count
        self.longest = max(longest, prompt.count)
        self.images = images
        self.salt = salt
        self.adapter = adapter
    }

    /// Takes the memory for all tokens that there will be and for the blocks under them.
    ///
    /// - Parameter drafts: most tokens that a draft model guesses at once.
    package mutating func reserve(blocks count: Int, drafts: Int = 0) {
        if mayGuess, drafts > 0 { drafted.tokens.reserveCapacity(drafts) }
        tokens.reserveCapacity(longest)
        blocks.reserveCapacity(count)
        digests.reserveCapacity(count)
    }

    /// The same tokens under another id, in the first `count` blocks and with no place for states.
    package func forked(as id: Int, blocks count: Int) -> SequenceState {
        var child = self
        (child.id, child.stateSlot) = (id, -1)
        child.blocks = Array(blocks.prefix(count))
        child.publishedBlocks = min(publishedBlocks, count)
        return child
    }

    /// Whether it goes first: the more urgent, then the older.
    package func precedes(_ other: SequenceState) -> Bool { (priority, id) < (other.priority, other.id) }

    package var known: Int { tokens.count }
    package var pending: Int { tokens.count - computed }
    package var generated: Int { tokens.count - promptCount }

    /// The least gear that decodes the last generated token.
    package var leastGear: Int { gears.isEmpty ? 1 : gears[max(generated - 1, 0) % gears.count] }

    /// The one axis that positions stand on; nil where they stand on all.
    package var positionAxis: Int? { lengths?.axis(prompt: promptCount, known: known) }

    package enum Lookup: Sendable {
        case due
        /// They are read; the sequence does not run before.
        case awaited
        case done
    }

    /// What becomes of a sequence with a token more.
    package enum Growth: Sendable, Equatable {
        case pending
        /// The token had been guessed: it is computed, and the logits behind it are at hand.
        case computed
        /// The sequence has outgrown its axis: nothing of it is computed.
        case anew
    }

    package mutating func append(_ token: Int32) -> Growth {
        let axis = positionAxis
        let isGuessed = ahead != nil && token == self.token(at: known)
        tokens.append(token)
        if positionAxis != axis {
            (computed, publishedBlocks, ahead) = (0, 0, nil)
            digests.removeAll(keepingCapacity: true)
            return .anew
        }
        guard isGuessed else {
            if ahead != nil { guesses.note(accepted: draft.count - guessed, of: draft.count, cost: draft.cost) }
            ahead = nil
            return .pending
        }
        computed += 1
        expect(guessed - 1)
        if ahead == nil { guesses.note(accepted: draft.count, of: draft.count, cost: draft.cost) }
        return .computed
    }

    /// How many tokens behind the known ones the batch at hand computes.
    package var guessed: Int { ahead?.count ?? 0 }

    /// A known token, or a guessed one.
    package func token(at place: Int) -> Int32 {
        guard place >= known, let ahead else { return tokens[place] }
        guard drafted.tokens.isEmpty else { return drafted.tokens[place - drafted.start] }
        return tokens[known - ahead.distance + (place - known) % ahead.distance]
    }

    /// How many of up to `most` tokens may be guessed: none that would be the last, behind which nothing is chosen, and none on another axis.
    package func guessable(_ most: Int) -> Int {
        var count = max(min(most, longest - known - 1), 0)
        while count > 0, lengths?.axis(prompt: promptCount, known: known + count) != positionAxis { count -= 1 }
        return count
    }

    /// Guesses up to `most` tokens.
    package mutating func guess(by lookup: PromptLookup, most: Int) {
        let room = guessable(most)
        guard room > 0 else { return }
        ahead = lookup.guess(behind: tokens, outside: pictures)
        expect(min(guessed, room))
    }

    /// Expects so many tokens of a draft model, which are not there yet.
    package mutating func expectDraft(_ count: Int) {
        drafted.tokens.removeAll(keepingCapacity: true)
        drafted.start = known
        ahead = count > 0 ? PromptLookup.Guess(count: count, distance: 1) : nil
    }

    /// Takes what the draft model has guessed, at most as many tokens as are expected.
    package mutating func takeDraft(_ tokens: UnsafeBufferPointer<Int32>) {
        precondition(tokens.count <= guessed, "more than was asked for")
        for token in tokens { drafted.tokens.append(token) }
        expect(tokens.count)
    }

    /// Tokens of prompt and output that stand for text.
    package var textCount: Int { known - pictureCount }

    /// Where the `number`-th token of the text stands.
    package func textPlace(_ number: Int) -> Int {
        var before = 0
        for picture in pictures {
            if number + before < picture.lowerBound { break }
            before += picture.count
        }
        return number + before
    }

    /// Lets the tokens be computed.
    ///
    /// - Parameter cost: as `GuessHistory` counts it.
    package mutating func beginDraft(cost: Double) { draft = (guessed, cost) }

    /// Takes the guess back but for the first `count` tokens.
    package mutating func expect(_ count: Int) {
        if count > 0 { ahead?.count = count } else { ahead = nil }
    }

    /// Whether the prompt is one span: tokens behind it see less than its own do in `extend`, so that `decode` alone computes them.
    package var isPromptSpan: Bool { spans.count == 1 && spans[0] == 0..<promptCount }

    /// Whether the next token is one for `decode`.
    package var isDecoding: Bool { isPromptSpan ? computed >= promptCount : pending == 1 }

    /// The last position that a token sees: its own, or the end of its span.
    package func reach(of position: Int) -> Int { span(at: position).map { $0.upperBound - 1 } ?? position }

    private func span(at position: Int) -> Range<Int>? { spans.first { $0.contains(position) } }

    /// Whether logits of the prompt are still to be read.
    package var isReading: Bool { readsPrompt && read < promptCount }

    /// Takes note that logits of the tokens before `end` have been read.
    package mutating func noteRead(to end: Int) {
        if isReading { read = max(read, min(end, promptCount)) }
    }

    /// Of a range of tokens to compute, those whose logits are wanted now: of a prompt that is read, the next `most`; else the last one
    /// where the output goes on behind it.
    package func logits(of range: Range<Int>, reachesEnd: Bool, most: Int) -> Range<Int> {
        guard isReading else { return range.upperBound - (reachesEnd ? 1 : 0)..<range.upperBound }
        let first = min(max(range.lowerBound, read), range.upperBound)
        return first..<min(range.upperBound, first + most)
    }

    /// How many of the next tokens a batch with room for `budget` tokens and, where the prompt is read, for so many rows of logits computes:
    /// none behind the first that waits for an image, and a batch never ends inside a span, whose tokens see its end. 0 where the next span needs
    /// more room for tokens; where it needs more for logits it is computed several times.
    package func chunk(budget: Int, logits: Int) -> Int {
        let chunkMax = isReading ? max(read - computed, 0) + logits : Int.max
        let most = min(ready, !isPromptSpan ? pending : isDecoding ? 1 : promptCount - computed)
        let small = whole(min(most, budget, chunkMax))
        return small > 0 ? small : whole(min(most, budget))
    }

    /// How many of the next tokens come before one that waits for an image.
    private var ready: Int {
        var end = known
        for image in images where !image.isReady {
            for range in image.tokens.ranges where range.upperBound > computed { end = min(end, range.lowerBound) }
        }
        return max(end - computed, 0)
    }

    /// Fewest of the next tokens that a batch computes: those of a span come together.
    package var leastChunk: Int { span(at: computed).map { $0.upperBound - computed } ?? 1 }

    /// At most `count` of the next tokens, whose last is not inside a span.
    private func whole(_ count: Int) -> Int {
        guard count > 0, let cut = span(at: computed + count), cut.lowerBound < computed + count else { return count }
        return max(0, cut.lowerBound - computed)
    }

    /// The digest of a full block where it has been asked for before.
    package func knownDigest(ofBlock index: Int) -> ContentDigest? { index < digests.count ? digests[index] : nil }

    /// Digest of the `index`-th full block and everything before it: tokens, images, adapter and salt, and what lies behind the block in
    /// a span that crosses its end, which the block's tokens see.
    package mutating func digest(ofBlock index: Int, size: Int) -> ContentDigest {
        while digests.count <= index {
            let range = digests.count * size..<(digests.count + 1) * size
            let parent = digests.last
            let crossing = spans.filter { $0.overlaps(range) }
            let seen = range.lowerBound..<max(range.upperBound, crossing.last?.upperBound ?? 0)
            let next = ContentDigest { hasher in
                if let parent {
                    hasher.update(parent)
                } else {
                    hasher.update(salt)
                    hasher.update(adapter == nil ? 0 : 1)
                    if let adapter { hasher.update(adapter.digest) }
                    if let positionAxis { hasher.update(positionAxis) }
                }
                hasher.update(tokens[seen])
                for span in crossing {
                    hasher.update(span.lowerBound - range.lowerBound)
                    hasher.update(span.upperBound - range.lowerBound)
                }
                for image in images {
                    for part in image.tokens.parts(in: seen) {
                        hasher.update(part.tokens.lowerBound - range.lowerBound)
                        hasher.update(part.tokens.count)
                        hasher.update(part.first)
                        hasher.update(image.digest)
                    }
                }
            }
            digests.append(next)
        }
        return digests[index]
    }

    /// Whether an image is still to be encoded.
    package var waitsForImages: Bool { images.contains { !$0.isReady && $0.tokens.upperBound > computed } }

    /// Those that are still to be encoded.
    package var missingImages: [Int] { images.indices.filter { !images[$0].isReady && images[$0].tokens.upperBound > computed } }

    package func isImageToken(_ position: Int) -> Bool {
        images.contains { $0.tokens.contains(position) }
    }
}

/// An image's place in a prompt.
package struct ImageTokens: Sendable {
    /// The tokens that stand for the image.
    package var tokens: TokenRanges
    /// Digest of pixels, size, processor and model.
    package var digest: ContentDigest
    /// Whether the embeddings are at hand.
    package var isReady = false

    package init(tokens: TokenRanges, digest: ContentDigest, isReady: Bool = false) {
        self.isReady = isReady
        self.tokens = tokens
        self.digest = digest
    }
}
