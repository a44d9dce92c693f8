import ArtifactFormat
import CPUBackend
import Execution
import Plan

/// The golden self-test: a short prompt and the logits that this machine computes for it.
enum SelfTest {
    /// Runs the artifact; nil when it cannot run here.
    static func record(_ artifact: Artifact) -> Golden? {
        let limit = min(16, artifact.program.limits.maxBatchedTokens, artifact.program.limits.maxModelLength)
        let tokens = (0..<limit).map { Int32(($0 * 7919 + 13) % artifact.program.vocabularySize) }
        guard let logits = try? logits(of: artifact, tokens) else { return nil }
        let largest = logits.reduce(0) { max($0, abs($1)) }
        return Golden(tokens: tokens, logits: logits, tolerance: 0.02 * max(largest, 1))
    }

    /// The logits after the last of `tokens`, at positions 0, 1, ….
    static func logits(of artifact: Artifact, _ tokens: [Int32]) throws(BackendError) -> [Float] {
        let model = try CPUBackend().load(artifact)
        let blockSize = 16
        let blocks = (tokens.count + blockSize - 1) / blockSize
        try model.reserveKV(blockSize: blockSize, blockCount: blocks)
        let io = model.makeStepIO(maxBlocks: blocks)
        io.fill(prompt: tokens)
        try model.run(.extend, io)
        return Array(io.logits[..<io.vocabularySize])
    }
}
