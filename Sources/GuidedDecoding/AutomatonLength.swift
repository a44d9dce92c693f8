extension Automaton {
    /// The texts of at most so many characters; of automata over UTF-8, without calls.
    func limited(to most: Int, _ effort: Effort) throws(GuideError) -> Automaton {
        let needs = characterNeeds()
        guard let first = needs[0], first <= most else { return .never }
        var result = Automaton()
        result.states = []
        var (numbers, work): ([UInt64: Int32], [(state: Int32, count: Int, number: Int32)]) = ([:], [])
        func number(_ state: Int32, _ count: Int) -> Int32 {
            let key = UInt64(UInt32(state)) << 32 | UInt64(count)
            if let known = numbers[key] { return known }
            let number = Int32(result.states.count)
            numbers[key] = number
            result.states.append(State(accepts: states[Int(state)].accepts))
            work.append((state, count, number))
            return number
        }
        _ = number(0, 0)
        while let (state, count, from) = work.popLast() {
            try effort.spend(1 + states[Int(state)].edges.count)
            for edge in states[Int(state)].edges {
                let next = count + (edge.beginsCharacter ? 1 : 0)
                guard let need = needs[Int(edge.target)], next + need <= most else { continue }
                result.states[Int(from)].edges.append(Edge(low: edge.low, high: edge.high, target: number(edge.target, next)))
            }
            try effort.check(states: result.states.count)
        }
        return result
    }

    /// How many characters must at least begin from each state to an end; nil where none is reached.
    private func characterNeeds() -> [Int?] {
        var sources: [[(state: Int32, begins: Bool)]] = Array(repeating: [], count: states.count)
        for (index, state) in states.enumerated() { for edge in state.edges { sources[Int(edge.target)].append((Int32(index), edge.beginsCharacter)) } }
        var needs = [Int?](repeating: nil, count: states.count)
        var (level, count) = (states.indices.filter { states[$0].accepts }.map { Int32($0) }, 0)
        while !level.isEmpty {
            var next: [Int32] = []
            while let state = level.popLast() {
                guard needs[Int(state)] == nil else { continue }
                needs[Int(state)] = count
                for (source, begins) in sources[Int(state)] where needs[Int(source)] == nil {
                    if begins { next.append(source) } else { level.append(source) }
                }
            }
            (level, count) = (next, count + 1)
        }
        return needs
    }
}

extension Automaton.Edge {
    /// Whether its bytes begin a character of UTF-8.
    fileprivate var beginsCharacter: Bool { low & 0xC0 != 0x80 }
}
