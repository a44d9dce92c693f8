internal import Synchronization

/// A grammar over the tokens of one vocabulary: which may come next. What it finds is kept for all who ask again.
package final class TokenGuide: Sendable {
    private let grammar: Grammar
    private let trie: TokenTrie

    /// What texts of one tree lead on from one state, whatever lies below it.
    private struct LocalMask {
        var mask: TokenMask
        /// Nodes of the tree at which the state's rule may have ended and a token goes on.
        var exits: [Int32]
    }

    private struct LocalKey: Hashable {
        var state: Int32
        var tree: Int
        var ground: Ground
    }

    /// What a walk need know of the stack below.
    private struct Ground: Hashable {
        /// How many calls may be open above.
        var allowance: Int
        /// Whether anything lies below.
        var isLeft: Bool
    }

    private struct Found: Sendable {
        var walks: [Ground: StackWalk] = [:]
        var locals: [LocalKey: LocalMask] = [:]
        var masks: [GuideState: TokenMask] = [:]
        /// Of all local masks together.
        var exitCount = 0
        /// New steps that the mask at work may still take.
        var steps = 0

        mutating func walk(
            _ tree: TokenTree, _ grammar: Grammar, _ ground: Ground, below nodes: [Int32], from start: [Grammar.Stack], to mask: inout TokenMask,
            exits: inout [Int32]
        ) {
            var walk = walks.removeValue(forKey: ground) ?? StackWalk(grammar, allowance: ground.allowance, tellsEnds: ground.isLeft)
            for node in nodes where steps > 0 { walk.walk(tree, below: Int(node), from: start, to: &mask, exits: &exits, steps: &steps) }
            if walks.count >= TokenGuide.maxWalks { walks.removeAll() }
            walks[ground] = walk
        }
    }
    private let found = Mutex(Found())
    /// Most masks of each kind that are kept.
    private let maxKept: Int

    private static let keptBytes = 4 << 20
    private static let maxExits = 1 << 20
    private static let maxWalks = 8
    /// A grammar that needs more for one mask is ambiguous beyond use; no token may come then.
    private static let maxSteps = 1 << 16

    package init(_ grammar: Grammar, _ trie: TokenTrie) {
        (self.grammar, self.trie) = (grammar, trie)
        maxKept = max(16, Self.keptBytes / max(TokenMask(vocabularySize: trie.vocabularySize).byteCount, 1))
    }

    package var start: GuideState {
        let (stacks, ends) = grammar.closed([[grammar.starts[0]]], allowance: Grammar.maxDepth)
        return GuideState(stacks: stacks, accepts: ends)
    }

    /// The state behind a token; of one that may not come there is no way on.
    package func advanced(_ state: GuideState, _ token: Int32) -> GuideState {
        let text = trie.text(of: token)
        guard !text.isEmpty else { return GuideState(stacks: [], accepts: false) }
        var (stacks, accepts) = (state.stacks, state.accepts)
        for byte in text { (stacks, accepts) = grammar.advanced(stacks, byte, allowance: Grammar.maxDepth) }
        return GuideState(stacks: stacks, accepts: accepts)
    }

    /// The tokens that may come, those that end the text apart; none where the grammar is too ambiguous to tell.
    package func mask(_ state: GuideState) -> TokenMask {
        let key = GuideState(stacks: state.stacks.map(likest), accepts: false)
        return found.withLock { found in
            if let known = found.masks[key] { return known }
            var mask = TokenMask(vocabularySize: trie.vocabularySize)
            found.steps = Self.maxSteps
            for stack in state.stacks where found.steps > 0 { add(stack, to: &mask, &found) }
            guard found.steps > 0 else { return TokenMask(vocabularySize: trie.vocabularySize) }
            if found.masks.count >= maxKept { found.masks.removeAll() }
            found.masks[key] = mask
            return mask
        }
    }

    private func likest(_ stack: Grammar.Stack) -> Grammar.Stack {
        var stack = stack
        if let top = stack.last { stack[stack.count - 1] = grammar.alikes[TokenTrie.reaches.count - 1][Int(top)] }
        return stack
    }

    /// What lies below a place of a stack; where there is room for any token, always as many calls.
    private func ground(at place: Int) -> Ground {
        let left = Grammar.maxDepth - place
        return Ground(allowance: left > Self.roomy ? Grammar.maxDepth : left, isLeft: place > 0)
    }

    /// More calls than the bytes of a token open.
    private static let roomy = Grammar.maxDepth / 2

    private func add(_ stack: Grammar.Stack, to mask: inout TokenMask, _ found: inout Found) {
        guard let top = stack.last else { return }
        for (number, tree) in trie.trees.enumerated() {
            let first = local(top, tree: number, ground(at: stack.count - 1), &found)
            mask.formUnion(first.mask)
            var nodes = first.exits
            for place in stack.indices.dropLast().reversed() where !nodes.isEmpty {
                let ground = ground(at: place)
                let (starts, ends) = grammar.closed([[stack[place]]], allowance: ground.allowance)
                var exits: [Int32] = ends ? nodes : []
                found.walk(tree, grammar, ground, below: nodes, from: starts, to: &mask, exits: &exits)
                guard found.steps > 0 else { return }
                nodes = nodes.count == 1 && !ends ? exits : Set(exits).sorted()
            }
        }
    }

    private func local(_ state: Int32, tree: Int, _ ground: Ground, _ found: inout Found) -> LocalMask {
        let key = LocalKey(state: grammar.alikes[tree][Int(state)], tree: tree, ground: ground)
        if let known = found.locals[key] { return known }
        var result = LocalMask(mask: TokenMask(vocabularySize: trie.vocabularySize), exits: [])
        found.walk(trie.trees[tree], grammar, ground, below: [-1], from: [[state]], to: &result.mask, exits: &result.exits)
        guard found.steps > 0 else { return result }
        if found.locals.count >= maxKept || found.exitCount > Self.maxExits { (found.locals, found.exitCount) = ([:], 0) }
        found.locals[key] = result
        found.exitCount += result.exits.count
        return result
    }
}

/// Where a text stands in its grammar: a function of its tokens.
package struct GuideState: Sendable, Hashable {
    /// Ascending.
    let stacks: [Grammar.Stack]
    /// Whether the text may end here.
    package let accepts: Bool

    /// Whether the text can but end here.
    package var isComplete: Bool { accepts && stacks.isEmpty }
}

extension TokenGuide: Equatable {
    package static func == (left: TokenGuide, right: TokenGuide) -> Bool { left === right }
}
