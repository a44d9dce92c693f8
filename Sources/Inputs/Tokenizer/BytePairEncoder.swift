internal import Texts

/// Byte-pair encoding over fixed tables: the symbols of a word are joined pair by pair in the order of the merges' ranks.
///
/// Follows HuggingFace's `BPE` model; ties go to the leftmost pair.
struct BytePairEncoder: Sendable {
    let model: BytePairModel
    private let vocabulary: Vocabulary
    /// The model's atoms; nil where it has none.
    private let atoms: ByteTrie?
    /// Open addressing by pair of ids; an empty slot has the key `UInt64.max`.
    private var keys: [UInt64] = []
    private var entries: [Entry] = []
    private var mask = 0
    /// The id of each byte's character in the byte alphabet, or -1.
    private let byteIDs: [Int32]
    /// The id of `<0xNN>` for each byte, or -1.
    private let fallbackIDs: [Int32]

    struct Entry: Sendable {
        var rank: UInt32 = 0
        var result: Int32 = 0
    }

    init(_ model: BytePairModel, _ vocabulary: Vocabulary) {
        self.model = model
        self.vocabulary = vocabulary
        byteIDs = ByteAlphabet.spellings.map { vocabulary.id($0) ?? -1 }
        fallbackIDs = vocabulary.fallbackIDs
        atoms = model.atoms.isEmpty ? nil : ByteTrie(model.atoms.map { (vocabulary.text($0) ?? [], $0) })
        var capacity = 16
        while capacity * 2 < model.merges.count * 3 { capacity *= 2 }
        mask = capacity - 1
        keys = [UInt64](repeating: .max, count: capacity)
        entries = [Entry](repeating: Entry(), count: capacity)
        for (rank, merge) in model.merges.enumerated() {
            let slot = slot(of: Self.key(merge.left, merge.right))
            keys[slot] = Self.key(merge.left, merge.right)
            let rank = model.ranks.isEmpty ? UInt32(rank) : UInt32(bitPattern: model.ranks[rank])
            entries[slot] = Entry(rank: rank, result: merge.result)
        }
    }

    private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }

    /// The slot that holds the key, or the empty one where it belongs.
    private func slot(of key: UInt64) -> Int {
        var hash = key &* 0x9E37_79B9_7F4A_7C15
        hash ^= hash >> 29
        var slot = Int(truncatingIfNeeded: hash) & mask
        while keys[slot] != key, keys[slot] != .max { slot = (slot + 1) & mask }
        return slot
    }

    private func merge(_ left: Int32, _ right: Int32) -> Entry? {
        let key = Self.key(left, right)
        let slot = slot(of: key)
        return keys[slot] == key ? entries[slot] : nil
    }

    /// What a symbol costs until it is merged, in units of the budget.
    private static let unitsPerSymbol = 100

    /// Appends the ids of one word to `output`; charges `work`, and throws when that does.
    func encode(
        _ word: ArraySlice<UInt8>, isByteLevel: Bool, _ work: TokenizationWork, with scratch: inout Scratch, into output: inout [Int32]
    ) throws(TokenizationError) {
        if model.ignoresMerges {
            let spelling = isByteLevel ? ByteAlphabet.spelled(word)[...] : word
            if let id = vocabulary.id(spelling) { return output.append(id) }
        }
        scratch.symbols.removeAll(keepingCapacity: true)
        if isByteLevel, model.continuingPrefix.isEmpty, model.endOfWordSuffix.isEmpty,
            word.allSatisfy({ byteIDs[Int($0)] >= 0 })
        {
            for byte in word { scratch.append(byteIDs[Int(byte)]) }
        } else {
            try appendSymbols(of: isByteLevel ? ByteAlphabet.spelled(word)[...] : word, to: &scratch, work)
        }
        try mergeSymbols(&scratch, work)
        for symbol in scratch.symbols where symbol.id >= 0 { output.append(symbol.id) }
        if scratch.symbols.capacity > Self.keptSymbols { scratch = Scratch() }
    }

    /// Scratch memory for words up to this is kept for the next; a longer word's would stay for nothing.
    private static let keptSymbols = 1 << 12

    private func appendSymbols(
        of word: ArraySlice<UInt8>, to scratch: inout Scratch, _ work: TokenizationWork
    ) throws(TokenizationError) {
        var pendingUnknown: Int32?
        var scalars = ScalarReader(slice: word)
        var start = word.startIndex
        while start < word.endIndex {
            if let (id, end) = try atoms?.longest(in: word[start...], work) {
                if let unknown = pendingUnknown { scratch.append(unknown) }
                pendingUnknown = nil
                scratch.append(id)
                start = end
                scalars = ScalarReader(slice: word[end...])
                continue
            }
            guard scalars.next() != nil else { break }
            try work.charge(Self.unitsPerSymbol + model.continuingPrefix.count)
            let end = scalars.position
            var spelling = start == word.startIndex ? [] : model.continuingPrefix
            spelling += word[start..<end]
            if end == word.endIndex { spelling += model.endOfWordSuffix }
            start = end
            if let id = spelling.withUnsafeBufferPointer({ vocabulary.id($0) }) {
                if let unknown = pendingUnknown { scratch.append(unknown) }
                pendingUnknown = nil
                scratch.append(id)
            } else if model.fallsBackToBytes, spelling.allSatisfy({ fallbackIDs[Int($0)] >= 0 }) {
                for byte in spelling { scratch.append(fallbackIDs[Int(byte)]) }
            } else if let unknown = model.unknown {
                if let pending = pendingUnknown, !model.fusesUnknown { scratch.append(pending) }
                pendingUnknown = unknown
            }
        }
        if let unknown = pendingUnknown { scratch.append(unknown) }
    }

    private func mergeSymbols(_ scratch: inout Scratch, _ work: TokenizationWork) throws(TokenizationError) {
        let count = scratch.symbols.count
        guard count > 1 else { return }
        scratch.heap.removeAll(keepingCapacity: true)
        for position in 0..<count - 1 { propose(position, position + 1, &scratch) }
        while let candidate = scratch.popCandidate() {
            try work.charge(Self.unitsPerSymbol)
            let left = candidate.position
            let symbol = scratch.symbols[left]
            guard symbol.id >= 0, symbol.next < count else { continue }
            let right = Int(symbol.next)
            guard let entry = merge(symbol.id, scratch.symbols[right].id), entry.result == candidate.result else { continue }
            let after = scratch.symbols[right].next
            scratch.symbols[left].id = candidate.result
            scratch.symbols[left].next = after
            scratch.symbols[right].id = -1
            if after < count { scratch.symbols[Int(after)].previous = Int32(left) }
            if symbol.previous >= 0 { propose(Int(symbol.previous), left, &scratch) }
            if after < count { propose(left, Int(after), &scratch) }
        }
    }

    private func propose(_ left: Int, _ right: Int, _ scratch: inout Scratch) {
        guard let entry = merge(scratch.symbols[left].id, scratch.symbols[right].id) else { return }
        scratch.pushCandidate(Scratch.Candidate(rank: entry.rank, position: left, result: entry.result))
    }
}

extension BytePairEncoder {
    /// Memory that one word after another is encoded in.
    struct Scratch: Sendable {
        /// A live symbol has an id of zero or more; the links are positions in `symbols`.
        struct Symbol: Sendable {
            var id: Int32
            var previous: Int32
            var next: Int32
        }

        struct Candidate: Sendable {
            /// Rank, then position: the order in which candidates are taken.
            var order: UInt64
            var result: Int32

            init(rank: UInt32, position: Int, result: Int32) {
                order = UInt64(rank) << 32 | UInt64(UInt32(truncatingIfNeeded: position))
                self.result = result
            }

            var position: Int { Int(order & 0xFFFF_FFFF) }
        }

        var symbols: [Symbol] = []
        /// A binary heap, the least candidate first.
        var heap: [Candidate] = []

        mutating func append(_ id: Int32) {
            let position = Int32(symbols.count)
            symbols.append(Symbol(id: id, previous: position - 1, next: position + 1))
        }

        mutating func pushCandidate(_ candidate: Candidate) {
            heap.append(candidate)
            var child = heap.count - 1
            while child > 0 {
                let parent = (child - 1) / 2
                guard heap[child].order < heap[parent].order else { break }
                heap.swapAt(child, parent)
                child = parent
            }
        }

        mutating func popCandidate() -> Candidate? {
            guard let least = heap.first, let last = heap.popLast() else { return nil }
            if heap.isEmpty { return least }
            heap[0] = last
            var parent = 0
            while true {
                var child = parent * 2 + 1
                guard child < heap.count else { break }
                if child + 1 < heap.count, heap[child + 1].order < heap[child].order { child += 1 }
                guard heap[child].order < heap[parent].order else { break }
                heap.swapAt(child, parent)
                parent = child
            }
            return least
        }
    }
}
