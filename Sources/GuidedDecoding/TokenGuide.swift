internal import Synchronization

/// A grammar over the tokens of one vocabulary: which may come next. What it finds is kept for all who ask again.
package final class TokenGuide: Sendable {
    private let grammar: Grammar
    private let trie: TokenTrie

    /// What bytes lead on from one state, whatever lies below it.
    private struct LocalMask {
        var mask: TokenMask
        /// Nodes of the trie at which the state's rule may have ended and a token goes on.
        var exits: [Int32]
    }

    private struct LocalKey: Hashable {
        var state: Int32
        var allowance: Int
    }

    private struct Found: Sendable {
        var walks: [Int: StackWalk] = [:]
        var locals: [LocalKey: LocalMask] = [:]
        var masks: [GuideState: TokenMask] = [:]
    }
    private let found = Mutex(Found())
    /// Most masks of each kind that are kept.
    private let maxKept: Int

    private static let keptBytes = 4 << 20

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

    /// The tokens that may come, those that end the text apart.
    package func mask(_ state: GuideState) -> TokenMask {
        let key = GuideState(stacks: state.stacks.map(likest), accepts: false)
        return found.withLock { found in
            if let known = found.masks[key] { return known }
            var mask = TokenMask(vocabularySize: trie.vocabularySize)
            for stack in state.stacks { add(stack, to: &mask, &found) }
            if found.masks.count >= maxKept { found.masks.removeAll() }
            found.masks[key] = mask
            return mask
        }
    }

    private func likest(_ stack: Grammar.Stack) -> Grammar.Stack {
        var stack = stack
        if let top = stack.last { stack[stack.count - 1] = grammar.alikes[Int(top)] }
        return stack
    }

    /// How many calls may be open above the state at a place of a stack; where there is room for any token, always as many.
    private func allowance(at place: Int) -> Int {
        let left = Grammar.maxDepth - place
        return left > Self.roomy ? Grammar.maxDepth : left
    }

    /// More calls than the bytes of a token open.
    private static let roomy = Grammar.maxDepth / 2

    private func add(_ stack: Grammar.Stack, to mask: inout TokenMask, _ found: inout Found) {
        guard let top = stack.last else { return }
        let first = local(top, allowance(at: stack.count - 1), &found)
        mask.formUnion(first.mask)
        var nodes = first.exits
        for place in stack.indices.dropLast().reversed() where !nodes.isEmpty {
            let allowance = allowance(at: place)
            let (starts, ends) = grammar.closed([[stack[place]]], allowance: allowance)
            var exits: [Int32] = ends ? nodes : []
            for node in nodes {
                found.walks[allowance, default: StackWalk(grammar, allowance: allowance)].walk(
                    trie, below: Int(node), from: starts, to: &mask, exits: &exits)
            }
            nodes = nodes.count == 1 && !ends ? exits : Set(exits).sorted()
        }
    }

    private func local(_ state: Int32, _ allowance: Int, _ found: inout Found) -> LocalMask {
        let key = LocalKey(state: grammar.alikes[Int(state)], allowance: allowance)
        if let known = found.locals[key] { return known }
        var result = LocalMask(mask: TokenMask(vocabularySize: trie.vocabularySize), exits: [])
        found.walks[allowance, default: StackWalk(grammar, allowance: allowance)].walk(
            trie, below: -1, from: [[state]], to: &result.mask, exits: &result.exits)
        if found.locals.count >= maxKept { found.locals.removeAll() }
        found.locals[key] = result
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
