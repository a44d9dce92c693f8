import Plan

/// The self-test an artifact carries: a request, what it becomes, and the logits that follow it.
package struct Golden: Sendable, Hashable {
    /// A question that goes the way of a server's requests, and what the artifact made of it when it was compiled.
    package struct Request: Sendable, Hashable, Codable {
        package var question: String
        /// The image that stands before the question, a PNG file; nil where the artifact takes none.
        package var image: [UInt8]?
        /// i32[axes, tokens]: rotary positions, axis after axis.
        package var positions: [Int32]
        /// SHA-256 of the image's patches and of where they lie; empty without an image.
        package var patches: String

        package init(question: String, image: [UInt8]?, positions: [Int32], patches: String) {
            self.question = question
            self.image = image
            self.positions = positions
            self.patches = patches
        }
    }

    /// Nil for an artifact that answers no chats: then the prompt's tokens stand for themselves at positions 0, 1, ….
    package var request: Request?
    /// The tokens that are read first.
    package var prompt: [Int32]
    /// The tokens that are decoded behind it, one for each gear.
    package var continuation: [Int32]
    /// The logits of the last token.
    package var logits: [Float]
    /// The largest absolute difference that passes.
    package var tolerance: Float

    package init(request: Request?, prompt: [Int32], continuation: [Int32], logits: [Float], tolerance: Float) {
        self.request = request
        self.prompt = prompt
        self.continuation = continuation
        self.logits = logits
        self.tolerance = tolerance
    }

    /// The largest difference that passes, as a share of the largest logit: other machines choose other kernels.
    package static let toleratedShare: Float = 0.02

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
    var request: Golden.Request?
    var prompt: [Int32]
    var continuation: [Int32]
    var tolerance: Float
}

extension Artifact {
    /// The self-test; nil when the artifact carries none.
    package func golden() throws(ArtifactError) -> Golden? {
        guard has(.golden) else { return nil }
        let stored = try JSONCoding.decode(
            StoredGolden.self, from: section(.golden), path: path, section: SectionName.golden.path)
        func malformed(_ name: SectionName, _ reason: String) -> ArtifactError {
            .malformed(path: path, section: name.path, reason: reason)
        }
        let bytes = try section(.goldenData)
        guard bytes.count == 4 * program.vocabularySize else { throw malformed(.goldenData, "it does not hold a logit for each token") }
        let tokens = stored.prompt + stored.continuation
        guard !stored.prompt.isEmpty, tokens.allSatisfy({ $0 >= 0 && Int($0) < program.vocabularySize }),
            tokens.count <= program.limits.maxModelLength
        else { throw malformed(.golden, "its tokens do not fit the model") }
        if let request = stored.request, request.positions.count != program.positionAxes * stored.prompt.count {
            throw malformed(.golden, "request.positions are not one for each axis and token")
        }
        let logits = bytes.withUnsafeBytes { bytes in
            (0..<program.vocabularySize).map { index in
                Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self)))
            }
        }
        let largest = logits.reduce(1) { max($0, abs($1)) }
        guard stored.tolerance >= 0, stored.tolerance <= 1.01 * Golden.toleratedShare * largest else {
            throw malformed(.golden, "tolerance is \(stored.tolerance), more than a self-test is recorded with")
        }
        return Golden(
            request: stored.request, prompt: stored.prompt, continuation: stored.continuation, logits: logits, tolerance: stored.tolerance)
    }
}

extension ArtifactWriter {
    /// Writes the self-test.
    func write(_ golden: Golden) throws(ArtifactError) {
        let stored = StoredGolden(
            request: golden.request, prompt: golden.prompt, continuation: golden.continuation, tolerance: golden.tolerance)
        try write(.golden, JSONCoding.encode(stored))
        let bytes = golden.logits.flatMap { withUnsafeBytes(of: $0.bitPattern.littleEndian, Array.init) }
        try write(.goldenData, bytes)
    }
}
