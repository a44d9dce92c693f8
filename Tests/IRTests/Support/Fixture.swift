import Foundation

/// Files beside the tests and in the repository.
enum Fixture {
    static let directory = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appending(path: "Fixtures")
    static let repository = directory.appending(path: "../../..")

    static func text(_ name: String) throws -> String {
        try String(contentsOf: directory.appending(path: name), encoding: .utf8)
    }

    /// Whether expectations are written instead of compared.
    static var blesses: Bool { ProcessInfo.processInfo.environment["VLM_BLESS"] == "1" }
}
