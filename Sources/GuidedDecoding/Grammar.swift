/// Rules over bytes that may call each other, and so recursive; the first rule is what a whole text must be.
///
/// All states of all rules are numbered together. From each of them an end can be reached.
package struct Grammar: Sendable {
    /// Of each state its ways on: those of state `n` are `edges[edgeStarts[n]..<edgeStarts[n + 1]]`, and so are its calls.
    private(set) var edges: [Automaton.Edge] = []
    private(set) var edgeStarts: [Int32] = [0]
    private(set) var calls: [Automaton.Call] = []
    private(set) var callStarts: [Int32] = [0]
    private(set) var accepting: [Bool] = []
    /// How many calls, one inside the other, lead at least to the end of the state's rule.
    private(set) var needs: [Int32] = []
    /// For each reach of a token trie, of each state one from which the same texts of up to so many bytes lead on.
    private(set) var alikes: [[Int32]] = []
    /// By rule.
    private(set) var starts: [Int32] = []
    /// Of each byte the class of bytes that no edge tells from it.
    private(set) var classes: [UInt8] = []
    /// One byte of each class.
    private(set) var classBytes: [UInt8] = []
    /// By kind of characters how they are spelled.
    private(set) var kindRuns: [[Run]] = []

    /// Classes of the bytes that go on with a character.
    var within: ClosedRange<UInt8> { classes[0x80]...classes[0xBF] }

    /// Classes of bytes that follow each other.
    typealias Run = [ClosedRange<UInt8>]

    /// Most calls inside each other; what would need more cannot come.
    static let maxDepth = 256

    /// - Parameter names: of the rules, for messages.
    init(_ rules: [Automaton], names: (Int) -> String = { "rule \($0)" }, _ effort: Effort) throws(GuideError) {
        try effort.check(states: rules.reduce(0) { $0 + $1.states.count })
        var first: Int32 = 0
        for rule in rules {
            starts.append(first)
            for state in rule.states {
                edges += state.edges.sorted { $0.low < $1.low }.map { Automaton.Edge(low: $0.low, high: $0.high, target: $0.target + first) }
                calls += state.calls.map { Automaton.Call(rule: $0.rule, target: $0.target + first) }
                edgeStarts.append(Int32(edges.count))
                callStarts.append(Int32(calls.count))
                accepting.append(state.accepts)
            }
            first += Int32(rule.states.count)
        }
        try findNeeds(effort)
        guard needs[Int(starts[0])] <= Self.maxDepth else { throw GuideError("no text can match it") }
        dropDead()
        try checkLeftRecursion(names)
        makeClasses()
        try effort.spend(edges.count)
        alikes = alikeStates(within: TokenTrie.reaches)
    }

    func edges(of state: Int32) -> ArraySlice<Automaton.Edge> { edges[Int(edgeStarts[Int(state)])..<Int(edgeStarts[Int(state) + 1])] }
    func calls(of state: Int32) -> ArraySlice<Automaton.Call> { calls[Int(callStarts[Int(state)])..<Int(callStarts[Int(state) + 1])] }

    /// Whether nothing but the end of its rule follows.
    func isFinal(_ state: Int32) -> Bool { accepting[Int(state)] && edges(of: state).isEmpty && calls(of: state).isEmpty }

    private mutating func findNeeds(_ effort: Effort) throws(GuideError) {
        let none = Int32.max
        needs = accepting.map { $0 ? 0 : none }
        var changed = true
        while changed {
            changed = false
            try effort.spend(edges.count + calls.count + needs.count)
            for state in needs.indices.reversed() where needs[state] > 0 {
                var least = needs[state]
                for edge in edges(of: Int32(state)) { least = min(least, needs[Int(edge.target)]) }
                for call in calls(of: Int32(state)) {
                    let inner = needs[Int(starts[Int(call.rule)])]
                    if inner < none { least = min(least, max(inner + 1, needs[Int(call.target)])) }
                }
                if least < needs[state] { (needs[state], changed) = (least, true) }
            }
        }
    }

    /// Takes out what leads to no end.
    private mutating func dropDead() {
        var (liveEdges, liveCalls): ([Automaton.Edge], [Automaton.Call]) = ([], [])
        var (newEdges, newCalls): ([Int32], [Int32]) = ([0], [0])
        for state in needs.indices {
            liveEdges += edges(of: Int32(state)).filter { needs[Int($0.target)] < .max }
            liveCalls += calls(of: Int32(state)).filter { needs[Int($0.target)] < .max && needs[Int(starts[Int($0.rule)])] < .max }
            newEdges.append(Int32(liveEdges.count))
            newCalls.append(Int32(liveCalls.count))
        }
        (edges, edgeStarts, calls, callStarts) = (liveEdges, newEdges, liveCalls, newCalls)
    }

    /// A rule that calls itself before any byte has come would be called for ever.
    private func checkLeftRecursion(_ names: (Int) -> String) throws(GuideError) {
        // Rules that are called before any byte, with a rule that may be empty passed over.
        var lefts: [Set<Int32>] = []
        let nullable = nullableRules()
        for start in starts {
            var (seen, work, called): (Set<Int32>, [Int32], Set<Int32>) = ([start], [start], [])
            while let state = work.popLast() {
                for call in calls(of: state) {
                    called.insert(call.rule)
                    if nullable[Int(call.rule)], seen.insert(call.target).inserted { work.append(call.target) }
                }
            }
            lefts.append(called)
        }
        // Rules whose lefts are all settled are settled.
        var (sources, waiting): ([[Int32]], [Int]) = (Array(repeating: [], count: starts.count), lefts.map(\.count))
        for (rule, called) in lefts.enumerated() { for other in called { sources[Int(other)].append(Int32(rule)) } }
        var work = waiting.indices.filter { waiting[$0] == 0 }
        while let settled = work.popLast() {
            for source in sources[settled] {
                waiting[Int(source)] -= 1
                if waiting[Int(source)] == 0 { work.append(Int(source)) }
            }
        }
        if let endless = waiting.firstIndex(where: { $0 > 0 }) {
            throw GuideError("\(names(endless)) begins with itself (left recursion); put what comes first first")
        }
    }

    private func nullableRules() -> [Bool] {
        var nullable = starts.map { accepting[Int($0)] }
        var changed = true
        while changed {
            changed = false
            for (rule, start) in starts.enumerated() where !nullable[rule] {
                var (seen, work): (Set<Int32>, [Int32]) = ([start], [start])
                while let state = work.popLast() {
                    if accepting[Int(state)] { (nullable[rule], changed) = (true, true) }
                    for call in calls(of: state) where nullable[Int(call.rule)] && seen.insert(call.target).inserted {
                        work.append(call.target)
                    }
                }
            }
        }
        return nullable
    }

    private mutating func makeClasses() {
        var isBorder = [Bool](repeating: false, count: 257)
        for edge in edges { (isBorder[Int(edge.low)], isBorder[Int(edge.high) + 1]) = (true, true) }
        classes = Array(repeating: 0, count: 256)
        for byte in 0..<256 {
            if byte == 0 || isBorder[byte] { classBytes.append(UInt8(byte)) }
            classes[byte] = UInt8(classBytes.count - 1)
        }
        kindRuns = CharacterKind.sequences.map { [classes] sequences in
            var known: Set<Run> = []
            return sequences.map { $0.map { classes[Int($0.low)]...classes[Int($0.high)] } }.filter { known.insert($0).inserted }
        }
    }
}

extension Grammar {
    /// States on top of each other, the innermost last; each but the last is where to go on behind a call.
    typealias Stack = [Int32]

    /// Most stacks that are followed at once; of more the rest is given up, which makes no wrong text right.
    private static let maxStacks = 128

    /// The stacks whose last state has edges, reached without a byte.
    ///
    /// - Parameters:
    ///   - allowance: calls that may be open above the first state.
    /// - Returns: the stacks in order, and whether the end of the lowest state's rule is reached.
    func closed(_ open: [Stack], allowance: Int) -> (stacks: [Stack], ends: Bool) {
        var (seen, work, found, ends): (Set<Stack>, [Stack], [Stack], Bool) = ([], open, [], false)
        while let stack = work.popLast() {
            guard let top = stack.last else {
                ends = true
                continue
            }
            guard stack.count - 1 + Int(needs[Int(top)]) <= allowance, seen.count < 4 * Self.maxStacks, seen.insert(stack).inserted else { continue }
            if !edges(of: top).isEmpty { found.append(stack) }
            if accepting[Int(top)] { work.append(stack.dropLast()) }
            for call in calls(of: top) {
                var next = stack
                if isFinal(call.target) { next.removeLast() } else { next[next.count - 1] = call.target }
                next.append(starts[Int(call.rule)])
                work.append(next)
            }
        }
        found.sort { $0.lexicographicallyPrecedes($1) }
        return (Array(found.prefix(Self.maxStacks)), ends)
    }

    /// What is left of closed stacks behind a byte.
    func advanced(_ stacks: [Stack], _ byte: UInt8, allowance: Int) -> (stacks: [Stack], ends: Bool) {
        var open: [Stack] = []
        for stack in stacks {
            guard let top = stack.last, let edge = edges(of: top).first(where: { $0.low <= byte && byte <= $0.high }) else { continue }
            var next = stack
            next[next.count - 1] = edge.target
            open.append(next)
        }
        return open.isEmpty ? ([], false) : closed(open, allowance: allowance)
    }

    /// Whether a whole text matches.
    package func matches(_ text: some Sequence<UInt8>) -> Bool {
        var state = closed([[starts[0]]], allowance: Self.maxDepth)
        for byte in text { state = advanced(state.stacks, byte, allowance: Self.maxDepth) }
        return state.ends
    }
}
