import Plan

/// The self-test an artifact carries: a text and the logits that follow it.
package struct Golden: Sendable, Hashable {
    /// The text, at positions 0, 1, …
    package var tokens: [Int32]
    /// The logits of the last token.
    package var logits: [Float]
    /// The largest absolute difference that passes.
    package var tolerance: Float

    package init(tokens: [Int32], logits: [Float], tolerance: Float) {
        self.tokens = tokens
        self.logits = logits
        self.tolerance = tolerance
    }

    /// What is wrong with `found`, in words; nil when it passes.
    package func mismatch(_ found: [Float]) -> String? {
        guard found.count == logits.count else { return "\(found.count) logits instead of \(logits.count)" }
        var worst: Float = 0
        for (found, expected) in zip(found, logits) {
            guard found.isFinite else { return "a logit is \(found)" }
            worst = max(worst, abs(found - expected))
        }
        return worst <= tolerance ? nil : "logits differ by up to \(worst), \(tolerance) is allowed"
    }
}

/// `golden.json`; the logits stand in `golden.bin`.
private struct StoredGolden: Codable {
    var tokens: [Int32]
    var count: Int
    var tolerance: Float
}

extension Artifact {
    /// The self-test; nil when the artifact carries none.
    package func golden() throws(ArtifactError) -> Golden? {
        guard has(.golden) else { return nil }
        let stored = try JSONCoding.decode(
            StoredGolden.self, from: section(.golden), path: path, section: SectionName.golden.path)
        let bytes = try section(.goldenData)
        guard stored.count > 0, bytes.count / 4 == stored.count, bytes.count % 4 == 0 else {
            throw .malformed(path: path, section: SectionName.goldenData.path, reason: "it does not hold the logits")
        }
        guard !stored.tokens.isEmpty,
            stored.tokens.allSatisfy({ $0 >= 0 && Int($0) < program.vocabularySize }),
            stored.tokens.count <= program.limits.maxModelLength
        else { throw .malformed(path: path, section: SectionName.golden.path, reason: "its tokens do not fit the model") }
        let logits = bytes.withUnsafeBytes { bytes in
            (0..<stored.count).map { index in
                Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self)))
            }
        }
        return Golden(tokens: stored.tokens, logits: logits, tolerance: stored.tolerance)
    }
}

extension ArtifactWriter {
    /// Writes the self-test.
    func write(_ golden: Golden) throws(ArtifactError) {
        let stored = StoredGolden(tokens: golden.tokens, count: golden.logits.count, tolerance: golden.tolerance)
        try write(.golden, JSONCoding.encode(stored))
        let bytes = golden.logits.flatMap { withUnsafeBytes(of: $0.bitPattern.littleEndian, Array.init) }
        try write(.goldenData, bytes)
    }
}
