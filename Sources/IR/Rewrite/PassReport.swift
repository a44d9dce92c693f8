/// A rule that nearly fired, and what stood in the way.
package struct Miss: Sendable, Hashable, Codable {
    package var rule: String
    package var reason: String
    /// The culprit as text, such as `@decode %12 = mul %3, %4 (model.layers.0)`.
    package var at: String

    package init(rule: String, reason: String, at: String) {
        self.rule = rule
        self.reason = reason
        self.at = at
    }
}

/// One change of a graph.
package struct Rewrite: Sendable, Hashable, Codable {
    package var rule: String
    /// The place as text before the change, perhaps with a note on it.
    package var at: String

    package init(rule: String, at: String) {
        self.rule = rule
        self.at = at
    }
}

/// What a pass did to a module.
package struct PassReport: Sendable, Hashable, Codable {
    package static let maximumMisses = 200

    package var pass: String
    package var version: Int
    /// How often each rule's pattern and check accepted, whether or not the limit let it fire.
    package var matches: [String: Int] = [:]
    package var rewrites: [Rewrite] = []
    /// At most `maximumMisses`; `missCount` says how many there were.
    package var misses: [Miss] = []
    package var missCount = 0
    /// How often the rules went over a graph, all graphs together.
    package var rounds = 0
    package var nodesBefore = 0
    package var nodesAfter = 0

    package init(pass: String, version: Int) {
        self.pass = pass
        self.version = version
    }

    /// How often each rule fired.
    package var rewriteCounts: [String: Int] { Dictionary(rewrites.map { ($0.rule, 1) }, uniquingKeysWith: +) }
}
