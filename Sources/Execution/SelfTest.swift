package import ArtifactFormat
import Plan

/// The golden self-test of artifacts: a short text and the logits that a backend computes after it.
///
/// The beginning of the text is prefilled, then each gear decodes one more token.
package enum SelfTest {
    /// Tokens of a recorded text that are prefilled, unless the artifact takes fewer.
    private static let prefilledLength = 8
    /// Largest difference that passes, as a share of the largest logit: other machines choose other kernels.
    private static let tolerance: Float = 0.02

    /// Runs the artifact and records what it answers.
    package static func record(_ artifact: Artifact, on backend: some Backend) throws(BackendError) -> Golden {
        let limits = artifact.program.limits
        let count = min(prefilledLength + limits.gears.count, limits.maxModelLength)
        let tokens = (0..<count).map { Int32(($0 * 7919 + 13) % artifact.program.vocabularySize) }
        let logits = try logits(of: artifact, after: tokens, on: backend)
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
        let prefilled = tokens.prefix(prefilledLength)
        let prompt = SingleSequence.Prompt(
            ids: Array(prefilled), positions: (0..<axes).flatMap { _ in prefilled.indices.map { Int32($0) } },
            imageRows: prefilled.map { _ in -1 }, embeddings: [])
        let sequence = try SingleSequence(model, capacity: tokens.count)
        var logits = try sequence.prefill(prompt)
        for position in prefilled.count..<tokens.count {
            let gear = gears[(position - prefilled.count) % gears.count]
            logits = try sequence.decode(tokens[position], position: Int32(position), gear: gear)
        }
        return logits
    }
}
