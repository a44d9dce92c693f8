/// The texts of a vocabulary's tokens as a tree of bytes, its nodes in the order in which a walk meets them.
package struct TokenTrie: Sendable {
    /// Longest token that a guided text is made of, in bytes: what a longer one spells shorter ones spell as well.
    package static let maxBytes = 48

    let vocabularySize: Int
    /// By node.
    let bytes: [UInt8]
    /// Bytes from the root to the node, its own included.
    let depths: [UInt8]
    /// The first node behind all that lie below.
    let nexts: [Int32]
    /// A token whose text ends at the node; −1 for none.
    let tokens: [Int32]
    /// Most characters of what the texts below the node go on with, where that is whole plain characters alone; `notPlain` else.
    let plains: [UInt8]
    /// The tokens in the order of their nodes; those of node `n` and below are `order[orderStarts[n]..<orderStarts[nexts[n]]]`.
    let order: [Int32]
    let orderStarts: [Int32]
    /// By token: another one with the same text; −1 for none.
    let twins: [Int32]
    /// By token.
    let texts: [UInt8]
    let textStarts: [Int32]

    /// - Parameter text: the bytes of a token; nil or empty for one that spells no text, such as a special token.
    package init(vocabularySize: Int, text: (Int32) -> [UInt8]?) {
        var (texts, textStarts): ([UInt8], [Int32]) = ([], [0])
        var order: [Int32] = []
        textStarts.reserveCapacity(vocabularySize + 1)
        for token in 0..<Int32(vocabularySize) {
            let bytes = text(token) ?? []
            if !bytes.isEmpty, bytes.count <= Self.maxBytes {
                texts += bytes
                order.append(token)
            }
            textStarts.append(Int32(texts.count))
        }
        func slice(_ token: Int32) -> ArraySlice<UInt8> { texts[Int(textStarts[Int(token)])..<Int(textStarts[Int(token) + 1])] }
        /// The first bytes of a text and how many of these there are: a number that comes before another one where the text does, if they differ.
        func beginning(_ token: Int32) -> UInt64 {
            let text = slice(token).prefix(7)
            let bytes = text.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            return bytes << (8 * UInt64(8 - text.count)) | UInt64(text.count)
        }
        var keys = order.map { (beginning: beginning($0), token: $0) }
        keys.sort { left, right in
            guard left.beginning == right.beginning else { return left.beginning < right.beginning }
            let (first, second) = (slice(left.token).dropFirst(7), slice(right.token).dropFirst(7))
            return first.elementsEqual(second) ? left.token < right.token : first.lexicographicallyPrecedes(second)
        }
        order = keys.map(\.token)
        var tree = Tree(twins: Array(repeating: -1, count: vocabularySize))
        for token in order { tree.add(slice(token), token) }
        tree.close(upTo: 0)
        self.init(
            vocabularySize: vocabularySize, texts: texts, textStarts: textStarts, bytes: tree.bytes, depths: tree.depths, nexts: tree.nexts,
            tokens: tree.tokens, plains: PlainTexts.lengths(tree.bytes, tree.nexts, tree.tokens), twins: tree.twins)
    }

    /// What lists say; a node's tokens end where one is of no vocabulary or there are more than the vocabulary has.
    init(
        vocabularySize: Int, texts: [UInt8], textStarts: [Int32], bytes: [UInt8], depths: [UInt8], nexts: [Int32], tokens: [Int32],
        plains: [UInt8], twins: [Int32]
    ) {
        (self.vocabularySize, self.texts, self.textStarts) = (vocabularySize, texts, textStarts)
        (self.bytes, self.depths, self.nexts, self.tokens, self.plains, self.twins) = (bytes, depths, nexts, tokens, plains, twins)
        var (order, starts): ([Int32], [Int32]) = ([], [])
        order.reserveCapacity(vocabularySize)
        starts.reserveCapacity(tokens.count + 1)
        for first in tokens {
            starts.append(Int32(order.count))
            var token = first
            while twins.indices.contains(Int(token)), order.count <= vocabularySize {
                order.append(token)
                token = twins[Int(token)]
            }
        }
        (self.order, orderStarts) = (order, starts + [Int32(order.count)])
    }

    /// The nodes while texts are added in order.
    private struct Tree {
        var bytes: [UInt8] = []
        var depths: [UInt8] = []
        var nexts: [Int32] = []
        var tokens: [Int32] = []
        var twins: [Int32]
        /// The nodes of the last text.
        private var path: [Int] = []

        init(twins: [Int32]) { self.twins = twins }

        mutating func add(_ text: ArraySlice<UInt8>, _ token: Int32) {
            var shared = 0
            for byte in text {
                guard shared < path.count, bytes[path[shared]] == byte else { break }
                shared += 1
            }
            close(upTo: shared)
            for byte in text.dropFirst(shared) {
                path.append(bytes.count)
                bytes.append(byte)
                depths.append(UInt8(path.count))
                nexts.append(0)
                tokens.append(-1)
            }
            let node = path[path.count - 1]
            // The newest of equal texts leads to the others.
            twins[Int(token)] = tokens[node]
            tokens[node] = token
        }

        mutating func close(upTo depth: Int) {
            while path.count > depth { nexts[path.removeLast()] = Int32(bytes.count) }
        }
    }

    static let notPlain: UInt8 = 255

    /// The bytes of a token; none for one that spells no text.
    func text(of token: Int32) -> ArraySlice<UInt8> {
        guard token >= 0, Int(token) < vocabularySize else { return [] }
        return texts[Int(textStarts[Int(token)])..<Int(textStarts[Int(token) + 1])]
    }

    /// The trie's lists, for a walk that reads very many of their elements.
    struct Nodes {
        var bytes: UnsafeBufferPointer<UInt8>
        var depths: UnsafeBufferPointer<UInt8>
        var nexts: UnsafeBufferPointer<Int32>
        var tokens: UnsafeBufferPointer<Int32>
        var twins: UnsafeBufferPointer<Int32>
        var plains: UnsafeBufferPointer<UInt8>
        var order: UnsafeBufferPointer<Int32>
        var orderStarts: UnsafeBufferPointer<Int32>
    }

    func withNodes(_ body: (Nodes) -> Void) {
        bytes.withUnsafeBufferPointer { bytes in
            depths.withUnsafeBufferPointer { depths in
                nexts.withUnsafeBufferPointer { nexts in
                    tokens.withUnsafeBufferPointer { tokens in
                        withOrder { twins, plains, order, starts in
                            body(
                                Nodes(
                                    bytes: bytes, depths: depths, nexts: nexts, tokens: tokens, twins: twins, plains: plains, order: order,
                                    orderStarts: starts))
                        }
                    }
                }
            }
        }
    }

    private func withOrder(
        _ body: (UnsafeBufferPointer<Int32>, UnsafeBufferPointer<UInt8>, UnsafeBufferPointer<Int32>, UnsafeBufferPointer<Int32>) -> Void
    ) {
        twins.withUnsafeBufferPointer { twins in
            plains.withUnsafeBufferPointer { plains in
                order.withUnsafeBufferPointer { order in
                    orderStarts.withUnsafeBufferPointer { body(twins, plains, order, $0) }
                }
            }
        }
    }
}

/// Plain characters are what a string holds without escapes, but for a few whose bytes follow rules of their own.
enum PlainTexts {
    /// Bytes of a character by its first one; 0 for one that is not plain.
    static func length(_ first: UInt8) -> Int {
        switch first {
        case 0x22, 0x5C: 0
        case 0x20...0x7E: 1
        case 0xC2...0xDF: 2
        case 0xE1...0xEC, 0xEE...0xEF: 3
        case 0xF1...0xF3: 4
        default: 0
        }
    }

    /// `TokenTrie.plains`.
    static func lengths(_ bytes: [UInt8], _ nexts: [Int32], _ tokens: [Int32]) -> [UInt8] {
        let none = TokenTrie.notPlain
        // By bytes that the character at the node still lacks.
        var lengths = [[UInt8]](repeating: Array(repeating: 0, count: bytes.count), count: 4)
        for node in bytes.indices.reversed() {
            for lacking in 0..<4 {
                var longest: UInt8 = lacking > 0 && tokens[node] >= 0 ? none : 0
                var child = node + 1
                while child < Int(nexts[node]), longest != none {
                    let byte = bytes[child]
                    let length = lacking == 0 ? PlainTexts.length(byte) : 0x80...0xBF ~= byte ? lacking : 0
                    let rest = length == 0 ? none : lengths[length - 1][child]
                    longest = rest == none ? none : max(longest, rest + (lacking == 0 ? 1 : 0))
                    child = Int(nexts[child])
                }
                lengths[lacking][node] = longest
            }
        }
        return lengths[0]
    }
}
