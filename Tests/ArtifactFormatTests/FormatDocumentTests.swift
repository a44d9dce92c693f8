import ArtifactFormat
import ArtifactSamples
import Foundation
import Plan
import Testing

/// `Artifacts/FORMAT.md` says what the code does.
@Suite struct FormatDocumentTests {
    private let document: String

    init() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        document = try String(contentsOf: root.appendingPathComponent("Artifacts/FORMAT.md"), encoding: .utf8)
    }

    /// The number behind `name` in the table of numbers.
    private func number(_ name: String) -> Int? {
        for line in document.split(separator: "\n") where line.hasPrefix("| \(name) |") {
            return Int(line.split(separator: "|")[1].filter(\.isNumber))
        }
        return nil
    }

    @Test func numbersAreTheCodes() {
        #expect(number("format version") == Manifest.formatVersion)
        #expect(number("weight alignment in bytes") == WeightEntry.alignment)
        #expect(number("digits of a key") == Sample.key().digest.count)
        #expect(number("digits of a section checksum") == Digest.of([]).count)
    }

    @Test func everySectionAndFieldIsDescribed() throws {
        let names: [SectionName] = [
            .program, .weightTable, .weights, .tokenizer, .chatTemplate, .inputs, .passes, .golden,
            .goldenData,
        ]
        for name in names.map(\.path) + Sample.key().fields.map(\.name) {
            #expect(document.contains("`\(name)`"), "\(name) is not described")
        }
        let sample = try Sample()
        let text = try String(contentsOfFile: sample.write() + "/manifest.json", encoding: .utf8)
        let object = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        for name in object.keys { #expect(document.contains("`\(name)`"), "\(name) is not described") }
    }
}
