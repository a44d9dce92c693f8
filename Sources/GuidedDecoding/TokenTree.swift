/// Texts of tokens as a tree of bytes, its nodes in the order in which a walk meets them.
struct TokenTree: Sendable {
    struct Node {
        /// What the texts below go on with: kinds of the characters that begin there, and `CharacterKind.none` for bytes that are no character's.
        var kinds: UInt64 = 0
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

    /// More than a text has.
    static let charactersMax: UInt8 = 64

    /// One more than there are: the last holds the end of `order`.
    let nodes: [Node]
    /// Tokens in the order of their nodes.
    let order: [Int32]
    /// Of each of them how many characters begin in its text, as far as that is characters.
    let begun: [UInt8]

    var count: Int { nodes.count - 1 }

    /// - Parameters:
    ///   - order: tokens by their texts, which are not empty.
    init(_ order: [Int32], text: (Int32) -> ArraySlice<UInt8>) {
        var building = Building()
        for (place, token) in order.enumerated() { building.add(text(token), place) }
        building.close(upTo: 0)
        building.findKinds(end: order.count)
        (nodes, self.order) = (building.nodes, order)
        begun = order.map { token in UInt8(text(token).count { $0 & 0xC0 != 0x80 }) }
    }

    func withLists(_ body: (UnsafeBufferPointer<Node>, UnsafeBufferPointer<Int32>, UnsafeBufferPointer<UInt8>) -> Void) {
        nodes.withUnsafeBufferPointer { nodes in
            order.withUnsafeBufferPointer { order in begun.withUnsafeBufferPointer { body(nodes, order, $0) } }
        }
    }

    private struct Building {
        var nodes: [Node] = []
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

        /// Finds what goes on below each node, and ends the list.
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
        }
    }
}
