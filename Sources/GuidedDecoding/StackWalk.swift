/// The sets of stacks that bytes lead to, found as they are needed and kept: a table from set and byte to set.
///
/// Stacks stand on a ground that nothing is known of: what reaches the end of their lowest rule leaves them, or stands on nothing.
struct StackWalk {
    private let grammar: Grammar
    /// Calls that may be open above the ground.
    private let allowance: Int
    /// Whether something may come behind the end of the lowest rule.
    private let tellsEnds: Bool
    private var sets: [[Grammar.Stack]] = []
    private var numbers: [[Grammar.Stack]: Int32] = [:]
    /// The sets of one stack of one state.
    private var singles: [Int32: Int32] = [:]
    /// By set and class of bytes: twice the next set, and one more where the lowest rule ends and that is told or all; −1 where it is not known
    /// yet. Set 0 is none.
    private var table: [Int32] = []
    private var outlooks: [Outlook] = []
    /// By set whether its row was filled.
    private var isFilled: [Bool] = []

    /// Where characters lead from a set.
    private struct Outlook {
        /// Kinds of characters which all lead to `target`, whichever comes.
        var kinds: UInt64 = 0
        /// Kinds of characters of which none may come.
        var barred: UInt64 = 0
        /// 0 where nothing follows.
        var target = StackWalk.unknown
        /// Where every byte that goes on with a character leads; 0 where they do not lead to one set.
        var within = StackWalk.unknown
    }

    private static let unknown: Int32 = -1
    private static let maxSets = 1 << 13

    init(_ grammar: Grammar, allowance: Int, tellsEnds: Bool) {
        (self.grammar, self.allowance, self.tellsEnds) = (grammar, allowance, tellsEnds)
        _ = number([])
    }

    private var width: Int { grammar.classBytes.count }

    private mutating func number(_ set: [Grammar.Stack]) -> Int32 {
        if set.count == 1, set[0].count == 1 { return number(single: set[0][0]) }
        if let known = numbers[set] { return known }
        let number = newNumber(set)
        numbers[set] = number
        return number
    }

    private mutating func number(single state: Int32) -> Int32 {
        if let known = singles[state] { return known }
        let number = newNumber([[state]])
        singles[state] = number
        return number
    }

    private mutating func newNumber(_ set: [Grammar.Stack]) -> Int32 {
        let number = Int32(sets.count)
        sets.append(set)
        outlooks.append(Outlook())
        isFilled.append(false)
        table += repeatElement(Self.unknown, count: width)
        return number
    }

    private func entry(_ number: Int32, ends: Bool) -> Int32 { number << 1 | (ends && (tellsEnds || number == 0) ? 1 : 0) }

    /// Finds what is not known of a set and a class of bytes, and more of the set where that costs little.
    private mutating func step(_ set: Int32, _ kind: Int) -> Int32 {
        let stacks = sets[Int(set)]
        if !isFilled[Int(set)], stacks.count == 1, stacks[0].count == 1, grammar.calls(of: stacks[0][0]).isEmpty { fillRow(set, of: stacks[0][0]) }
        let place = Int(set) * width + kind
        guard table[place] == Self.unknown else { return table[place] }
        let (next, ends) = grammar.advanced(stacks, grammar.classBytes[kind], allowance: allowance)
        table[place] = entry(number(next), ends: ends)
        return table[place]
    }

    /// All that is known of the set of one state, whose edges tell all of it but where they lead to calls.
    private mutating func fillRow(_ set: Int32, of state: Int32) {
        isFilled[Int(set)] = true
        let row = Int(set) * width
        for kind in 0..<width { table[row + kind] = 0 }
        for edge in grammar.edges(of: state) {
            let target = edge.target
            var value = Self.unknown
            if grammar.calls(of: target).isEmpty {
                let isPossible = Int(grammar.needs[Int(target)]) <= allowance
                let next = isPossible && !grammar.edges(of: target).isEmpty ? number(single: target) : 0
                value = entry(next, ends: isPossible && grammar.accepting[Int(target)])
            }
            for kind in Int(grammar.classes[Int(edge.low)])...Int(grammar.classes[Int(edge.high)]) { table[row + kind] = value }
        }
    }

    private mutating func forget() {
        sets.removeAll(keepingCapacity: true)
        (numbers, singles) = ([:], [:])
        table.removeAll(keepingCapacity: true)
        outlooks.removeAll(keepingCapacity: true)
        isFilled.removeAll(keepingCapacity: true)
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
        _ tree: TokenTree, below node: Int, from start: [Grammar.Stack], to mask: inout TokenMask, exits: inout [Int32], steps: inout Int
    ) {
        if sets.count > Self.maxSets { forget() }
        let base = node < 0 ? 0 : Int(tree.nodes[node].depth)
        let end = node < 0 ? tree.count : Int(tree.nodes[node].next)
        var path = [Int32](repeating: 0, count: TokenTrie.maxBytes + 1)
        path[base] = number(start)
        var place = node + 1
        while place < end {
            place = walk(tree, place..<end, &path, &mask, &exits)
            steps -= 1
            guard place < end, steps > 0 else { return }
            let depth = Int(tree.nodes[place].depth)
            if sets.count > 2 * Self.maxSets { forget(&path, depth: depth - 1) }
            let kind = Int(grammar.classes[Int(tree.nodes[place].byte)])
            let value = table[Int(path[depth - 1]) * width + kind]
            if value == Self.unknown { _ = step(path[depth - 1], kind) } else { look(below: tree.nodes[place], from: value >> 1) }
        }
    }

    /// Walks on until something is not known yet; returns the node that it is for, or the end.
    private func walk(_ tree: TokenTree, _ range: Range<Int>, _ path: inout [Int32], _ mask: inout TokenMask, _ exits: inout [Int32]) -> Int {
        var place = range.lowerBound
        tree.withLists { tree in
            grammar.classes.withUnsafeBufferPointer { classes in
                table.withUnsafeBufferPointer { table in
                    outlooks.withUnsafeBufferPointer { outlooks in
                        path.withUnsafeMutableBufferPointer { path in
                            mask.withWords { words in
                                let known = Known(tree: tree, width: width, classes: classes, table: table, outlooks: outlooks)
                                place = known.walk(range, path, words, &exits)
                            }
                        }
                    }
                }
            }
        }
        return place
    }
}

extension StackWalk {
    /// Finds what `Known.outlook` asks for.
    private mutating func look(below node: TokenTree.Node, from first: Int32) {
        var set = first
        for step in 0..<Int(node.lacking) + Int(node.most) where set > 0 {
            if step < node.lacking {
                set = within(set)
            } else {
                if outlooks[Int(set)].target == Self.unknown { findTarget(of: set) }
                set = outlooks[Int(set)].target
            }
        }
    }

    private mutating func within(_ set: Int32) -> Int32 {
        if outlooks[Int(set)].within == Self.unknown { outlooks[Int(set)].within = max(eachTarget(of: [grammar.within], from: set, isFirst: false), 0) }
        return outlooks[Int(set)].within
    }

    private mutating func findTarget(of set: Int32) {
        var targets: [Int32] = []
        for runs in grammar.kindRuns { targets.append(target(of: runs, from: set)) }
        var counts: [Int32: Int] = [:]
        for target in targets where target >= 0 { counts[target, default: 0] += 1 }
        let most = counts.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key ?? 0
        outlooks[Int(set)].target = most
        for (kind, target) in targets.enumerated() {
            if target == most { outlooks[Int(set)].kinds |= 1 << UInt64(kind) }
            if target == Self.barred { outlooks[Int(set)].barred |= 1 << UInt64(kind) }
        }
    }

    private static let barred: Int32 = -2

    /// The set to which each of these runs of classes leads, 0 where nothing follows; `barred` where none of them may come, and −1 where they
    /// do not lead to one set, or the lowest rule may end on the way.
    private mutating func target(of runs: [Grammar.Run], from set: Int32) -> Int32 {
        var target: Int32?
        for run in runs {
            let reached = self.target(of: run[...], from: set, isFirst: true)
            guard reached != -1, target ?? reached == reached else { return -1 }
            target = reached
        }
        return target ?? -1
    }

    private mutating func target(of run: Grammar.Run.SubSequence, from set: Int32, isFirst: Bool) -> Int32 {
        guard let classes = run.first else { return set }
        if !isFirst, classes == grammar.within, within(set) > 0 { return target(of: run.dropFirst(), from: within(set), isFirst: false) }
        return eachTarget(of: run, from: set, isFirst: isFirst)
    }

    /// The same of a run that is not empty, found byte by byte.
    private mutating func eachTarget(of run: Grammar.Run.SubSequence, from set: Int32, isFirst: Bool) -> Int32 {
        var (target, last): (Int32?, Int32) = (nil, Self.unknown)
        for kind in run[run.startIndex] {
            var value = table[Int(set) * width + Int(kind)]
            if value == Self.unknown { value = step(set, Int(kind)) }
            if value == last { continue }
            last = value
            let reached: Int32
            if value == 0 {
                // Whether a whole character is barred is known only where none begins so.
                guard isFirst else { return -1 }
                reached = Self.barred
            } else {
                guard value & 1 == 0 || value == 1 && !tellsEnds, value > 1 || run.count == 1 else { return -1 }
                reached = self.target(of: run.dropFirst(), from: value >> 1, isFirst: false)
            }
            guard reached != -1, target ?? reached == reached else { return -1 }
            target = reached
        }
        return target ?? -1
    }

    /// What is known of sets, while nothing is added.
    private struct Known {
        let tree: TokenTree.Lists
        let width: Int
        let classes: UnsafeBufferPointer<UInt8>
        let table: UnsafeBufferPointer<Int32>
        let outlooks: UnsafeBufferPointer<Outlook>

        /// Smallest subtree that is looked at as a whole.
        private static let wholeFrom: Int32 = 3

        func walk(
            _ range: Range<Int>, _ path: UnsafeMutableBufferPointer<Int32>, _ words: UnsafeMutableBufferPointer<UInt64>, _ exits: inout [Int32]
        ) -> Int {
            var place = range.lowerBound
            while place < range.upperBound {
                let node = tree.nodes[place]
                let value = table[Int(path[Int(node.depth) - 1]) * width + Int(classes[Int(node.byte)])]
                guard value > 0 else {
                    if value < 0 { return place }
                    place = Int(node.next)
                    continue
                }
                var next = place + 1
                var room = Room()
                if node.next - Int32(place) >= Self.wholeFrom, value & 1 == 0, node.kinds < CharacterKind.none {
                    switch outlook(below: node, from: value >> 1) {
                    case .unknown: return place
                    case .decided(let found): (next, room) = (Int(node.next), found)
                    case .mixed: break
                    }
                }
                insert(Int(node.orderStart)..<Int(tree.nodes[next].orderStart), room, words)
                if value & 1 == 1, Int(node.next) > place + 1 { exits.append(Int32(place)) }
                path[Int(node.depth)] = value >> 1
                place = value >> 1 == 0 ? Int(node.next) : next
            }
            return place
        }

        /// Which of the tokens below a node may come.
        struct Room {
            /// Most characters of a token.
            var most = UInt8.max
            /// Kinds of which all characters must be; with `isTail`, all but the first.
            var kinds = UInt64.max
            var isTail = false
        }

        private func insert(_ places: Range<Int>, _ room: Room, _ words: UnsafeMutableBufferPointer<UInt64>) {
            func insert(_ place: Int, _ isIn: Bool) { words[Int(tree.order[place]) >> 6] |= (isIn ? 1 : 0) << UInt64(tree.order[place] & 63) }
            switch (room.kinds, room.isTail) {
            case (.max, _) where room.most == .max: for place in places { insert(place, true) }
            case (.max, _): for place in places { insert(place, tree.begun[place] <= room.most) }
            case (_, false): for place in places { insert(place, tree.kinds[place] & ~room.kinds == 0 && tree.begun[place] <= room.most) }
            case (_, true): for place in places { insert(place, tree.tailKinds[place] & ~room.kinds == 0 && tree.begun[place] <= room.most) }
            }
        }

        enum Prospect {
            case decided(Room)
            /// Each node below has to be looked at.
            case mixed
            case unknown
        }

        /// What of the texts below the node may follow.
        private func outlook(below node: TokenTree.Node, from start: Int32) -> Prospect {
            var set = start
            for _ in 0..<node.lacking {
                set = outlooks[Int(set)].within
                guard set > 0 else { return set < 0 ? .unknown : .mixed }
            }
            // Of kinds that may come all along, of others none.
            var (kinds, barred) = (node.kinds, node.kinds)
            var count: UInt8 = 0
            while count < node.most {
                let outlook = outlooks[Int(set)]
                if outlook.target == StackWalk.unknown { return .unknown }
                if node.kinds & ~outlook.barred == 0 { return decided(node, kinds, count) }
                (kinds, barred) = (kinds & outlook.kinds, barred & outlook.barred)
                guard node.kinds & ~(kinds | barred) == 0 else { return .mixed }
                if outlook.target == set { return decided(node, kinds, node.most) }
                count += 1
                if outlook.target == 0 { break }
                set = outlook.target
            }
            return decided(node, kinds, count)
        }

        private func decided(_ node: TokenTree.Node, _ kinds: UInt64, _ count: UInt8) -> Prospect {
            let most = count == node.most ? .max : node.begun + count
            if node.kinds & ~kinds == 0 { return .decided(Room(most: most)) }
            if node.kindsAbove & ~kinds == 0 { return .decided(Room(most: most, kinds: kinds)) }
            return node.kindsAboveTail & ~kinds == 0 ? .decided(Room(most: most, kinds: kinds, isTail: true)) : .mixed
        }
    }
}
