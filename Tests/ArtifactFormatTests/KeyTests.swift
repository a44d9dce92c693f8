import ArtifactFormat
import ArtifactSamples
import Foundation
import Plan
import Tensors
import Testing

@Suite struct KeyTests {
    static let changes: [(String, @Sendable (inout ArtifactKey) -> Void)] = [
        ("format", { $0.formatVersion += 1 }), ("compiler", { $0.compiler = "later" }), ("checkpoint", { $0.checkpoint = "bad" }),
        ("tensors", { $0.tensors = "bad" }), ("config", { $0.configs.config = "bad" }),
        ("generation config", { $0.configs.generation = "bad" }), ("tokenizer", { $0.configs.tokenizer = "bad" }),
        ("processor", { $0.configs.processor = "bad" }), ("chat template", { $0.configs.template = "bad" }),
        ("pipeline", { $0.pipeline[0].version = 2 }), ("rewrite limit", { $0.rewriteLimit = 0 }), ("target", { $0.target = .cpuAVX2 }),
        ("precision", { $0.precision = .exact }), ("quantize", { $0.rounding = .int8 }),
        ("adapters", { $0.takesAdapters = true }), ("arithmetic", { $0.arithmetic = .int8 }),
        ("gears", { $0.limits.gears = [1, 2, 4] }), ("max-num-seqs", { $0.limits.maxSequences = 9 }),
        ("max-model-len", { $0.limits.maxModelLength = 9 }),
        ("max-num-batched-tokens", { $0.limits.maxBatchedTokens = 9 }), ("max-patches", { $0.limits.maxPatches = 9 }),
        ("kv element", { $0.kvElement = .bf16 }),
    ]

    @Test(arguments: changes.indices) func everyFieldChangesTheDigestAndIsNamed(_ index: Int) {
        var key = Sample.key()
        Self.changes[index].1(&key)
        #expect(key.digest != Sample.key().digest)
        #expect(key.difference(from: Sample.key()).map(\.field) == [Self.changes[index].0])
        #expect((key.programKey == Sample.key().programKey) == (Self.changes[index].0 == "checkpoint"))
    }

    /// What layers were calibrated on, and how far off they may be, is said with what they are rounded to.
    @Test func calibrationAndBoundAreSaid() {
        var key = Sample.key()
        key.rounding = .awqInt4
        var keys = [key, key, key]
        keys[1].calibration = "0123456789abcdef0123456789abcdef0123"
        keys[2].calibration = keys[1].calibration
        keys[2].roundingBound = 0.05
        func quantize(_ key: ArtifactKey) -> String? { key.fields.first { $0.name == "quantize" }?.value }
        #expect(keys.map(quantize) == ["awq-int4", "awq-int4 calibrated on 0123456789abcdef0123456789abcdef", "awq-int4 calibrated on 0123456789abcdef0123456789abcdef within 0.05"])
        #expect(Set(keys.map(\.digest)).count == 3)
    }

    @Test func everyFieldIsTested() {
        #expect(Sample.key().fields.map(\.name) == Self.changes.map(\.0))
    }

    @Test func storeIsFoundByTheRule() throws {
        let all = ["VLM_STORE": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"]
        #expect(try Store.resolve(option: "/o", environment: all).root == "/o")
        #expect(try Store.resolve(option: nil, environment: all).root == "/a")
        #expect(try Store.resolve(option: nil, environment: ["XDG_CACHE_HOME": "/b", "HOME": "/c"]).root == "/b/vlm")
        #expect(try Store.resolve(option: nil, environment: ["VLM_STORE": "", "HOME": "/c"]).root == "/c/.cache/vlm")
        #expect(throws: ArtifactError.self) { try Store.resolve(option: nil, environment: [:]) }
    }
}
