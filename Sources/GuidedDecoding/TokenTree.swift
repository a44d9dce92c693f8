/// Texts of tokens as a tree of bytes, its nodes in the order in which a walk meets them.
struct TokenTree: Sendable {
    struct Node {
        /// What the texts below go on with: kinds of the characters that begin there, and `CharacterKind.none` for bytes that are no character's.
        var kinds: UInt64 = 0
        /// Kinds of the characters that have begun at the node; of one that it lacks bytes of, all kinds that go on below.
        var kindsAbove: UInt64 = 0
        /// The same without the first character.
        var kindsAboveTail: UInt64 = 0
        /// The first node behind all that lie below.
        var next: Int32 = 0
        /// The tokens of the node and below are `order[orderStart..<nodes[next].orderStart]`, its own those before the next node's.
        var orderStart: Int32 = 0
        var byte: UInt8 = 0
        /// Bytes from the root to the node, its own included.
        var depth: UInt8 = 0
        /// Most characters that begin below.
        var most: UInt8 = 0
        /// Bytes that the character at the node lacks.
        var lacking: UInt8 = 0
        /// Characters that have begun at the node.
        var begun: UInt8 = 0
    }

    /// One more than there are: the last holds the end of `order`.
    let nodes: [Node]
    /// Tokens in the order of their nodes.
    let order: [Int32]
    /// What is known of their texts, as far as those are characters.
    let texts: Texts

    /// Lists by place in `order`.
    struct Texts {
        /// Kinds of the characters.
        var kinds: [UInt64] = []
        /// Kinds of all characters but the first.
        var tailKinds: [UInt64] = []
        /// How many characters begin.
        var begun: [UInt8] = []
    }

    /// Pointers to the lists, while these are looked at.
    struct Lists {
        let nodes: UnsafeBufferPointer<Node>
        let order: UnsafeBufferPointer<Int32>
        let kinds: UnsafeBufferPointer<UInt64>
        let tailKinds: UnsafeBufferPointer<UInt64>
        let begun: UnsafeBufferPointer<UInt8>
    }

    var count: Int { nodes.count - 1 }

    /// - Parameters:
    ///   - order: tokens by their texts, which are not empty.
    init(_ order: [Int32], text: (Int32) -> ArraySlice<UInt8>) {
        var building = Building()
        for (place, token) in order.enumerated() { building.add(text(token), place) }
        building.close(upTo: 0)
        building.findKinds(end: order.count)
        (nodes, self.order, texts) = (building.nodes, order, building.texts)
    }

    func withLists(_ body: (Lists) -> Void) {
        nodes.withUnsafeBufferPointer { nodes in
            order.withUnsafeBufferPointer { order in
                texts.kinds.withUnsafeBufferPointer { kinds in
                    texts.tailKinds.withUnsafeBufferPointer { tailKinds in
                        texts.begun.withUnsafeBufferPointer { body(Lists(nodes: nodes, order: order, kinds: kinds, tailKinds: tailKinds, begun: $0)) }
                    }
                }
            }
        }
    }

    private struct Building {
        var nodes: [Node] = []
        private(set) var texts = Texts()
        private var parents: [Int32] = []
        /// The nodes of the last text.
        private var path: [Int] = []
        private var last: ArraySlice<UInt8> = []

        mutating func add(_ text: ArraySlice<UInt8>, _ place: Int) {
            var shared = 0
            for (byte, other) in zip(text, last) {
                guard byte == other else { break }
                shared += 1
            }
            close(upTo: shared)
            for byte in text.dropFirst(shared) {
                parents.append(Int32(path.last ?? -1))
                path.append(nodes.count)
                nodes.append(Node(orderStart: Int32(place), byte: byte, depth: UInt8(path.count)))
            }
            last = text
        }

        mutating func close(upTo depth: Int) {
            while path.count > depth { nodes[path.removeLast()].next = Int32(nodes.count) }
        }

        /// Finds what goes on above and below each node, and ends the list.
        mutating func findKinds(end: Int) {
            var characters: [PartialCharacter] = []
            for (node, parent) in parents.enumerated() {
                characters.append((parent < 0 ? PartialCharacter() : characters[Int(parent)]).followed(by: nodes[node].byte))
                nodes[node].lacking = characters[node].lacking
                nodes[node].begun = (parent < 0 ? 0 : nodes[Int(parent)].begun) + (nodes[node].byte & 0xC0 != 0x80 ? 1 : 0)
            }
            nodes.append(Node(next: Int32(nodes.count), orderStart: Int32(end)))
            // By node: kinds of the characters that are under way there.
            var underWay = [UInt64](repeating: 0, count: parents.count)
            for node in parents.indices.reversed() {
                let character = characters[node]
                if !character.isWrong, nodes[node].orderStart < nodes[node + 1].orderStart || character.lacking == 0 {
                    underWay[node] |= CharacterKind.set(of: character.first)
                }
                guard parents[node] >= 0 else { continue }
                let parent = Int(parents[node])
                if character.isWrong {
                    nodes[parent].kinds |= CharacterKind.none
                } else if characters[parent].lacking == 0 {
                    nodes[parent].kinds |= underWay[node] | nodes[node].kinds
                    nodes[parent].most = max(nodes[parent].most, nodes[node].most + 1)
                } else {
                    underWay[parent] |= underWay[node]
                    nodes[parent].kinds |= nodes[node].kinds
                    nodes[parent].most = max(nodes[parent].most, nodes[node].most)
                }
            }
            // By node: kinds of the characters that are whole there.
            var whole = [(kinds: UInt64, tailKinds: UInt64)](repeating: (0, 0), count: parents.count)
            for (node, parent) in parents.enumerated() {
                let isFirst = nodes[node].begun <= 1
                func behind(_ before: (kinds: UInt64, tailKinds: UInt64), _ kinds: UInt64) -> (kinds: UInt64, tailKinds: UInt64) {
                    (before.kinds | kinds, before.tailKinds | (isFirst ? 0 : kinds))
                }
                let before = parent < 0 ? (0, 0) : whole[Int(parent)]
                let character = characters[node]
                let own = character.isWrong ? CharacterKind.none : CharacterKind.set(of: character.first)
                whole[node] = character.lacking == 0 ? behind(before, own) : before
                (nodes[node].kindsAbove, nodes[node].kindsAboveTail) = behind(before, underWay[node])
                let text = behind(before, own)
                for _ in nodes[node].orderStart..<nodes[node + 1].orderStart {
                    texts.kinds.append(text.kinds)
                    texts.tailKinds.append(text.tailKinds)
                    texts.begun.append(nodes[node].begun)
                }
            }
        }
    }
}
