/// The verbs of the three programs, for whoever types one after the wrong program, or the word that another tool has for it.
package enum Verbs {
    /// A test holds that these are all that the programs declare.
    package static let all = [
        (program: "vlmc", verbs: ["doctor", "compile", "run", "bench", "parity", "tokenize", "render", "inputs", "opt", "explain", "machine"]),
        (program: "vlm-cache", verbs: ["ls", "show", "graph", "plan", "passes", "why", "verify", "du", "gc", "rm"]),
        (program: "vlm-serve", verbs: ["run-batch"]),
    ]

    /// What other tools say for what one of these does.
    private static let others = [
        "serve": "vlm-serve MODEL", "inspect": "vlm-cache show", "info": "vlm-cache show", "delete": "vlm-cache rm", "remove": "vlm-cache rm", "prune": "vlm-cache gc",
        "clean": "vlm-cache gc", "chat": "vlmc run", "build": "vlmc compile",
    ]

    /// The command that is meant by a word which is no verb of `program`; nil where no program has it by another name.
    package static func elsewhere(_ word: String, than program: String) -> String? {
        if let owner = all.first(where: { $0.program != program && $0.verbs.contains(word) }) { return "\(owner.program) \(word)" }
        return others[word]
    }
}
