import ArtifactFormat
import ArtifactSamples
import Foundation
import Testing

/// A key is predictable, so that what others may have put under it is not used.
@Suite struct TrustTests {
    private func mode(_ path: String) throws -> mode_t {
        var status = stat()
        try #require(lstat(path, &status) == 0)
        return status.st_mode & 0o777
    }

    private func refusal(_ body: () throws -> Void) -> String {
        do {
            try body()
            return ""
        } catch {
            return "\(error)"
        }
    }

    @Test func aNewStoreIsItsUsersAloneWhateverTheMask() async throws {
        let sample = try Sample()
        await #expect(processExitsWith: .success) { [root = sample.root as String] in
            umask(0)
            let store = Store(root: root + "/store")
            let writer = try ArtifactWriter(store: store, key: Sample.key())
            try Sample.fill(writer, with: 1)
            _ = try Sample.finish(writer, gears: [1, 4])
            try store.setRecord(.machines, "here", [1])
            exit(0)
        }
        #expect(try mode(sample.store.root) == 0o700)
        for name in try FileManager.default.subpathsOfDirectory(atPath: sample.store.root) {
            #expect(try mode("\(sample.store.root)/\(name)") & 0o022 == 0, "\(name)")
        }
        try sample.store.requireTrusted()
        #expect(try sample.store.lookup(Sample.key()) != nil)
    }

    @Test(arguments: ["", "/artifacts", "/weights", "/tmp", "/records/digests"]) func aStoreThatOthersMayWriteToIsRefused(_ part: String) throws {
        let sample = try Sample()
        try sample.write()
        let path = sample.store.root + part
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        for mode in [0o775, 0o757] as [mode_t] {
            #expect(chmod(path, mode) == 0)
            let words = refusal { try sample.store.requireTrusted() }
            #expect(words.contains("\(path) may be written to by others") && words.contains("--trust-store"), "\(words)")
            try Store(root: sample.store.root, trustsOthers: true).requireTrusted()
        }
        #expect(chmod(path, 0o755) == 0)
        try sample.store.requireTrusted()
    }

    @Test(arguments: ["", "/weights.bin", "/ir", "/ir/fused.extend.vir.zst"]) func anEntryThatOthersMayWriteToIsRefused(_ part: String) throws {
        let sample = try Sample()
        let path = try sample.write()
        #expect(chmod(path + part, 0o777) == 0)
        let store = sample.store
        for run in [
            { _ = try store.lookup(Sample.key()) }, { _ = try store.find(Sample.key().digest) }, { _ = try store.find(path) },
            { _ = try Store.checkTrust(artifact: path, trustsOthers: false) },
        ] {
            #expect(refusal(run).contains("may be written to by others"))
        }
        #expect(store.list().isEmpty && store.unreadable().count == 1)
        let trusting = Store(root: store.root, trustsOthers: true)
        #expect(try trusting.lookup(Sample.key()) == path && trusting.list().count == 1)
    }

    /// Whoever names a path has chosen its owner, but may not know who else writes there.
    @Test func anArtifactElsewhereIsServedWithAWarning() throws {
        let sample = try Sample()
        let path = try sample.write(output: sample.root + "/elsewhere")
        #expect(try Store.checkTrust(artifact: path, trustsOthers: false) == nil)
        #expect(chmod(path + "/weights.bin", 0o666) == 0)
        #expect(try Store.checkTrust(artifact: path, trustsOthers: false)?.contains("weights.bin may be written to by others") == true)
        #expect(try Store.checkTrust(artifact: path, trustsOthers: true) == nil)
    }

    /// Only root may give a directory away.
    @Test(.enabled(if: geteuid() == 0)) func anotherUsersStoreIsRefused() throws {
        let sample = try Sample()
        let path = try sample.write()
        #expect(chown(path, 12345, 12345) == 0)
        #expect(refusal { _ = try sample.store.lookup(Sample.key()) }.contains("belongs to user 12345"))
        #expect(chown(path, 0, 0) == 0 && chown(sample.store.root, 12345, 12345) == 0)
        #expect(refusal { try sample.store.requireTrusted() }.contains("belongs to user 12345"))
    }

    @Test func theEnvironmentAllows() throws {
        for (value, allows) in [("1", true), ("yes", true), ("True", true), ("0", false), ("false", false), ("", false)] {
            #expect(try Store.resolve(option: "/o", environment: ["VLM_TRUST_STORE": value]).trustsOthers == allows)
        }
        #expect(try Store.resolve(option: "/o", environment: [:], trustsOthers: true).trustsOthers)
        for value in ["maybe", "2", "-1", " "] {
            let error = #expect(throws: ArtifactError.self) { try Store.resolve(option: "/o", environment: ["VLM_TRUST_STORE": value], trustsOthers: true) }
            #expect(error?.description == "VLM_TRUST_STORE=\(value) is neither 0 nor 1")
        }
    }
}
