import Foundation
import IR
import Passes
import Testing

@Suite struct PassDocumentTests {
    @Test func documentsAreCurrent() throws {
        let repository = URL(filePath: TracedModel.repository)
        for (path, text) in [
            ("docs/passes.md", try PassDocument.markdown()), ("Passes/PassSummaries.swift", try PassDocument.summaries()),
        ] {
            let file = repository.appending(path: path)
            if PassFixture.blesses { try text.write(to: file, atomically: true, encoding: .utf8) }
            #expect(try String(contentsOf: file, encoding: .utf8) == text, "VLM_BLESS=1 writes \(path) again")
        }
    }

    @Test func everyPassSaysWhatItDoesAndWhyItStandsThere() throws {
        let passes = try PassDocument.read()
        #expect(passes.map(\.name) == TracedModel.pipeline.passes.map(\.name))
        for pass in passes {
            #expect(pass.summary.hasSuffix("."), "\(pass.name) has no sentence")
            #expect(pass.reason.hasSuffix("."), "\(pass.name) has no reason in Pipeline.swift")
            #expect(pass.lines.contains { $0.contains("→") }, "\(pass.name) has no before → after")
        }
    }

    @Test func eachFileHoldsOnePass() throws {
        let files = try PassDocument.read().map(\.file)
        #expect(Set(files).count == files.count)
    }

    @Test func fixturesStandInTheSameTree() throws {
        let expected = try PassDocument.read().map(\.fixture)
        #expect(Set(PassFixture.all.map { $0.name + ".vir" }) == Set(expected))
    }
}
