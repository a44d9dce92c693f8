/// The ids of words seen before: a bounded table that starts afresh when it is full.
struct WordCache: Sendable {
    private struct Entry: Sendable {
        var hash = 0
        var word: Range<Int> = 0..<0
        var ids: Range<Int> = 0..<0
    }

    private static let slotCount = 1 << 14
    private static let probeLimit = 8
    private static let wordBytesLimit = 64
    private static let storageLimit = 1 << 18

    private var entries: [Entry] = []
    private var words: [UInt8] = []
    private var ids: [Int32] = []

    /// Appends the ids of the word to `output`, or returns false when it is not known.
    func append(idsOf word: ArraySlice<UInt8>, to output: inout [Int32]) -> Bool {
        guard !entries.isEmpty, word.count <= Self.wordBytesLimit else { return false }
        let hash = word.withUnsafeBufferPointer { Vocabulary.hash($0) }
        for probe in 0..<Self.probeLimit {
            let entry = entries[(hash + probe) & (Self.slotCount - 1)]
            if entry.word.isEmpty { return false }
            if entry.hash == hash, words[entry.word].elementsEqual(word) {
                output += ids[entry.ids]
                return true
            }
        }
        return false
    }

    /// Remembers the ids of a word; a word that is long or finds no place is not remembered.
    mutating func insert(_ word: ArraySlice<UInt8>, ids newIDs: ArraySlice<Int32>) {
        guard !word.isEmpty, word.count <= Self.wordBytesLimit else { return }
        if entries.isEmpty || words.count > Self.storageLimit { reset() }
        let hash = word.withUnsafeBufferPointer { Vocabulary.hash($0) }
        for probe in 0..<Self.probeLimit {
            let slot = (hash + probe) & (Self.slotCount - 1)
            guard entries[slot].word.isEmpty else { continue }
            entries[slot] = Entry(
                hash: hash, word: words.count..<words.count + word.count, ids: ids.count..<ids.count + newIDs.count)
            words += word
            ids += newIDs
            return
        }
    }

    private mutating func reset() {
        entries = [Entry](repeating: Entry(), count: Self.slotCount)
        words.removeAll(keepingCapacity: true)
        ids.removeAll(keepingCapacity: true)
    }
}
