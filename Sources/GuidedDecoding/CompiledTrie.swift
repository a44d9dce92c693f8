extension TokenTrie {
    /// The texts in a flat form of which the trees are made without sorting: little-endian numbers of 32 bits and bytes.
    ///
    /// The signature; how many tokens, tokens with texts and bytes of texts there are; by token the end of its text; `order`; the texts.
    package var compiled: [UInt8] {
        var result = Self.signature
        result.reserveCapacity(Self.length(vocabularySize, order.count, texts.count))
        func write(_ numbers: some Sequence<Int32>) {
            for number in numbers { withUnsafeBytes(of: number.littleEndian) { result += $0 } }
        }
        write([vocabularySize, order.count, texts.count].map { Int32($0) })
        write(textStarts.dropFirst())
        write(order)
        return result + texts
    }

    private static let signature = Array("vlm token trie 2\n\0\0\0".utf8)

    private static func length(_ vocabularySize: Int, _ tokens: Int, _ texts: Int) -> Int {
        signature.count + 3 * 4 + 4 * vocabularySize + 4 * tokens + texts
    }

    /// Reads what `compiled` wrote of a vocabulary of this size; nil for anything that is no list of texts in order.
    package init?(compiled: [UInt8], vocabularySize: Int) {
        guard compiled.starts(with: Self.signature) else { return nil }
        var reader = FlatNumbers(bytes: compiled[Self.signature.count...])
        guard let counts = reader.numbers(3), counts[0] == vocabularySize, counts.allSatisfy({ $0 >= 0 }) else { return nil }
        guard compiled.count == Self.length(vocabularySize, Int(counts[1]), Int(counts[2])) else { return nil }
        guard let ends = reader.numbers(vocabularySize), let order = reader.numbers(Int(counts[1])), let texts = reader.take(Int(counts[2])),
            Self.isSound(texts, [0] + ends, order)
        else { return nil }
        self.init(vocabularySize: vocabularySize, texts: texts, textStarts: [0] + ends, order: order)
    }

    /// Whether the order is that of all texts that are not empty.
    private static func isSound(_ texts: [UInt8], _ starts: [Int32], _ order: [Int32]) -> Bool {
        guard starts.last.map({ Int($0) }) == texts.count else { return false }
        var (count, isThere) = (0, [Bool](repeating: false, count: starts.count - 1))
        for (start, end) in zip(starts, starts.dropFirst()) {
            guard 0...Int32(maxBytes) ~= end &- start else { return false }
            if start < end { count += 1 }
        }
        guard count == order.count else { return false }
        var last: ArraySlice<UInt8> = []
        for token in order {
            guard isThere.indices.contains(Int(token)), !isThere[Int(token)] else { return false }
            isThere[Int(token)] = true
            let text = texts[Int(starts[Int(token)])..<Int(starts[Int(token) + 1])]
            guard !text.isEmpty, !text.lexicographicallyPrecedes(last) else { return false }
            last = text
        }
        return true
    }
}

/// Little-endian numbers, one after the other.
private struct FlatNumbers {
    var bytes: ArraySlice<UInt8>

    mutating func take(_ count: Int) -> [UInt8]? {
        guard count >= 0, count <= bytes.count else { return nil }
        defer { bytes.removeFirst(count) }
        return Array(bytes.prefix(count))
    }

    mutating func numbers(_ count: Int) -> [Int32]? {
        guard count >= 0, count <= bytes.count / 4 else { return nil }
        let numbers = bytes.withUnsafeBytes { raw in
            (0..<count).map { Int32(littleEndian: raw.loadUnaligned(fromByteOffset: 4 * $0, as: Int32.self)) }
        }
        bytes.removeFirst(4 * count)
        return numbers
    }
}
