import Foundation
import HuggingFace
import Testing

/// Names of directories, and folders as `huggingface_hub` lays them out.
@Suite struct ModelLocationTests {
    private let place: TemporaryDirectory
    private var cache: String { place.path + "/models--acme--tiny-vlm" }

    init() throws {
        place = try TemporaryDirectory()
        for name in ["0a1b", "2c3d"] { try make("models--acme--tiny-vlm/snapshots/\(name)") }
        try make("models--acme--tiny-vlm/refs")
        try make("models--solo/snapshots/ff")
        try make("plain")
        try make("models--mine")
        try place.write("models--mine/config.json", "{}")
    }

    private func make(_ name: String) throws {
        try FileManager.default.createDirectory(atPath: "\(place.path)/\(name)", withIntermediateDirectories: true)
    }

    @Test func otherDirectoriesAreCalledByTheirLastComponent() throws {
        #expect(try ModelLocation(place.path + "/plain").name == "plain")
        #expect(try ModelLocation(place.path + "/plain//").path == place.path + "/plain")
        #expect(try ModelLocation(place.path + "/plain/.").name == "plain")
        #expect(try ModelLocation(place.path + "/models--mine").name == "models--mine")
        #expect(try ModelLocation("/nowhere/at/all").name == "all")
        #expect(try ModelLocation("/nowhere/models--a--b").name == "models--a--b")
    }

    @Test func snapshotsAreCalledByTheirRepository() throws {
        let snapshot = try ModelLocation(cache + "/snapshots/2c3d/")
        #expect(snapshot.name == "acme/tiny-vlm" && snapshot.path == cache + "/snapshots/2c3d")
        #expect(try ModelLocation(place.path + "/models--solo/snapshots/ff").name == "solo")
    }

    @Test func aRepositoryStandsForItsMainSnapshot() throws {
        let error = checkpointError { _ = try ModelLocation(cache) }
        #expect(error?.reason == .missing && error?.message.contains("0a1b, 2c3d") == true)
        try place.write("models--acme--tiny-vlm/refs/main", "2c3d\n")
        for given in [cache, cache + "/", cache + "/snapshots"] {
            let directory = try ModelLocation(given)
            #expect(directory.name == "acme/tiny-vlm" && directory.path == cache + "/snapshots/2c3d")
        }
        #expect(try ModelLocation(place.path + "/models--solo").path == place.path + "/models--solo/snapshots/ff")
    }

    @Test(arguments: ["9999", "../../plain", "", "."]) func aReferenceThatLeadsNowhereIsNamed(_ reference: String) throws {
        try place.write("models--acme--tiny-vlm/refs/main", reference)
        #expect(checkpointError { _ = try ModelLocation(cache) }?.file == cache + "/refs/main")
    }
}
