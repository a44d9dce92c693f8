import Foundation

/// The name of a directory of a test's own, which is removed with it.
final class TemporaryFolder: Sendable {
    let path = FileManager.default.temporaryDirectory.path + "/vlm-serving-\(UUID().uuidString)"

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Files below the directory, by their paths in it.
    var files: [String] { (FileManager.default.enumerator(atPath: path)?.compactMap { $0 as? String } ?? []).sorted() }

    /// Those that are blocks.
    var blocks: [String] { files.filter { $0.utf8.count > 128 } }

    func bytes(_ name: String) -> [UInt8] { FileManager.default.contents(atPath: "\(path)/\(name)").map { Array($0) } ?? [] }

    func write(_ bytes: [UInt8], _ name: String) throws { try Data(bytes).write(to: URL(filePath: "\(path)/\(name)")) }

    func mode(_ name: String) throws -> Int {
        (try FileManager.default.attributesOfItem(atPath: "\(path)/\(name)")[.posixPermissions] as? Int) ?? 0
    }
}
