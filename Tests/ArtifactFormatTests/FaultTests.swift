import ArtifactFormat
import ArtifactSamples
import Foundation
import Glibc
import Plan
import Testing

@Suite struct FaultTests {
    static let sections = [
        "program.json", "weights.json", "weights.bin", "tokenizer.bin", "chat_template.jinja", "passes.json",
        "ir/fused.extend.vir.zst", "manifest.json",
    ]
    static let lateSections: Set = ["weights.bin", "passes.json", "ir/fused.extend.vir.zst"]

    private func flip(_ path: String, at offset: Int) throws {
        var bytes = try #require(FileManager.default.contents(atPath: path))
        bytes[offset] ^= 4
        try bytes.write(to: URL(fileURLWithPath: path))
    }

    /// The message with which opening fails; nil when it does not.
    private func failure(_ path: String) -> String? {
        do throws(ArtifactError) {
            _ = try Artifact.open(directory: path)
            return nil
        } catch {
            return error.description
        }
    }

    @Test(arguments: sections) func flippedByteIsNamed(_ section: String) throws {
        let sample = try Sample()
        let path = try sample.write()
        let size = try #require(FileManager.default.contents(atPath: "\(path)/\(section)")).count
        for offset in [0, size / 2, size - 1] {
            try flip("\(path)/\(section)", at: offset)
            let failures: [String]
            do throws(ArtifactError) {
                failures = try Artifact.verify(directory: path).map(\.description)
            } catch {
                failures = [error.description]
            }
            #expect(failures.count == 1 && failures[0].contains("section \(section) is damaged"))
            if !Self.lateSections.contains(section) { #expect(failure(path)?.contains("section \(section)") == true) }
            try flip("\(path)/\(section)", at: offset)
        }
        #expect(try Artifact.verify(directory: path).isEmpty)
    }

    /// Weights, what lies between them, and what follows the last.
    @Test func everyByteOfTheWeightsIsChecked() throws {
        let sample = try Sample()
        let path = try sample.write()
        try Artifact.open(directory: path).checkWeights()
        let size = try #require(FileManager.default.contents(atPath: "\(path)/weights.bin")).count
        for offset in Array(stride(from: 0, to: size, by: max(size / 97, 1))) + [size - 1] {
            try flip("\(path)/weights.bin", at: offset)
            #expect(throws: ArtifactError.self, "byte \(offset) of \(size)") { try Artifact.open(directory: path).checkWeights() }
            try flip("\(path)/weights.bin", at: offset)
        }
    }

    /// The store remembers the file whose sums held; a change is found although size and time of contents are what they were.
    @Test func weightsAreReadAgainOnceTheyChange() throws {
        let sample = try Sample()
        let path = try sample.write()
        let weights = "\(path)/weights.bin"
        let later = time(nil) + 10
        let artifact = try Artifact.open(directory: path)
        let size = artifact.weights.reduce(0) { $0 + $1.byteCount }
        // Too soon after the change to be remembered.
        #expect(try artifact.checkWeights() == size)
        #expect(try artifact.checkWeights(now: later) == size)
        #expect(try artifact.checkWeights(now: later) == 0)
        #expect(try Artifact.open(directory: path).checkWeights(now: later) == 0)

        var status = stat()
        try #require(stat(weights, &status) == 0)
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: weights))
        let byte = try #require(try handle.read(upToCount: 1)?.first)
        try handle.seek(toOffset: 0)
        try handle.write(contentsOf: [byte ^ 4])
        try handle.close()
        let times = [status.st_atim, status.st_mtim]
        try #require(utimensat(AT_FDCWD, weights, times, 0) == 0)
        #expect(throws: ArtifactError.self) { try Artifact.open(directory: path).checkWeights(now: later) }
        #expect(throws: ArtifactError.self) { try artifact.checkWeights(now: later) }
    }

    @Test func damagedIRIsNamedWhenRead() throws {
        let sample = try Sample()
        let path = try sample.write()
        try flip("\(path)/ir/fused.extend.vir.zst", at: 9)
        let artifact = try Artifact.open(directory: path)
        #expect(throws: ArtifactError.self) { try artifact.ir(stage: "fused", entry: "extend") }
    }

    /// One zstd frame of as many zeros as `blocks` blocks of 128 KiB hold.
    private func zeros(blocks: Int) -> [UInt8] {
        let size = withUnsafeBytes(of: UInt64(blocks << 17).littleEndian) { Array($0) }
        var frame: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, 0xC0, 0x58] + size
        for block in 1...blocks {
            let header = (1 << 17) << 3 | 1 << 1 | (block == blocks ? 1 : 0)
            frame += [UInt8(header & 255), UInt8(header >> 8 & 255), UInt8(header >> 16), 0]
        }
        return frame
    }

    @Test func whatUnpacksToMoreThanIsReadIsRefused() throws {
        let sample = try Sample()
        let writer = try ArtifactWriter(store: sample.store, key: Sample.key())
        try Sample.fill(writer, with: 1)
        for (entry, blocks) in [("small", 8), ("bomb", 513)] {
            try writer.write(#require(SectionName.ir(stage: "fused", entry: entry)), zeros(blocks: blocks))
        }
        let large = try #require(SectionName.ir(stage: "fused", entry: "large"))
        #expect(throws: ArtifactError.self) { try writer.writeCompressed(large, [UInt8](repeating: 0, count: 513 << 17)) }
        let artifact = try Artifact.open(directory: Sample.finish(writer, gears: [1, 4]))
        #expect(try artifact.ir(stage: "fused", entry: "small").utf8.count == 8 << 17)
        #expect(throws: ArtifactError.self) { try artifact.ir(stage: "fused", entry: "bomb") }
    }

    @Test(arguments: sections.dropLast()) func truncatedAndMissingAreNamed(_ section: String) throws {
        let sample = try Sample()
        let path = try sample.write()
        #expect(truncate("\(path)/\(section)", 1) == 0)
        #expect(failure(path)?.contains("section \(section) is truncated") == true)
        unlink("\(path)/\(section)")
        #expect(failure(path)?.contains("section \(section) is missing") == true)
    }

    @Test func missingManifestIsNoArtifact() throws {
        let sample = try Sample()
        let path = try sample.write()
        unlink("\(path)/manifest.json")
        #expect(failure(path)?.contains("is not an artifact") == true)
        #expect(failure(sample.root + "/nowhere")?.contains("does not exist") == true)
        try Data("{}".utf8).write(to: URL(fileURLWithPath: path + "/config.json"))
        #expect(failure(path)?.hasSuffix("compile it first: vlmc compile \(path)") == true)
        #expect(failure("/proc/self/exe")?.contains("is not an artifact") == true)
    }

    @Test func newerFormatNamesBothVersions() throws {
        let sample = try Sample()
        let path = try sample.write()
        let manifest = try String(contentsOfFile: path + "/manifest.json", encoding: .utf8)
        let newer = manifest.replacing("\"formatVersion\" : \(Manifest.formatVersion)", with: "\"formatVersion\" : 999")
        try newer.write(toFile: path + "/manifest.json", atomically: true, encoding: .utf8)
        let message = try #require(failure(path))
        #expect(message.contains("format 999") && message.contains("format \(Manifest.formatVersion)"))
        #expect(try sample.store.lookup(Sample.key()) == nil)
    }

    @Test func otherTargetNamesFeatureAndCommand() throws {
        let sample = try Sample()
        let artifact = try Artifact.open(directory: sample.write(Sample.key(target: .cpuAVX512BF16)))
        try artifact.requireRunnable(on: Target.cpuAVX512BF16.features)
        do throws(ArtifactError) {
            try artifact.requireRunnable(on: Target.cpuAVX512VNNI.features)
            Issue.record("ran without avx512_bf16")
        } catch {
            #expect(error.description.contains("has no avx512_bf16"))
            #expect(error.description.contains("vlmc compile --target cpu-avx512-vnni"))
        }
    }

    @Test func killedWriterLeavesStoreValid() async throws {
        let sample = try Sample()
        let kept = try sample.write()
        await #expect(processExitsWith: .signal(SIGKILL)) { [root = sample.root as String] in
            let store = Store(root: root + "/store")
            let lock = try store.buildLock(Sample.key(gears: [2]))
            let writer = try ArtifactWriter(store: store, key: Sample.key(gears: [2]))
            try Sample.fill(writer, with: 9)
            try writer.write(.tokenizer, [1])
            kill(getpid(), SIGKILL)
            lock.release()
        }
        let temporary = sample.store.root + "/tmp"
        #expect(try FileManager.default.contentsOfDirectory(atPath: temporary).count == 1)
        #expect(try sample.store.lookup(Sample.key()) == kept)
        #expect(sample.store.list().count == 1)
        let lock = try sample.store.buildLock(Sample.key(gears: [2])) { Issue.record("waited for a dead owner") }
        try sample.write(Sample.key(gears: [2]))
        lock.release()
        #expect(!FileManager.default.fileExists(atPath: temporary))
        #expect(sample.store.list().count == 2)
    }

    @Test func fullDiskIsAnErrorAndLeavesNothing() async throws {
        let sample = try Sample()
        await #expect(processExitsWith: .success) { [root = sample.root as String] in
            var limit = rlimit(rlim_cur: 6000, rlim_max: 6000)
            setrlimit(__rlimit_resource_t(1), &limit)
            let store = Store(root: root + "/store")
            do throws(ArtifactError) {
                let writer = try ArtifactWriter(store: store, key: Sample.key())
                defer { writer.cancel() }
                try [UInt8](repeating: 1, count: 9000).withUnsafeBytes { bytes in
                    Result { () throws(ArtifactError) in
                        _ = try writer.appendWeight(
                            name: "w", layout: .plain, shape: [2250], key: "w", sources: [], bytes: bytes)
                    }
                }.get()
                exit(1)
            } catch .diskFull {
                exit(FileManager.default.fileExists(atPath: root + "/store") ? 2 : 0)
            } catch {
                exit(3)
            }
        }
    }

    @Test func secondBuilderWaitsAndFindsTheFirstsWork() async throws {
        let sample = try Sample()
        let (store, key) = (sample.store, Sample.key())
        let (waits, waiting) = AsyncStream<Void>.makeStream()
        let first = try store.buildLock(key)
        let second = Task.detached {
            let lock = try store.buildLock(key) { waiting.yield() }
            defer { lock.release() }
            return try store.lookup(key)
        }
        for await _ in waits { break }
        let path = try sample.write()
        first.release()
        #expect(try await second.value == path)
    }

    @Test func unfinishedWriterDisappears() throws {
        let sample = try Sample()
        do {
            let writer = try ArtifactWriter(store: sample.store, key: Sample.key())
            try Sample.fill(writer, with: 1)
        }
        #expect(!FileManager.default.fileExists(atPath: sample.store.root))
        let output = sample.root + "/a/b/out"
        do {
            let writer = try ArtifactWriter(store: sample.store, key: Sample.key(), output: output)
            try Sample.fill(writer, with: 1)
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: sample.root).isEmpty)
    }

    @Test func othersUnfinishedWorkIsSpared() throws {
        let sample = try Sample()
        let slow = try ArtifactWriter(store: sample.store, key: Sample.key(gears: [8]))
        try Sample.fill(slow, with: 1)
        try sample.write()
        _ = try sample.store.collect(keepLast: nil, maxBytes: nil, dryRun: false)
        let path = try Sample.finish(slow, gears: [8])
        #expect(try Artifact.verify(directory: path).isEmpty)
    }

    @Test func replacedArtifactStaysReadable() throws {
        let sample = try Sample()
        let old = try Artifact.open(directory: sample.write())
        let new = try Artifact.open(directory: sample.write(fill: 0x11))
        #expect(Array(old.weightBytes(1)) == Sample.linearBytes)
        #expect(Array(new.weightBytes(1)) == [UInt8](repeating: 0x11, count: 128))
        try sample.store.remove([new.path], force: true)
        #expect(Array(new.weightBytes(1)) == [UInt8](repeating: 0x11, count: 128))
    }

    @Test func artifactMayBeOpenedWhileItIsRebuilt() async throws {
        let sample = try Sample()
        let path = try sample.write()
        let reader = Task.detached {
            for _ in 0..<200 { _ = try Artifact.open(directory: path) }
        }
        for fill in 0..<20 { try sample.write(fill: UInt8(fill)) }
        try await reader.value
    }

    @Test func outputThatIsNoArtifactIsSpared() throws {
        let sample = try Sample()
        let output = sample.root + "/mine"
        try FileManager.default.createDirectory(atPath: output, withIntermediateDirectories: false)
        try Data([1]).write(to: URL(fileURLWithPath: output + "/precious"))
        #expect(throws: ArtifactError.self) { try sample.write(output: output) }
        #expect(FileManager.default.contents(atPath: output + "/precious") == Data([1]))
        unlink(output + "/precious")
        #expect(try sample.write(output: output) == output)
        #expect(try sample.write(fill: 3, output: output) == output)
        #expect(try Artifact.open(directory: output).weights[1].key == "qkv3")
        #expect(try FileManager.default.contentsOfDirectory(atPath: sample.root).sorted() == ["mine", "store"])
    }
}
