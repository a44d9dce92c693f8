import Foundation
import GuidedDecoding
import JSON
import Testing

/// The public JSON-Schema-Test-Suite, which `make test-json-schema` gets.
@Suite struct SchemaSuiteTests {
    /// The folder of draft 2020-12.
    static let folder = ProcessInfo.processInfo.environment["VLM_JSON_SCHEMA_SUITE"]
    /// A file for texts of random tokens, a JSON object of name, schema and text on each line, for another validator.
    static let texts = ProcessInfo.processInfo.environment["VLM_JSON_SCHEMA_TEXTS"]

    @Test(.enabled(if: folder != nil, "VLM_JSON_SCHEMA_SUITE names no JSON-Schema-Test-Suite")) func noInvalidInstanceIsTaken() throws {
        let suite = try SchemaSuite(folder: URL(filePath: Self.folder ?? ""))
        print(suite.report)
        #expect(suite.invalidTaken.isEmpty, "\(suite.invalidTaken.joined(separator: "\n"))")
        // Fewer would be a suite of another form, or keywords that are no longer taken.
        #expect(suite.schemas >= 400 && suite.compiled * 5 >= suite.schemas * 3 && suite.validTaken * 5 >= suite.validTried * 3)
        if let texts = Self.texts { try (suite.texts.map { $0.serializedText + "\n" }.joined()).write(toFile: texts, atomically: true, encoding: .utf8) }
    }
}
