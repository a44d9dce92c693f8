import Foundation
import Testing

/// Documents lead where they say and know every module.
@Suite struct DocumentTests {
    @Test func linksLeadSomewhere() {
        let violations = Repository.documents.flatMap(Self.deadLinks)
        #expect(violations.isEmpty, "\(violations.report)")
    }

    @Test func deadLinksAreFound() {
        let text = "[a](Makefile) [b](nowhere.md#top) [c](https://example.org) [d](#here)"
        #expect(Self.deadLinks(SourceFile(path: "a.md", text: text)).count == 1)
    }

    @Test func contributingKnowsEveryModule() throws {
        let text = try #require(Repository.files.first { $0.path == "CONTRIBUTING.md" }).lines.joined(separator: "\n")
        let modules = Set(Repository.names(in: "Sources") + ["ArtifactFormat", "Passes"])
        #expect(modules.filter { !text.contains("`\($0)`") }.sorted() == [], "CONTRIBUTING.md lacks these modules")
    }

    @Test func decisionsAreListed() throws {
        let index = try #require(Repository.files.first { $0.path == "docs/decisions/README.md" }).lines.joined(separator: "\n")
        let decisions = Repository.names(in: "docs/decisions").filter { $0 != "README.md" }
        #expect(decisions.filter { !index.contains("(\($0))") } == [], "docs/decisions/README.md lacks these decisions")
    }

    @Test func addingAPassShowsThePassAsItIs() throws {
        let guide = try #require(Repository.files.first { $0.path == "docs/adding-a-pass.md" }).lines
        let pass = try #require(Repository.files.first { $0.path == "Passes/Fusion/FuseRMSNorm.swift" }).lines.joined(separator: "\n")
        let blocks = guide.map { $0.hasPrefix("   ") ? String($0.dropFirst(3)) : String($0) }.split { $0.hasPrefix("```") }.filter { !$0.contains { $0.hasPrefix("#") } }
        let code = blocks.map { $0.joined(separator: "\n") }.filter { $0.hasPrefix("/// Finds") || $0.hasPrefix("private ") }
        #expect(code.count == 2)
        for block in code { #expect(pass.contains(block), "docs/adding-a-pass.md is to show Passes/Fusion/FuseRMSNorm.swift") }
    }

    static func deadLinks(_ file: SourceFile) -> [Violation] {
        let folder = (file.path as NSString).deletingLastPathComponent
        return file.lines.enumerated().flatMap { line, text -> [Violation] in
            guard text.holds("](") else { return [] }
            return text.matches(of: /\]\(([^)\s]+)\)/).compactMap { match -> Violation? in
                let target = match.1.prefix { $0 != "#" }
                guard !target.isEmpty, !target.contains("://"), !target.hasPrefix("mailto:") else { return nil }
                let path = (("/" + folder) as NSString).appendingPathComponent(String(target))
                let resolved = URL(fileURLWithPath: path).standardized.path.dropFirst()
                return Repository.exists(String(resolved)) ? nil : file.violation(line, "the link \(target) leads nowhere")
            }
        }
    }
}
