import Foundation
import Testing

/// The three programs as scripts use them.
@Suite struct CommandTests {
    @Test func versionsAreTold() throws {
        for tool in ["vlmc", "vlm-serve", "vlm-cache"] {
            let result = try Command(tool, ["--version"]).run()
            #expect(result.status == 0)
            #expect(result.output.contains("0.1"))
        }
    }
}
