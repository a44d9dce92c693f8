/// States over bytes and calls of rules; the first one is the start.
///
/// Of the edges of a state no two share a byte; calls are another way on, and several may be tried at once.
struct Automaton: Sendable {
    struct Edge: Sendable {
        var low: UInt8
        var high: UInt8
        var target: Int32
    }

    struct Call: Sendable {
        var rule: Int32
        /// Where to go on behind the rule's text.
        var target: Int32
    }

    struct State: Sendable {
        var edges: [Edge] = []
        var calls: [Call] = []
        var accepts = false
    }

    var states: [State] = [State()]

    /// The language of nothing at all.
    static let never = Automaton()

    func target(_ state: Int32, _ byte: UInt8) -> Int32? {
        states[Int(state)].edges.first { $0.low <= byte && byte <= $0.high }?.target
    }

    func accepts(_ bytes: some Sequence<UInt8>) -> Bool {
        var state: Int32 = 0
        for byte in bytes {
            guard let next = target(state, byte) else { return false }
            state = next
        }
        return states[Int(state)].accepts
    }

    /// Whether no text is accepted; of automata without calls.
    var isEmpty: Bool { !states.contains { $0.accepts } }

    /// The same language without states from which no end is reached; of automata without calls.
    func trimmed() -> Automaton {
        var sources: [[Int32]] = Array(repeating: [], count: states.count)
        for (index, state) in states.enumerated() { for edge in state.edges { sources[Int(edge.target)].append(Int32(index)) } }
        var live = states.map(\.accepts)
        var work = live.indices.filter { live[$0] }.map { Int32($0) }
        while let state = work.popLast() {
            for source in sources[Int(state)] where !live[Int(source)] {
                live[Int(source)] = true
                work.append(source)
            }
        }
        guard live[0] else { return .never }
        var numbers: [Int32] = []
        var count: Int32 = 0
        for isLive in live {
            numbers.append(count)
            if isLive { count += 1 }
        }
        var result = Automaton()
        result.states = states.indices.filter { live[$0] }.map { index in
            var state = states[index]
            state.edges = state.edges.filter { live[Int($0.target)] }.map { Edge(low: $0.low, high: $0.high, target: numbers[Int($0.target)]) }
            return state
        }
        return result
    }

    /// The same language with states that lead on alike made one, again and again; of automata without calls.
    func merged() -> Automaton {
        struct Ways: Hashable {
            var accepts: Bool
            var edges: [Int64]
        }
        var result = self
        while true {
            var numbers: [Ways: Int32] = [:]
            var (news, kept): ([Int32], [State]) = ([], [])
            for state in result.states {
                let ways = Ways(accepts: state.accepts, edges: state.edges.map { Int64($0.target) << 16 | Int64($0.low) << 8 | Int64($0.high) })
                if let known = numbers[ways] {
                    news.append(known)
                } else {
                    numbers[ways] = Int32(kept.count)
                    news.append(Int32(kept.count))
                    kept.append(state)
                }
            }
            guard kept.count < result.states.count else { return result }
            result.states = kept.map { state in
                var state = state
                for index in state.edges.indices { state.edges[index].target = news[Int(state.edges[index].target)] }
                return state
            }
        }
    }

    /// The texts of both; of automata without calls.
    func intersection(_ other: Automaton, _ effort: Effort) throws(GuideError) -> Automaton {
        var result = Automaton()
        result.states = []
        var numbers: [UInt64: Int32] = [:]
        var work: [(Int32, Int32)] = []
        func number(_ left: Int32, _ right: Int32) -> Int32 {
            let key = UInt64(UInt32(left)) << 32 | UInt64(UInt32(right))
            if let known = numbers[key] { return known }
            let number = Int32(result.states.count)
            numbers[key] = number
            result.states.append(State(accepts: states[Int(left)].accepts && other.states[Int(right)].accepts))
            work.append((left, right))
            return number
        }
        _ = number(0, 0)
        while let (left, right) = work.popLast() {
            let from = numbers[UInt64(UInt32(left)) << 32 | UInt64(UInt32(right))] ?? 0
            try effort.spend(1 + states[Int(left)].edges.count)
            for edge in states[Int(left)].edges {
                for match in other.states[Int(right)].edges where match.low <= edge.high && edge.low <= match.high {
                    let target = number(edge.target, match.target)
                    result.states[Int(from)].edges.append(
                        Edge(low: max(edge.low, match.low), high: min(edge.high, match.high), target: target))
                }
            }
            try effort.check(states: result.states.count)
        }
        return result.trimmed()
    }

    /// All other texts of bytes; of automata without calls.
    func complement() -> Automaton {
        var result = self
        let sink = Int32(states.count)
        result.states.append(State())
        for index in result.states.indices {
            result.states[index].accepts.toggle()
            var edges: [Edge] = []
            var next = 0
            for edge in result.states[index].edges.sorted(by: { $0.low < $1.low }) {
                if Int(edge.low) > next { edges.append(Edge(low: UInt8(next), high: edge.low - 1, target: sink)) }
                edges.append(edge)
                next = Int(edge.high) + 1
            }
            if next < 256 { edges.append(Edge(low: UInt8(next), high: 255, target: sink)) }
            result.states[index].edges = edges
        }
        return result
    }
}
