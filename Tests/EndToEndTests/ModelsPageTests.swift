import Foundation
import Models
import Testing

/// docs/models.md and the README's table: what the last run with `VLM_BLESS=1` gave.
@Suite struct ModelsPageTests {
    private static let page = Workspace.repository.appending(path: "docs/models.md")
    private static let readme = Workspace.repository.appending(path: "README.md")

    /// The first table of a text whose header begins as that of families does.
    private static func families(_ text: String) -> [Substring] {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        return Array(lines.drop { !$0.hasPrefix("| family | `architectures`") }.prefix { $0.hasPrefix("|") })
    }

    /// Compiles every record, compares it, and writes both again.
    private static func write() throws {
        let made = try ModelsPage(FamilyParityTests.directories.filter { $0.path.contains("/Tests/Families/Fixtures/") })
        try Data(made.text.utf8).write(to: page)
        let text = try String(contentsOf: readme, encoding: .utf8)
        let old = families(text).joined(separator: "\n")
        try Data(text.replacing(old, with: made.families.joined(separator: "\n"), maxReplacements: 1).utf8).write(to: readme)
    }

    @Test func nameEveryFamilyAndRecord() throws {
        if ProcessInfo.processInfo.environment["VLM_BLESS"] == "1" { try Self.write() }
        let text = try String(contentsOf: Self.page, encoding: .utf8)
        let table = Self.families(text)
        for family in Architectures.all {
            let row = table.first { $0.hasPrefix("| \(family.title) |") } ?? ""
            for name in family.architectures { #expect(row.contains("`\(name)`"), "make models-page: \(name) of \(family.title) is missing") }
        }
        for directory in FamilyParityTests.directories where directory.path.contains("/Tests/Families/Fixtures/") {
            #expect(text.contains(" | \(directory.lastPathComponent) | "), "make models-page: \(directory.lastPathComponent) is missing")
        }
        let readme = try String(contentsOf: Self.readme, encoding: .utf8)
        #expect(Self.families(readme) == table, "make models-page writes the README's table again")
    }
}
