import CommandLineSupport
import Foundation
import IR
import Passes

/// What a pass did, as people read it.
struct PassRemarks {
    private let report: PassReport

    init(_ report: PassReport) { self.report = report }

    /// A table of the rules; below it each kind of rewrite and miss with its first place, or with `all` every place.
    func text(all: Bool) -> String {
        var lines = ["\(report.pass): \(passSummaries[report.pass] ?? "")"]
        lines.append("\(report.nodesBefore) nodes before, \(report.nodesAfter) after")
        let rows = rules
        guard !rows.isEmpty else { return (lines + ["nothing was found that looks like its patterns"]).joined(separator: "\n") }
        lines += [""] + Self.table(["rule", "matches", "rewrites", "misses"], rows)
        let rewrites = Dictionary(grouping: report.rewrites, by: \.rule).sorted { $0.key < $1.key }
        for (rule, group) in rewrites {
            lines += ["", "\(group.count) × \(rule) rewritten\(all || group.count == 1 ? "" : ", first")"]
            lines += (all ? group[...] : group.prefix(1)).map { "  \($0.at)" }
        }
        let misses = Dictionary(grouping: report.misses) { "\($0.rule) missed: \($0.reason)" }.sorted { $0.key < $1.key }
        for (kind, group) in misses {
            lines += ["", "\(group.count) × \(kind)"]
            lines += (all ? group[...] : group.prefix(1)).map { "  at \($0.at)" }
        }
        if report.missCount > report.misses.count {
            lines += ["", "and \(report.missCount - report.misses.count) misses more, which were only counted"]
        }
        return lines.joined(separator: "\n")
    }

    private var rules: [[String]] {
        let rewrites = report.rewriteCounts
        let misses = Dictionary(report.misses.map { ($0.rule, 1) }, uniquingKeysWith: +)
        let names = Set(report.matches.keys).union(rewrites.keys).union(misses.keys).sorted()
        return names.map { name in
            [name] + [report.matches[name], rewrites[name], misses[name]].map { "\($0 ?? 0)" }
        }
    }

    /// The first column to the left, the others to the right.
    private static func table(_ header: [String], _ rows: [[String]]) -> [String] {
        var table = TextTable(header.enumerated().map { ($1, $0 == 0 ? .left : .right) }, gap: 3)
        rows.forEach { table.add($0) }
        return table.lines
    }
}
