/// The sets of stacks that bytes lead to, found as they are needed and kept: a table from set and byte to set.
///
/// Stacks stand on a ground that nothing is known of: what reaches the end of their lowest rule leaves them.
struct StackWalk {
    private let grammar: Grammar
    /// Calls that may be open above the ground.
    private let allowance: Int
    private var sets: [[Grammar.Stack]] = []
    private var numbers: [[Grammar.Stack]: Int32] = [:]
    /// By set and class of bytes: twice the next set, and one more where the lowest rule ends; −1 where it is not known yet. Set 0 is none.
    private var table: [Int32] = []
    /// By set: where every plain character leads, whichever it is; −1 where they do not lead to one set, −2 where it is not known yet.
    private var plainTargets: [Int32] = []

    private static let unknown: Int32 = -1
    private static let unknownTarget: Int32 = -2
    private static let maxSets = 1 << 13

    init(_ grammar: Grammar, allowance: Int) {
        (self.grammar, self.allowance) = (grammar, allowance)
        _ = number([])
    }

    private mutating func number(_ set: [Grammar.Stack]) -> Int32 {
        if let known = numbers[set] { return known }
        let number = Int32(sets.count)
        numbers[set] = number
        sets.append(set)
        plainTargets.append(Self.unknownTarget)
        table += repeatElement(Self.unknown, count: grammar.classBytes.count)
        return number
    }

    private mutating func step(_ set: Int32, _ kind: Int) -> Int32 {
        let (next, ends) = grammar.advanced(sets[Int(set)], grammar.classBytes[kind], allowance: allowance)
        let value = number(next) << 1 | (ends ? 1 : 0)
        table[Int(set) * grammar.classBytes.count + kind] = value
        return value
    }

    private mutating func forget() {
        (sets, numbers, table, plainTargets) = ([], [:], [], [])
        _ = number([])
    }

    /// Starts anew, with the sets of a path kept under new numbers.
    private mutating func forget(_ path: inout [Int32], depth: Int) {
        let kept = path[...depth].map { sets[Int($0)] }
        forget()
        for (place, set) in kept.enumerated() { path[place] = number(set) }
    }

    /// Adds the tokens below a node that the stacks take, whole or up to the end of the lowest rule.
    ///
    /// - Parameters:
    ///   - node: −1 for the root.
    ///   - exits: takes the nodes with others below them at which the lowest rule may have ended.
    ///   - steps: new steps that may be taken; of fewer than one, the walk is not done.
    mutating func walk(
        _ trie: TokenTrie, below node: Int, from start: [Grammar.Stack], to mask: inout TokenMask, exits: inout [Int32], steps: inout Int
    ) {
        if sets.count > Self.maxSets { forget() }
        let base = node < 0 ? 0 : Int(trie.depths[node])
        let end = node < 0 ? trie.bytes.count : Int(trie.nexts[node])
        var path = [Int32](repeating: 0, count: TokenTrie.maxBytes + 1)
        path[base] = number(start)
        var place = node + 1
        while place < end {
            place = walk(trie, place..<end, &path, &mask, &exits)
            steps -= 1
            guard place < end, steps > 0 else { return }
            let depth = Int(trie.depths[place])
            if sets.count > 2 * Self.maxSets { forget(&path, depth: depth - 1) }
            let kind = Int(grammar.classes[Int(trie.bytes[place])])
            let value = table[Int(path[depth - 1]) * grammar.classBytes.count + kind]
            if value == Self.unknown { _ = step(path[depth - 1], kind) } else { findPlainTargets(value >> 1) }
        }
    }

    /// Finds where plain characters lead from a set, and from where they lead, as far as a token reaches.
    private mutating func findPlainTargets(_ first: Int32) {
        var set = first
        for _ in 0..<TokenTrie.maxBytes {
            guard set > 0 else { return }
            if plainTargets[Int(set)] == Self.unknownTarget {
                let target = plainTarget(set)
                plainTargets[Int(set)] = target
            }
            guard plainTargets[Int(set)] != set else { return }
            set = plainTargets[Int(set)]
        }
    }

    private mutating func plainTarget(_ set: Int32) -> Int32 {
        var target: Int32?
        for first in UInt8.min ... .max where PlainTexts.length(first) > 0 && (first == 0 || isOtherClass(first)) {
            var reached: [Int32] = [set]
            for place in 0..<PlainTexts.length(first) {
                var next: [Int32] = []
                for from in reached {
                    for byte in place == 0 ? first...first : 0x80...0xBF where place == 0 || byte == 0x80 || isOtherClass(byte) {
                        let kind = Int(grammar.classes[Int(byte)])
                        var value = table[Int(from) * grammar.classBytes.count + kind]
                        if value == Self.unknown { value = step(from, kind) }
                        guard value > 1, value & 1 == 0 else { return -1 }
                        if !next.contains(value >> 1) { next.append(value >> 1) }
                    }
                }
                reached = next
            }
            guard reached.count == 1, target ?? reached[0] == reached[0] else { return -1 }
            target = reached[0]
        }
        return target ?? -1
    }

    /// Whether a byte is the first of its class, or of its length.
    private func isOtherClass(_ byte: UInt8) -> Bool {
        grammar.classes[Int(byte)] != grammar.classes[Int(byte) - 1] || PlainTexts.length(byte) != PlainTexts.length(byte - 1)
    }

    /// Walks on until a step is not known yet; returns the node that it is for, or the end.
    private func walk(_ trie: TokenTrie, _ nodes: Range<Int>, _ path: inout [Int32], _ mask: inout TokenMask, _ exits: inout [Int32]) -> Int {
        var place = nodes.lowerBound
        trie.withNodes { trie in
            grammar.classes.withUnsafeBufferPointer { classes in
                table.withUnsafeBufferPointer { table in
                    plainTargets.withUnsafeBufferPointer { targets in
                        path.withUnsafeMutableBufferPointer { path in
                            mask.withWords { words in
                                let known = Known(width: grammar.classBytes.count, classes: classes, table: table, plainTargets: targets)
                                place = known.walk(trie, nodes, path, words, &exits)
                            }
                        }
                    }
                }
            }
        }
        return place
    }

    /// What is known of sets, while nothing is added.
    private struct Known {
        let width: Int
        let classes: UnsafeBufferPointer<UInt8>
        let table: UnsafeBufferPointer<Int32>
        let plainTargets: UnsafeBufferPointer<Int32>

        /// Smallest subtree that is looked at as a whole.
        private static let wholeFrom = 3

        func walk(
            _ trie: TokenTrie.Nodes, _ nodes: Range<Int>, _ path: UnsafeMutableBufferPointer<Int32>, _ words: UnsafeMutableBufferPointer<UInt64>,
            _ exits: inout [Int32]
        ) -> Int {
            var place = nodes.lowerBound
            while place < nodes.upperBound {
                let depth = Int(trie.depths[place])
                let value = table[Int(path[depth - 1]) * width + Int(classes[Int(trie.bytes[place])])]
                let next = Int(trie.nexts[place])
                guard value > 0 else {
                    if value < 0 { return place }
                    place = next
                    continue
                }
                if next - place >= Self.wholeFrom, value & 1 == 0, trie.plains[place] != TokenTrie.notPlain {
                    switch plainSteps(from: value >> 1, Int(trie.plains[place])) {
                    case nil: return place
                    case true?:
                        for index in Int(trie.orderStarts[place])..<Int(trie.orderStarts[next]) {
                            let token = trie.order[index]
                            words[Int(token) >> 6] |= 1 << UInt64(token & 63)
                        }
                        place = next
                        continue
                    case false?: break
                    }
                }
                var token = trie.tokens[place]
                while token >= 0 {
                    words[Int(token) >> 6] |= 1 << UInt64(token & 63)
                    token = trie.twins[Int(token)]
                }
                if value & 1 == 1, next > place + 1 { exits.append(Int32(place)) }
                path[depth] = value >> 1
                place = value >> 1 == 0 ? next : place + 1
            }
            return place
        }

        /// Whether any plain characters may follow, so many; nil where that is not known yet.
        private func plainSteps(from start: Int32, _ count: Int) -> Bool? {
            var set = start
            for _ in 0..<count {
                let target = plainTargets[Int(set)]
                if target == StackWalk.unknownTarget { return nil }
                if target < 0 { return false }
                if target == set { return true }
                set = target
            }
            return true
        }
    }
}
