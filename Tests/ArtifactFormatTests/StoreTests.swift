import ArtifactFormat
import ArtifactSamples
import Foundation
import Plan
import Testing

@Suite struct StoreTests {
    private func inode(_ path: String) throws -> Int {
        try #require(FileManager.default.attributesOfItem(atPath: path)[.systemFileNumber] as? Int)
    }

    private func weightsKey(_ fill: UInt8) -> String { ArtifactKey.weightsKey(entryKeys: ["norm", "qkv\(fill)"]) }

    @Test func otherGearsShareTheWeights() throws {
        let sample = try Sample()
        let first = try sample.write()
        let key = Sample.key(gears: [1, 2])
        let writer = try ArtifactWriter(store: sample.store, key: key)
        #expect(try writer.useStoredWeights("0123") == nil)
        let entries = try writer.useStoredWeights(weightsKey(0x3f))
        #expect(entries?.map(\.name) == ["layers.0.norm", "layers.0.qkv"])
        let second = try Sample.finish(writer, gears: [1, 2])
        #expect(try inode(first + "/weights.bin") == inode(second + "/weights.bin"))
        #expect(try Artifact.verify(directory: second).isEmpty)
        let own = sample.store.diskUse().filter { $0.model == "demo" }.map { $0.bytes - $0.ownBytes }
        #expect(own == [0, 8192])
        let manifests = try [first, second].map { try Artifact.manifest(directory: $0) }
        #expect(manifests[0].weightsKey == manifests[1].weightsKey)
        #expect(manifests[0].programKey != manifests[1].programKey)
    }

    @Test func fineTuneCopiesEqualTensorsAndFindsTheProgram() throws {
        let sample = try Sample()
        let first = try sample.write()
        let key = Sample.key(checkpoint: "fine")
        #expect(sample.store.artifact(programKey: key.programKey) == first)
        let reusable = sample.store.reusableWeights()
        #expect(reusable["qkv7"] == nil)
        let writer = try ArtifactWriter(store: sample.store, key: key)
        try writer.appendWeight(name: "layers.0.norm", sources: ["norm.weight"], copying: #require(reusable["norm"]))
        try [UInt8](repeating: 7, count: 128).withUnsafeBytes { bytes in
            _ = try writer.appendWeight(
                name: "layers.0.qkv", layout: .bf16Panels, shape: [8, 8], key: "qkv7", sources: ["q"], bytes: bytes)
        }
        let artifact = try Artifact.open(directory: Sample.finish(writer, gears: [1, 4]))
        #expect(Array(artifact.weightBytes(0)) == Sample.normBytes)
        #expect(Array(artifact.weightBytes(1)) == [UInt8](repeating: 7, count: 128))
    }

    @Test func nearestNamesTheChangedField() throws {
        let sample = try Sample()
        #expect(sample.store.nearest(to: Sample.key()) == nil)
        let one = try sample.write(Sample.key(gears: [1, 4]))
        try sample.write(Sample.key(checkpoint: "other", gears: [1, 2, 4]))
        let nearest = try #require(sample.store.nearest(to: Sample.key(gears: [1, 3, 4])))
        #expect(nearest.path == one)
        #expect(nearest.differences.map(\.description) == ["gears: 1,4 → 1,3,4"])
    }

    @Test func nearestIsOfTheSameModel() throws {
        let sample = try Sample()
        try sample.write(model: "first")
        #expect(sample.store.nearest(to: Sample.key(checkpoint: "other", gears: [1]), model: "second") == nil)
        #expect(sample.store.nearest(to: Sample.key(checkpoint: "other"), model: "first")?.differences.map(\.field) == ["checkpoint"])
        #expect(sample.store.nearest(to: Sample.key(gears: [1]), model: "renamed")?.differences.map(\.field).first == "gears")
        // Another model in a directory of the same name.
        var other = Sample.key(checkpoint: "other")
        (other.tensors, other.configs.config) = ("other", "other")
        #expect(sample.store.nearest(to: other, model: "first") == nil)
        #expect(sample.store.nearest(to: Sample.key(checkpoint: "other"), model: "first", isNameOwn: false) == nil)
        #expect(sample.store.nearest(to: Sample.key(gears: [1]), model: "first", isNameOwn: false) != nil)
    }

    @Test func severalArtifactsOfANameAreAllNamed() throws {
        let sample = try Sample()
        let paths = [try sample.write(model: "one"), try sample.write(Sample.key(gears: [1, 2]), model: "one")]
        #expect(try Set(sample.store.findAll("one")) == Set(paths))
        #expect(try sample.store.findAll(String(Sample.key(gears: [1, 2]).digest.prefix(8))) == [paths[1]])
        #expect(throws: ArtifactError.self) { try sample.store.findAll("two") }
        #expect(paths.contains(try sample.store.find("one")))
        #expect(throws: ArtifactError.self) { try sample.store.findOne("one") }
        #expect(try sample.store.findOne(String(Sample.key(gears: [1, 2]).digest.prefix(8))) == paths[1])
        #expect(try sample.store.findOne(Sample.key(gears: [1, 2]).digest) == paths[1])
    }

    @Test func ofManyNamesSomeAreListedWithACount() {
        let error = ArtifactError.ambiguous(name: "a", matches: (1...15).map { "key\($0)" })
        let lines = "\(error)".split(separator: "\n")
        #expect(lines.count == 14 && lines[1] == "  key1" && lines[12] == "  key12" && lines[13] == "  and 3 more", "\(error)")
    }

    /// Nothing else is wrong with the artifact, and nobody has read its weights.
    @Test func damagedWeightsAreNotFoundByTheirKey() throws {
        let sample = try Sample()
        let path = try sample.write()
        #expect(try sample.store.lookup(Sample.key()) { Issue.record("\($0)") } == path)
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: path + "/weights.bin"))
        try file.write(contentsOf: Data([0x55]))
        try file.close()
        var faults: [String] = []
        #expect(try sample.store.lookup(Sample.key()) { faults.append("\($0.fact)") } == nil)
        #expect(faults == ["\(path): section weights.bin is damaged: its SHA-256 differs from the recorded one"])
    }

    @Test func artifactsInUseAreRemovedByForceAlone() throws {
        let sample = try Sample()
        let paths = [try sample.write(model: "one"), try sample.write(Sample.key(gears: [1, 2]), model: "two")]
        let open = try Artifact.open(directory: paths[1])
        #expect(throws: ArtifactError.self) { try sample.store.remove(paths, force: false) }
        #expect(sample.store.list().count == 2)
        try sample.store.remove(paths + [paths[0]], force: true)
        #expect(sample.store.list().isEmpty && Array(open.weightBytes(1)) == Sample.linearBytes)
    }

    /// Weights that are packed anew are the same file again, and artifacts that had others of the same bytes get it.
    @Test func weightsPackedAnewAreShared() throws {
        let sample = try Sample()
        let first = try sample.write()
        let writer = try ArtifactWriter(store: sample.store, key: Sample.key(gears: [1, 2]))
        #expect(try writer.useStoredWeights(weightsKey(0x3f)) != nil)
        let second = try Sample.finish(writer, gears: [1, 2])
        let (before, bytes) = (try inode(first + "/weights.bin"), sample.store.diskUse().reduce(0) { $0 + $1.ownBytes })
        try sample.write()
        #expect(try inode(first + "/weights.bin") == before && inode(second + "/weights.bin") == before)
        #expect(sample.store.diskUse().reduce(0) { $0 + $1.ownBytes } == bytes)
        let third = try sample.write(Sample.key(gears: [2]))
        #expect(try inode(third + "/weights.bin") == before)

        // Damage is shared, and so is what mends it; a time of last use stays.
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: second + "/weights.bin"))
        try file.write(contentsOf: Data([0x55]))
        try file.close()
        var times = [timespec(tv_sec: 1000, tv_nsec: 5), timespec(tv_sec: 1000, tv_nsec: 5)]
        #expect(utimensat(AT_FDCWD, second, &times, 0) == 0)
        try sample.write()
        #expect(try inode(first + "/weights.bin") != before)
        for path in [second, third] {
            #expect(try inode(path + "/weights.bin") == inode(first + "/weights.bin"))
            #expect(try Artifact.verify(directory: path).isEmpty)
        }
        #expect(sample.store.list().last?.path == second && sample.store.list().last?.lastUsed == 1000.000000005)
    }

    @Test func namesFindArtifacts() throws {
        let sample = try Sample()
        let (one, two) = (try sample.write(model: "first"), try sample.write(Sample.key(gears: [1, 2]), model: "second"))
        #expect(try sample.store.find("first") == one)
        #expect(try sample.store.find(String(Sample.key(gears: [1, 2]).digest.prefix(8))) == two)
        #expect(try sample.store.find(one) == one)
        try Artifact.setModelName("owner/second", directory: two)
        #expect(try sample.store.find("owner/second") == two && sample.store.find("second") == two)
        for name in ["second ", "owner/first", "third", "", "/nowhere", "zz"] {
            #expect(throws: ArtifactError.self) { try sample.store.find(name) }
        }
    }

    /// The name is in a file of its own; what is there beside a name does not keep an artifact from being opened.
    @Test func modelsAreRenamed() throws {
        let sample = try Sample()
        let path = try sample.write(model: "old")
        try Artifact.setModelName("new", directory: path)
        #expect(try Artifact.open(directory: path).manifest.provenance.model == "new")
        #expect(try Artifact.verify(directory: path).isEmpty)
        try Artifact.setModelName("old", directory: path)
        #expect(sample.store.list().map(\.manifest.provenance.model) == ["old"])
        #expect(sample.store.listing().map(\.names) == [["old", "new"]])
        for index in 1...9 { try Artifact.setModelName("name\(index)", directory: path) }
        #expect(sample.store.listing().map(\.names) == [(2...9).reversed().map { "name\($0)" } + ["old"]])
        #expect(try sample.store.findOne("name5") == path && sample.store.findAll("old") == [path])
        #expect(throws: ArtifactError.self) { try sample.store.find("new") }
        try Artifact.setModelName("old", directory: path)
        for bytes in [[], [0xFF], Array(repeating: UInt8(ascii: "a"), count: 5000)] {
            try Data(bytes).write(to: URL(fileURLWithPath: path + "/name"))
            #expect(try Artifact.open(directory: path).manifest.provenance.model == "old")
        }
        #expect(throws: ArtifactError.self) { try Artifact.setModelName(String(repeating: "a", count: 5000), directory: path) }
        #expect(try sample.write(model: "newest") == path)
        #expect(try Artifact.manifest(directory: path).provenance.model == "newest")
    }

    @Test func collectionKeepsTheLastUsedAndThoseInUse() throws {
        let sample = try Sample()
        let paths = try [[1], [2], [3], [4]].enumerated().map { index, gears in
            try sample.write(Sample.key(gears: gears), fill: UInt8(index))
        }
        for (index, path) in paths.enumerated() {
            var times = [timespec(tv_sec: 1000 + index, tv_nsec: 0), timespec(tv_sec: 1000 + index, tv_nsec: 0)]
            #expect(utimensat(AT_FDCWD, path, &times, 0) == 0)
        }
        let open = try Artifact.open(directory: paths[0], recordsUse: false)
        let planned = try sample.store.collect(keepLast: 2, maxBytes: nil, dryRun: true)
        #expect(sample.store.list().count == 4)
        let done = try sample.store.collect(keepLast: 2, maxBytes: nil, dryRun: false)
        #expect(planned == done)
        #expect(done.inUse == [paths[0]])
        #expect(done.removed.map(\.path).first == paths[1])
        #expect(sample.store.list().map(\.path) == [paths[3], paths[2], paths[0]])
        #expect(sample.store.reusableWeights()["qkv1"] == nil && sample.store.reusableWeights()["qkv2"] != nil)
        #expect(Array(open.weightBytes(1)) == [UInt8](repeating: 0, count: 128))
    }

    @Test func collectionReachesTheByteLimit() throws {
        let sample = try Sample()
        for gears in [[1], [2], [3]] { try sample.write(Sample.key(gears: gears), fill: UInt8(gears[0])) }
        let total = sample.store.diskUse().reduce(0) { $0 + $1.ownBytes }
        let result = try sample.store.collect(keepLast: nil, maxBytes: total / 2, dryRun: false)
        let left = sample.store.diskUse().reduce(0) { $0 + $1.ownBytes }
        #expect(left <= total / 2 && sample.store.list().count == 1)
        #expect(result.freedBytes == total - left)
        _ = try sample.store.collect(keepLast: 0, maxBytes: nil, dryRun: false)
        #expect(!FileManager.default.fileExists(atPath: sample.store.root))
    }

    /// Weights are not thrown away because nobody can tell what uses them.
    @Test func aStoreThatCannotBeListedIsNotCollected() throws {
        let sample = try Sample()
        _ = try sample.write()
        let artifacts = sample.store.artifactsPath
        try FileManager.default.moveItem(atPath: artifacts, toPath: artifacts + ".away")
        try Data().write(to: URL(fileURLWithPath: artifacts))
        #expect(throws: ArtifactError.self) { try sample.store.collect(keepLast: nil, maxBytes: nil, dryRun: false) }
        try FileManager.default.removeItem(atPath: artifacts)
        try FileManager.default.moveItem(atPath: artifacts + ".away", toPath: artifacts)
        let artifact = try #require(sample.store.list().first)
        #expect(try Artifact.verify(directory: artifact.path).isEmpty)
        #expect(try FileManager.default.contentsOfDirectory(atPath: sample.store.root + "/weights").count == 1)
    }

    @Test func recordsComeBack() throws {
        let sample = try Sample()
        #expect(sample.store.record(.digests, "7-4") == nil)
        try sample.store.setRecord(.digests, "7-4", [42])
        #expect(sample.store.record(.digests, "7-4") == [42])
        try sample.store.setRecord(.machines, "../../escape", [1])
        #expect(!FileManager.default.fileExists(atPath: sample.root + "/escape"))
        #expect(sample.store.record(.machines, "../../escape") == [1])
    }

    @Test func damagedStoredWeightsAreReplacedByFreshOnes() throws {
        let sample = try Sample()
        let path = try sample.write()
        #expect(truncate(path + "/weights.bin", 10) == 0)
        let writer = try ArtifactWriter(store: sample.store, key: Sample.key())
        #expect(try writer.useStoredWeights(weightsKey(0x3f)) == nil)
        writer.cancel()
        try sample.write()
        #expect(try Artifact.verify(directory: path).isEmpty)
        #expect(sample.store.reusableWeights()["norm"] != nil)
    }
}
