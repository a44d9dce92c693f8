import ArtifactFormat
import CPUBackend
import Execution
import Plan

/// Runs golden self-tests on the backend of this machine.
enum SelfTest {
    /// What is wrong with the logits this machine computes; nil when the test passes.
    static func run(_ golden: Golden, of artifact: Artifact) -> String? {
        do throws(BackendError) {
            return golden.mismatch(try logits(of: artifact, after: golden.tokens))
        } catch {
            return error.description
        }
    }

    private static func logits(of artifact: Artifact, after tokens: [Int32]) throws(BackendError) -> [Float] {
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
