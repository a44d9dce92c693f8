package import ArtifactFormat
import Plan

/// The golden self-test of artifacts: a short text and the logits that a backend computes after it.
///
/// The first half of the text is prefilled, the others are decoded one by one, in all gears by turns.
package enum SelfTest {
    /// Tokens of a recorded prompt, unless the artifact takes fewer.
    private static let promptLength = 16
    /// Largest difference that passes, as a share of the largest logit: other machines choose other kernels.
    private static let tolerance: Float = 0.02

    /// Runs the artifact and records what it answers; nil when the backend cannot run it.
    package static func record(_ artifact: Artifact, on backend: some Backend) -> Golden? {
        let limits = artifact.program.limits
        let count = min(promptLength, limits.maxBatchedTokens, limits.maxModelLength)
        let tokens = (0..<count).map { Int32(($0 * 7919 + 13) % artifact.program.vocabularySize) }
        guard let logits = try? logits(of: artifact, after: tokens, on: backend) else { return nil }
        let largest = logits.reduce(0) { max($0, abs($1)) }
        return Golden(tokens: tokens, logits: logits, tolerance: tolerance * max(largest, 1))
    }

    /// What is wrong with the logits that the backend computes; nil when the test passes.
    package static func mismatch(_ golden: Golden, of artifact: Artifact, on backend: some Backend) -> String? {
        do throws(BackendError) {
            return golden.mismatch(try logits(of: artifact, after: golden.tokens, on: backend))
        } catch {
            return error.description
        }
    }

    private static func logits(
        of artifact: Artifact, after tokens: [Int32], on backend: some Backend
    ) throws(BackendError) -> [Float] {
        let model = try backend.load(artifact)
        let (axes, gears) = (model.program.positionAxes, model.program.limits.gears)
        let prefilled = tokens[..<((tokens.count + 1) / 2)]
        let prompt = SingleSequence.Prompt(
            ids: Array(prefilled), positions: (0..<axes).flatMap { _ in prefilled.indices.map { Int32($0) } },
            imageRows: prefilled.map { _ in -1 }, embeddings: [])
        let sequence = try SingleSequence(model, capacity: tokens.count)
        var logits = try sequence.prefill(prompt)
        for position in prefilled.count..<tokens.count {
            let gear = gears[position % gears.count]
            logits = try sequence.decode(tokens[position], position: Int32(position), gear: gear)
        }
        return logits
    }
}
