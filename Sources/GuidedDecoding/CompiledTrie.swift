extension TokenTrie {
    /// The tree in a flat form that is read without building it: little-endian numbers of 32 bits and bytes.
    ///
    /// The signature; how many tokens, nodes and bytes of texts there are; by token the end of its text and its twin; by node `nexts`, `tokens`,
    /// `bytes`, `depths` and `plains`; the texts.
    package var compiled: [UInt8] {
        var result = Self.signature
        result.reserveCapacity(Self.length(vocabularySize, bytes.count, texts.count))
        func write(_ numbers: some Sequence<Int32>) {
            for number in numbers { withUnsafeBytes(of: number.littleEndian) { result += $0 } }
        }
        write([vocabularySize, bytes.count, texts.count].map { Int32($0) })
        write(textStarts.dropFirst())
        for numbers in [twins, nexts, tokens] { write(numbers) }
        return result + bytes + depths + plains + texts
    }

    private static let signature = Array("vlm token trie 1\n\0\0\0".utf8)

    private static func length(_ vocabularySize: Int, _ nodes: Int, _ texts: Int) -> Int {
        signature.count + 3 * 4 + 2 * 4 * vocabularySize + (2 * 4 + 3) * nodes + texts
    }

    /// Reads what `compiled` wrote of a vocabulary of this size; nil for anything in which a walk could go astray.
    package init?(compiled: [UInt8], vocabularySize: Int) {
        guard compiled.starts(with: Self.signature) else { return nil }
        var reader = FlatNumbers(bytes: compiled[Self.signature.count...])
        guard let counts = reader.numbers(3), counts[0] == vocabularySize, counts.allSatisfy({ $0 >= 0 }) else { return nil }
        let (nodes, texts) = (Int(counts[1]), Int(counts[2]))
        guard compiled.count == Self.length(vocabularySize, nodes, texts) else { return nil }
        guard let ends = reader.numbers(vocabularySize), let twins = reader.numbers(vocabularySize), let nexts = reader.numbers(nodes),
            let tokens = reader.numbers(nodes), let bytes = reader.take(nodes), let depths = reader.take(nodes), let plains = reader.take(nodes),
            let texts = reader.take(texts)
        else { return nil }
        self.init(
            vocabularySize: vocabularySize, texts: texts, textStarts: [0] + ends, bytes: bytes, depths: depths, nexts: nexts, tokens: tokens,
            plains: plains, twins: twins)
        guard isSound else { return nil }
    }

    /// Whether the nodes are a tree of just the tokens' texts.
    private var isSound: Bool {
        guard textStarts.last.map({ Int($0) }) == texts.count, order.count == zip(textStarts, textStarts.dropFirst()).count(where: { $0 < $1 })
        else { return false }
        for (start, end) in zip(textStarts, textStarts.dropFirst()) where !(0...Int32(Self.maxBytes) ~= end &- start) { return false }
        for numbers in [tokens, twins] where !numbers.allSatisfy({ (-1..<Int32(vocabularySize)).contains($0) }) { return false }
        var (path, ends): ([UInt8], [Int32]) = ([], [Int32(bytes.count)])
        for node in bytes.indices {
            while let end = ends.last, end == node {
                ends.removeLast()
                guard path.popLast() != nil else { return false }
            }
            guard let end = ends.last, nexts[node] > node, nexts[node] <= end, path.count < Self.maxBytes else { return false }
            path.append(bytes[node])
            ends.append(nexts[node])
            guard Int(depths[node]) == path.count else { return false }
            for token in order[Int(orderStarts[node])..<Int(orderStarts[node + 1])] where text(of: token) != path[...] { return false }
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
