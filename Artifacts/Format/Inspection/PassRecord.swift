/// What one pass did, as `passes.json` lists them in order.
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

    /// The lines of IR text that a pass took away and put in; `pass_changes.json.zst` lists them.
    package struct Change: Sendable, Hashable, Codable {
        package var pass: String
        package var lines: [String]
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
    /// The report of every pass in order; none when the artifact carries no report.
    package func passRecords() throws(ArtifactError) -> [PassRecord] {
        guard has(.passes) else { return [] }
        return try JSONCoding.decode(
            [PassRecord].self, from: section(.passes), path: path, section: SectionName.passes.path)
    }

    /// What passes changed in the text; none when the artifact carries no changes.
    package func passChanges() throws(ArtifactError) -> [PassRecord.Change] {
        guard has(.passChanges) else { return [] }
        return try JSONCoding.decode(
            [PassRecord.Change].self, from: unpacked(.passChanges), path: path, section: SectionName.passChanges.path)
    }
}
