/// Makes automata of expressions: first one with empty edges, then its sets of states.
struct AutomatonBuilder {
    private struct Node {
        var edges: [Automaton.Edge] = []
        var calls: [Automaton.Call] = []
        var empties: [Int32] = []
    }
    private var nodes: [Node] = []
    private let effort: Effort

    /// How deeply expressions may nest.
    static let maxDepth = 200
    /// Most repetitions of one loop.
    static let maxRepetitions = 1 << 15

    static func automaton(_ expression: Expression, _ effort: Effort) throws(GuideError) -> Automaton {
        if case .automaton(let made) = expression { return made }
        var builder = AutomatonBuilder(effort: effort)
        let (start, end) = (try builder.node(), try builder.node())
        try builder.add(expression, from: start, to: end, depth: 0)
        return try builder.determinized(start: start, end: end)
    }

    private init(effort: Effort) { self.effort = effort }

    private mutating func node() throws(GuideError) -> Int32 {
        try effort.spend(1)
        try effort.check(states: nodes.count / 4)
        nodes.append(Node())
        return Int32(nodes.count - 1)
    }

    private mutating func add(_ expression: Expression, from: Int32, to: Int32, depth: Int) throws(GuideError) {
        guard depth <= Self.maxDepth else { throw GuideError("it nests deeper than \(Self.maxDepth) levels") }
        switch expression {
        case .bytes(let low, let high): nodes[Int(from)].edges.append(Automaton.Edge(low: low, high: high, target: to))
        case .rule(let rule): nodes[Int(from)].calls.append(Automaton.Call(rule: Int32(rule), target: to))
        case .choice(let parts):
            for part in parts { try add(part, from: from, to: to, depth: depth + 1) }
        case .sequence(let parts):
            guard !parts.isEmpty else { return nodes[Int(from)].empties.append(to) }
            var place = from
            for (index, part) in parts.enumerated() {
                let next = index == parts.count - 1 ? to : try node()
                try add(part, from: place, to: next, depth: depth + 1)
                place = next
            }
        case .loop(let inner, let min, let max): try addLoop(inner, min, max, from: from, to: to, depth: depth)
        case .automaton(let made): try add(made, from: from, to: to)
        case .network(let network):
            var places = [from]
            for _ in 1..<network.placeCount { places.append(try node()) }
            nodes[Int(places[places.count - 1])].empties.append(to)
            for link in network.links { try add(link.text, from: places[link.from], to: places[link.to], depth: depth + 1) }
        }
    }

    private mutating func addLoop(_ inner: Expression, _ min: Int, _ max: Int?, from: Int32, to: Int32, depth: Int) throws(GuideError) {
        guard Swift.max(min, max ?? 0) <= Self.maxRepetitions else {
            throw GuideError("\(Swift.max(min, max ?? 0)) repetitions are more than \(Self.maxRepetitions)")
        }
        var place = try node()
        nodes[Int(from)].empties.append(place)
        for _ in 0..<min {
            let next = try node()
            try add(inner, from: place, to: next, depth: depth + 1)
            place = next
        }
        guard let max else {
            let (start, end) = (try node(), try node())
            nodes[Int(place)].empties.append(start)
            nodes[Int(end)].empties.append(start)
            nodes[Int(start)].empties.append(to)
            return try add(inner, from: start, to: end, depth: depth + 1)
        }
        for _ in min..<Swift.max(min, max) {
            nodes[Int(place)].empties.append(to)
            let next = try node()
            try add(inner, from: place, to: next, depth: depth + 1)
            place = next
        }
        nodes[Int(place)].empties.append(to)
    }

    private mutating func add(_ made: Automaton, from: Int32, to: Int32) throws(GuideError) {
        try effort.spend(made.states.count)
        let first = Int32(nodes.count)
        nodes[Int(from)].empties.append(first)
        for state in made.states {
            var node = Node()
            node.edges = state.edges.map { Automaton.Edge(low: $0.low, high: $0.high, target: $0.target + first) }
            node.calls = state.calls.map { Automaton.Call(rule: $0.rule, target: $0.target + first) }
            if state.accepts { node.empties.append(to) }
            nodes.append(node)
        }
        try effort.check(states: nodes.count / 4)
    }
}

extension AutomatonBuilder {
    private func determinized(start: Int32, end: Int32) throws(GuideError) -> Automaton {
        var result = Automaton()
        result.states = []
        // By sets, and by what they were closed from.
        var (numbers, known): ([[Int32]: Int32], [[Int32]: Int32]) = ([:], [:])
        var sets: [[Int32]] = []
        // The round in which a node was last reached.
        var (marks, round) = ([Int32](repeating: 0, count: nodes.count), Int32(0))
        /// The nodes reached without a byte that have ways on, or are the end.
        func closed(_ starts: [Int32]) throws(GuideError) -> [Int32] {
            var (found, work, visited) = ([Int32](), starts, 0)
            round += 1
            while let next = work.popLast() {
                guard marks[Int(next)] != round else { continue }
                (marks[Int(next)], visited) = (round, visited + 1)
                if next == end || !nodes[Int(next)].edges.isEmpty || !nodes[Int(next)].calls.isEmpty { found.append(next) }
                work += nodes[Int(next)].empties
            }
            try effort.spend(visited)
            found.sort()
            return found
        }
        func number(_ targets: [Int32]) throws(GuideError) -> Int32 {
            if let number = known[targets] { return number }
            let set = try closed(targets)
            let number = numbers[set] ?? Int32(sets.count)
            known[targets] = number
            guard number == sets.count else { return number }
            numbers[set] = number
            sets.append(set)
            result.states.append(Automaton.State(accepts: set.contains(end)))
            return number
        }
        _ = try number([start])
        var next = 0
        while next < sets.count {
            let set = sets[next]
            for (low, high, targets) in try pieces(set.flatMap { nodes[Int($0)].edges }) {
                let target = try number(targets)
                result.states[next].edges.append(Automaton.Edge(low: low, high: high, target: target))
            }
            var called: [Int32: [Int32]] = [:]
            for member in set { for call in nodes[Int(member)].calls { called[call.rule, default: []].append(call.target) } }
            for (rule, targets) in called.sorted(by: { $0.key < $1.key }) {
                let target = try number(targets)
                result.states[next].calls.append(Automaton.Call(rule: rule, target: target))
            }
            try effort.check(states: sets.count)
            next += 1
        }
        return result
    }

    /// Disjoint ranges of bytes with where they lead; neighbours that lead to the same are one.
    private func pieces(_ edges: [Automaton.Edge]) throws(GuideError) -> [(UInt8, UInt8, [Int32])] {
        guard edges.count > 1 else { return edges.map { ($0.low, $0.high, [$0.target]) } }
        var cuts = Set<Int>()
        for edge in edges {
            cuts.insert(Int(edge.low))
            cuts.insert(Int(edge.high) + 1)
        }
        let borders = cuts.sorted()
        try effort.spend(edges.count)
        var targets: [[Int32]] = Array(repeating: [], count: borders.count)
        let place = Dictionary(uniqueKeysWithValues: zip(borders, borders.indices))
        for edge in edges {
            for index in (place[Int(edge.low)] ?? 0)..<(place[Int(edge.high) + 1] ?? 0) { targets[index].append(edge.target) }
        }
        var result: [(UInt8, UInt8, [Int32])] = []
        for index in borders.indices.dropLast() where !targets[index].isEmpty {
            let set = targets[index].count > 1 ? Set(targets[index]).sorted() : targets[index]
            let (low, high) = (UInt8(borders[index]), UInt8(borders[index + 1] - 1))
            if let last = result.last, last.1 < 255, last.1 + 1 == low, last.2 == set {
                result[result.count - 1].1 = high
            } else {
                result.append((low, high, set))
            }
        }
        return result
    }
}
