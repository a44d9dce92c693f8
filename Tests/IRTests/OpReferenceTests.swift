import Foundation
import IR
import Testing

@Suite struct OpReferenceTests {
    @Test func theDocumentIsCurrent() throws {
        let file = Fixture.repository.appending(path: "docs/ir-ops.md")
        if Fixture.blesses { try OpReference.markdown().write(to: file, atomically: true, encoding: .utf8) }
        let text = try String(contentsOf: file, encoding: .utf8)
        #expect(text == OpReference.markdown(), "write it again with VLM_BLESS=1")
    }
}
