import ArtifactFormat
import ArtifactSamples
import CPUBackend
import Compiler
import Foundation
import ModelRuntime
import Plan
import Seeded

extension FuzzTarget {
    /// Artifacts with one other value or some other bytes and digests that agree again: refused, or they answer a request. An
    /// input is the seed of the mutation, in digits.
    static let artifact = FuzzTarget("artifact", secondsMax: 20) { dice, _ in
        Array("\(dice.next())".utf8)
    } check: { input in
        guard let seed = UInt64(String(decoding: input, as: UTF8.self)) else { return }
        let whole = try WholeArtifact.shared.get().path
        let path = "\(whole)-\(seed)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try FileManager.default.copyItem(atPath: whole, toPath: path)
        try Mutation.apply(seed: seed, to: path)
        // A refusal is an answer.
        _ = try? WholeArtifact.use(path)
    }
}

/// The artifact of a tiny model, compiled for this machine into a store that goes with the process.
private final class WholeArtifact: Sendable {
    static let shared = Result { try WholeArtifact() }

    private static let root = "\(NSTemporaryDirectory())/fuzz-\(getpid())-artifact"

    let path: String

    private init() throws {
        atexit { try? FileManager.default.removeItem(atPath: WholeArtifact.root) }
        let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
        let directory = tests + "/EndToEndTests/Fixtures/qwen2_vl_hubstyle"
        let store = Store(root: Self.root)
        var compilation = try Compilation(
            ModelSource(directory: directory, store: store), options: CompileOptions(directory: directory, target: .best(for: CPUBackend.features)), store: store,
            machine: .current(store)
        ) { _ in }
        compilation.golden = { artifact throws(ArtifactError) in
            do { return try SelfTest.record(artifact, on: CPUBackend(threads: 1)) } catch { throw .refused("\(error)") }
        }
        path = Self.root + "/whole"
        try FileManager.default.copyItem(atPath: compilation.run().artifact, toPath: path)
    }

    /// What `show`, `verify` and `serve` do with an artifact.
    static func use(_ path: String) throws {
        let artifact = try Artifact.open(directory: path, recordsUse: false)
        _ = artifact.planListings(entry: nil)
        _ = try? artifact.passLog()
        for (stage, entry) in artifact.irSections { _ = (try? artifact.ir(stage: stage, entry: entry)).map { GraphOutline(text: $0).svg() } }
        try artifact.checkWeights()
        if let golden = try artifact.golden() { _ = SelfTest.mismatch(golden, of: artifact, on: CPUBackend(threads: 1)) }
        _ = try SelfTest.record(artifact, on: CPUBackend(threads: 1))
    }
}
