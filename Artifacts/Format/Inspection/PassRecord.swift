/// What the passes did, in order; the content of `passes.json`.
package struct PassLog: Sendable, Hashable, Codable {
    /// The lines of IR text that a pass took away and put in.
    package struct Change: Sendable, Hashable, Codable {
        package var pass: String
        package var lines: [String]
    }

    package var reports: [PassRecord] = []
    package var changes: [Change] = []
}

/// What one pass did.
package struct PassRecord: Sendable, Hashable, Codable {
    /// A change of a graph.
    package struct Rewrite: Sendable, Hashable, Codable {
        package var rule: String
        package var at: String
    }

    /// A rule that nearly fired, and what stood in the way.
    package struct Miss: Sendable, Hashable, Codable {
        package var rule: String
        package var reason: String
        package var at: String
    }

    package var pass: String
    package var version: Int
    package var stage: String?
    package var seconds: Double?
    /// How often each rule's pattern and check accepted.
    package var matches: [String: Int]
    package var rewrites: [Rewrite]
    package var misses: [Miss]
    /// How many misses there were; `misses` may hold fewer.
    package var missCount: Int
    package var nodesBefore: Int
    package var nodesAfter: Int
}

extension Artifact {
    /// The report of every pass; empty when the artifact carries none.
    package func passLog() throws(ArtifactError) -> PassLog {
        guard has(.passes) else { return PassLog() }
        return try JSONCoding.decode(PassLog.self, from: section(.passes), path: path, section: SectionName.passes.path)
    }
}
