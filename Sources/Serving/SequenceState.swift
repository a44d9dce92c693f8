package import Plan

/// What the scheduler knows of one sequence: how many tokens there are, and for how many the cache holds K and V.
package struct SequenceState: Sendable {
    /// Rising in order of arrival.
    package let id: Int
    /// Prompt and generated tokens.
    package private(set) var tokens: [Int32]
    package let promptCount: Int
    package var pictures: [PictureTokens]
    /// Tokens whose K and V are in the cache.
    package var computed = 0
    /// Cache blocks in order.
    package var blocks: [Int32] = []
    /// Full blocks that the pool has been told about.
    package var publishedBlocks = 0
    /// Prompt tokens found in the cache when the sequence first ran; nil before.
    package var cachedTokens: Int?

    private let salt: String
    private var digests: [ContentDigest] = []

    package init(id: Int, prompt: [Int32], pictures: [PictureTokens] = [], salt: String = "") {
        self.id = id
        tokens = prompt
        promptCount = prompt.count
        self.pictures = pictures
        self.salt = salt
    }

    package var known: Int { tokens.count }
    package var pending: Int { tokens.count - computed }
    package var generated: Int { tokens.count - promptCount }

    package mutating func append(_ token: Int32) { tokens.append(token) }

    /// Digest of the `index`-th full block and everything before it: tokens, pictures and salt.
    package mutating func digest(ofBlock index: Int, size: Int) -> ContentDigest {
        while digests.count <= index {
            let range = digests.count * size..<(digests.count + 1) * size
            let parent = digests.last
            let next = ContentDigest { hasher in
                if let parent { hasher.update(parent) } else { hasher.update(salt) }
                hasher.update(tokens[range])
                for picture in pictures {
                    for part in picture.tokens.parts(in: range) {
                        hasher.update(part.tokens.lowerBound - range.lowerBound)
                        hasher.update(part.tokens.count)
                        hasher.update(part.first)
                        hasher.update(picture.digest)
                    }
                }
            }
            digests.append(next)
        }
        return digests[index]
    }

    /// Whether each picture under `range` has its embeddings at hand.
    package func hasEmbeddings(for range: Range<Int>) -> Bool {
        pictures.allSatisfy { $0.isReady || !$0.tokens.overlaps(range) }
    }

    package func isImageToken(_ position: Int) -> Bool {
        pictures.contains { $0.tokens.contains(position) }
    }
}

/// A picture's place in a prompt.
package struct PictureTokens: Sendable {
    /// The tokens that stand for the picture.
    package var tokens: TokenRanges
    /// Digest of pixels, size, processor and model.
    package var digest: ContentDigest
    /// Whether the embeddings are at hand.
    package var isReady = false

    package init(tokens: TokenRanges, digest: ContentDigest) {
        self.tokens = tokens
        self.digest = digest
    }
}
