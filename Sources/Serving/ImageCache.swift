/// Embeddings of one image: f32[rows, hidden size].
package final class Embeddings: Sendable {
    package let values: [Float]

    package init(_ values: [Float]) { self.values = values }

    package var byteCount: Int { values.count * MemoryLayout<Float>.stride }
}

/// Embeddings by the digest of what they were made from, the least recently used dropped first.
package struct ImageCache {
    private struct Entry {
        var embeddings: Embeddings
        var lastUse: Int
    }
    private let capacityBytes: Int
    private var entries: [ContentDigest: Entry] = [:]
    private var uses = 0
    package private(set) var byteCount = 0
    package private(set) var queries = 0
    package private(set) var hits = 0

    /// - Parameter capacityBytes: most bytes of embeddings kept; 0 keeps none.
    package init(capacityBytes: Int) { self.capacityBytes = capacityBytes }

    /// The embeddings of an image seen before.
    package mutating func find(_ digest: ContentDigest) -> Embeddings? {
        queries += 1
        guard let entry = entries[digest] else { return nil }
        hits += 1
        uses += 1
        entries[digest]?.lastUse = uses
        return entry.embeddings
    }

    package mutating func insert(_ embeddings: Embeddings, for digest: ContentDigest) {
        guard embeddings.byteCount <= capacityBytes, entries[digest] == nil else { return }
        while byteCount + embeddings.byteCount > capacityBytes {
            guard let oldest = entries.min(by: { $0.value.lastUse < $1.value.lastUse }) else { break }
            byteCount -= oldest.value.embeddings.byteCount
            entries[oldest.key] = nil
        }
        uses += 1
        entries[digest] = Entry(embeddings: embeddings, lastUse: uses)
        byteCount += embeddings.byteCount
    }
}
