import Foundation
import Glibc
import MediaFetching
import Testing

/// Files below one directory, over symbolic links and past everything that is no file.
@Suite struct LocalMediaTests {
    /// `served` with files and links, and `secret` beside it.
    private static func folder() throws -> String {
        let folder = FileManager.default.temporaryDirectory.path + "/vlm-media-\(UUID().uuidString)"
        let files = FileManager.default
        for name in ["served/deep", "served-too"] { try files.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: true) }
        for (name, text) in [("served/a.png", "inside"), ("served/deep/b c.png", "deeper"), ("secret", "outside"), ("served-too/c", "beside")] {
            try Data(text.utf8).write(to: URL(fileURLWithPath: "\(folder)/\(name)"))
        }
        try files.createSymbolicLink(atPath: "\(folder)/served/link", withDestinationPath: "deep/b c.png")
        try files.createSymbolicLink(atPath: "\(folder)/served/escape", withDestinationPath: "../secret")
        try files.createSymbolicLink(atPath: "\(folder)/served/up", withDestinationPath: "..")
        try files.createSymbolicLink(atPath: "\(folder)/root", withDestinationPath: "served")
        mkfifo("\(folder)/served/pipe", 0o600)
        return folder
    }

    private static func read(_ media: LocalMedia, _ path: String, bytesMax: Int = 100) async -> Result<String, MediaError> {
        do {
            return .success(String(decoding: try await media.file(at: path, bytesMax: bytesMax) { _ in }, as: UTF8.self))
        } catch {
            return .failure(error as? MediaError ?? MediaError("\(error)"))
        }
    }

    @Test func filesInsideAreRead() async throws {
        let folder = try Self.folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for root in ["served", "served/", "root", "served/deep/.."] {
            let media = try LocalMedia("\(folder)/\(root)")
            #expect(await Self.read(media, "\(folder)/served/a.png") == .success("inside"), "\(root)")
            #expect(await Self.read(media, "\(folder)/served/deep/../link") == .success("deeper"), "\(root)")
            #expect(await Self.read(media, "\(folder)/root/deep/b c.png") == .success("deeper"), "\(root)")
        }
    }

    /// All in the same words, so that nobody learns what is where.
    @Test func everythingElseIsRefused() async throws {
        let folder = try Self.folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let media = try LocalMedia("\(folder)/served")
        let paths = [
            "secret", "served/escape", "served/../secret", "served/up/secret", "served-too/c", "served/pipe", "served/deep", "served", "served/none",
            "served/a.png/", "served/a.png\0", "served/up/served-too/c",
        ].map { "\(folder)/\($0)" } + ["/etc/passwd", "/dev/null", "/dev/zero", "/proc/self/environ", "served/a.png", ""]
        for path in paths {
            guard case .failure(let fault) = await Self.read(media, path) else {
                Issue.record("\(path) was read")
                continue
            }
            #expect(fault.description == "the URL names no readable file in the directory that is served (--allowed-local-media-path)", "\(path)")
        }
    }

    @Test func largeFilesAreRefusedBeforeTheyAreRead() async throws {
        let folder = try Self.folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let media = try LocalMedia("\(folder)/served")
        #expect(await Self.read(media, "\(folder)/served/a.png", bytesMax: 6) == .success("inside"))
        guard case .failure(let fault) = await Self.read(media, "\(folder)/served/a.png", bytesMax: 5) else { return #expect(Bool(false)) }
        #expect(fault.description.contains("more than 5 bytes"))
        let refused = await #expect(throws: MediaError.self) {
            try await media.file(at: "\(folder)/served/a.png", bytesMax: 100) { _ throws(MediaError) in throw .noRoom }
        }
        #expect(refused == .noRoom)
    }

    @Test func theDirectoryMustBeOne() throws {
        for path in ["/does/not/exist", "/etc/passwd", ""] { #expect(throws: MediaError.self, "\(path)") { try LocalMedia(path) } }
    }
}
