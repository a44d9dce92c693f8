extension Editor {
    /// How often rules go over a graph before the pass gives up.
    package static let maximumRounds = 16

    /// Applies rules until none fires: at each node the first rule that matches, in the order given.
    ///
    /// Dead remains of a match are erased. A rule whose pattern fits by more than half, or whose check refuses, leaves a miss;
    /// misses are those of the last round.
    package func apply(_ rules: [Rule]) throws(PassError) {
        let earlier = (misses: report.misses, count: report.missCount)
        for _ in 0..<Self.maximumRounds {
            (report.misses, report.missCount) = earlier
            report.rounds += 1
            var fired = false
            for node in graph.nodes {
                guard let current = graph[node.id], current.results.contains(where: { useCount($0) > 0 }) else { continue }
                if applyFirst(rules, at: current) { fired = true }
            }
            graph = try finish()
            if !fired { return }
        }
        throw PassError("the rules \(rules.map(\.name).joined(separator: ", ")) still fire after \(Self.maximumRounds) rounds")
    }

    private func applyFirst(_ rules: [Rule], at node: Node) -> Bool {
        for rule in rules where Matcher.mayStart(rule.pattern, at: node, in: graph) {
            guard let match = find(rule, at: node) else { continue }
            let fired = rewrite(rule.name, at: node) { () throws(Refusal) in
                let replacement = try rule.rewrite(match, self)
                replace(node.results[rule.pattern.root.result], with: replacement)
            }
            if fired {
                for matched in match.nodes.reversed() { eraseIfDead(matched.id) }
                return true
            }
        }
        return false
    }

    private func find(_ rule: Rule, at node: Node) -> Match? {
        var matcher = Matcher(rule.pattern, graph, uses: useCount)
        let opCount = rule.pattern.nodes.count(where: \.isOp)
        var isFound = false
        do throws(Refusal) {
            let match = try matcher.match(at: node)
            isFound = true
            try rule.check(match)
            return match
        } catch {
            if isFound || (matcher.matchedOps >= 2 && matcher.matchedOps * 2 > opCount) { miss(rule.name, error, at: node) }
            return nil
        }
    }
}
