import Foundation
import IR
import Passes

/// What the sources say about each pass, in the order of the pipeline; the documents about passes are made of it.
struct PassDocument {
    var name: String
    var stage: Stage
    /// Under `Passes`.
    var file: String
    /// Why it stands where it stands.
    var reason: String
    /// The doc comment's lines without slashes.
    var lines: [String]

    private static let directory = URL(filePath: TracedModel.repository).appending(path: "Passes").resolvingSymlinksInPath()

    static func read() throws -> [PassDocument] {
        let reasons = try reasons()
        let paths = FileManager.default.enumerator(atPath: directory.path)?.compactMap { $0 as? String } ?? []
        var found: [String: (identifier: String, file: String, lines: [String])] = [:]
        for path in paths.filter({ $0.hasSuffix(".swift") }) {
            let text = try String(contentsOf: directory.appending(path: path), encoding: .utf8)
            for (name, identifier, lines) in declarations(in: text) { found[name] = (identifier, path, lines) }
        }
        return TracedModel.pipeline.passes.compactMap { pass in
            guard let (identifier, file, lines) = found[pass.name] else { return nil }
            return PassDocument(
                name: pass.name, stage: pass.stage, file: file, reason: reasons[identifier] ?? "", lines: lines)
        }
    }

    /// The passes that a source file declares: name, identifier, doc comment.
    private static func declarations(in text: String) -> [(name: String, identifier: String, lines: [String])] {
        var comment: [String] = []
        var identifier = ""
        var lines: [String] = []
        var made: [(name: String, identifier: String, lines: [String])] = []
        for line in text.components(separatedBy: "\n") {
            if line.hasPrefix("///") {
                comment.append(String(line.dropFirst(line.hasPrefix("/// ") ? 4 : 3)))
                continue
            }
            if let match = line.firstMatch(of: /^package (?:let|func) (\w+)/) { (identifier, lines) = (String(match.1), comment) }
            if let match = line.firstMatch(of: /Pass\("([^"]+)"/), !identifier.isEmpty {
                made.append((String(match.1), identifier, lines.filter { !$0.hasPrefix("- Parameter") }))
            }
            comment = []
        }
        return made
    }

    /// The comments of the pipeline's list, by the pass below them.
    private static func reasons() throws -> [String: String] {
        let text = try String(contentsOf: directory.appending(path: "Pipeline.swift"), encoding: .utf8)
        var reasons: [String: String] = [:]
        var comment: [String] = []
        for line in text.components(separatedBy: "\n").map({ $0.trimmingCharacters(in: .whitespaces) }) {
            if line.hasPrefix("// ") {
                comment.append(String(line.dropFirst(3)))
            } else if let match = line.firstMatch(of: /^(\w+)(?:\([a-z:, ]+\))?,$/) {
                reasons[String(match.1)] = comment.joined(separator: " ")
                comment = []
            }
        }
        return reasons
    }

    var summary: String { lines.first ?? "" }

    /// Under `Passes/Fixtures`.
    var fixture: String { "\(file.split(separator: "/").first?.lowercased() ?? "")/\(name).vir" }

    /// `docs/passes.md`.
    static func markdown() throws -> String {
        let passes = try read()
        var text = [
            "# Passes", "",
            "Made from the doc comments in `Passes`; `VLM_BLESS=1 make test` writes it again. The order is that of",
            "`Passes/Pipeline.swift`. `vlmc opt --pass NAME FILE.vir` runs one, `vlmc explain NAME DIR` says what it does to a model.", "",
            "| stage | pass | why there |", "|---|---|---|",
        ]
        text += passes.map { "| \($0.stage.rawValue) | [\($0.name)](#\($0.name)) | \($0.reason) |" }
        for pass in passes {
            text += ["", "## \(pass.name)", "", "`Passes/\(pass.file)` · `Passes/Fixtures/\(pass.fixture)`", ""]
            text += pass.lines
        }
        return text.joined(separator: "\n") + "\n"
    }

    /// `Passes/PassSummaries.swift`.
    static func summaries() throws -> String {
        let entries = try read().map { "    \"\($0.name)\": \"\($0.summary.replacing("\"", with: "\\\""))\"," }
        return """
            /// What each pass does, by name: the first lines of their doc comments, from which a test makes this file.
            package let passSummaries: [String: String] = [
            \(entries.joined(separator: "\n"))
            ]

            """
    }
}
