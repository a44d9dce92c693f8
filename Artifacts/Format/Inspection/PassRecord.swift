/// What the passes did, in order; the content of `passes.json`.
package struct PassLog: Sendable, Hashable, Codable {
    /// The lines of IR text that a pass took away and put in.
    package struct Change: Sendable, Hashable, Codable {
        package var pass: String
        package var lines: [String]

        package init(pass: String, lines: [String]) {
            self.pass = pass
            self.lines = lines
        }
    }

    package var reports: [PassRecord] = []
    package var changes: [Change] = []

    package init(reports: [PassRecord] = [], changes: [Change] = []) {
        self.reports = reports
        self.changes = changes
    }
}

/// What one pass did.
package struct PassRecord: Sendable, Hashable, Codable {
    /// A change of a graph.
    package struct Rewrite: Sendable, Hashable, Codable {
        package var rule: String
        package var at: String

        package init(rule: String, at: String) {
            self.rule = rule
            self.at = at
        }
    }

    /// A rule that nearly fired, and what stood in the way.
    package struct Miss: Sendable, Hashable, Codable {
        package var rule: String
        package var reason: String
        package var at: String

        package init(rule: String, reason: String, at: String) {
            self.rule = rule
            self.reason = reason
            self.at = at
        }
    }

    package var pass: String
    package var version: Int
    /// The stage that the pass helps to reach.
    package var stage: String
    /// How often each rule's pattern and check accepted.
    package var matches: [String: Int]
    package var rewrites: [Rewrite]
    package var misses: [Miss]
    /// How many misses there were; `misses` may hold fewer.
    package var missCount: Int
    package var nodesBefore: Int
    package var nodesAfter: Int

    package init(pass: String, version: Int, stage: String, matches: [String: Int], nodesBefore: Int, nodesAfter: Int) {
        self.pass = pass
        self.version = version
        self.stage = stage
        self.matches = matches
        (rewrites, misses, missCount) = ([], [], 0)
        self.nodesBefore = nodesBefore
        self.nodesAfter = nodesAfter
    }
}

extension Artifact {
    /// Why nodes run on fallbacks, as `select-kernels` says, with the number of nodes.
    package var fallbackReasons: [String: Int] {
        let misses = (try? passLog())?.reports.flatMap(\.misses).filter { $0.rule == "fallback" } ?? []
        return Dictionary(misses.map { ($0.reason, 1) }, uniquingKeysWith: +)
    }

    /// The report of every pass; empty when the artifact carries none.
    package func passLog() throws(ArtifactError) -> PassLog {
        guard has(.passes) else { return PassLog() }
        return try JSONCoding.decode(PassLog.self, from: section(.passes), path: path, section: SectionName.passes.path)
    }
}
