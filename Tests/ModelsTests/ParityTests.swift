import Foundation
import Models
import Reference
import Testing

/// The traced mathematics, evaluated by Reference, against what transformers computed in float32 from the same weights.
@Suite struct ParityTests {
    static let differenceMax: Float = 2e-4

    /// f32 untied, f16 of the 4.52 names, bf16 tied flat and sharded, wide heads, AWQ with groups of 32 and 64.
    @Test(arguments: ["qwen2_vl", "qwen2_vl_v452", "qwen2_vl_hubstyle", "qwen2_vl_wide_head", "qwen2_vl_awq", "qwen2_vl_awq64"])
    func tinyModels(name: String) throws {
        let directory = Oracle.fixtures + "/" + name
        try check(Oracle(model: directory, reference: directory), name)
    }

    @Test(arguments: ["one_picture", "two_pictures", "text_only"])
    func demoModel(name: String) throws {
        try check(Oracle(model: Oracle.demoModel, reference: Oracle.fixtures + "/demo_reference/" + name), name)
    }

    private func check(_ oracle: Oracle, _ name: String) throws {
        let features = try oracle.imageFeatures()
        var report = "\(name):"
        func expectEqual(_ what: String, _ ours: some Collection<Float>, _ theirs: some Collection<Float>) {
            let (difference, cosine) = compare(ours, theirs)
            report += " \(what) \(difference)"
            #expect(difference <= Self.differenceMax, "\(what) of \(name)")
            #expect(cosine >= 0.99999, "\(what) of \(name)")
        }
        if let features, let expected = oracle.recorded("image_features") {
            expectEqual("features", features.floats, expected.floats)
        }
        let prefill = try #require(oracle.recorded("prefill_logits"))
        let steps = try #require(oracle.recorded("step_logits"))
        let tokens = try #require(oracle.recorded("new_tokens")).ints
        let count = try #require(oracle.recorded("inputs.input_ids")).count
        let vocabulary = prefill.shape[prefill.shape.count - 1]
        var sequence = try oracle.emptySequence(slots: count + tokens.count)
        // Two chunks, the boundary inside an image where there is one.
        let half = count / 2
        let first = try oracle.extend(&sequence, 0..<half, images: features)
        let second = try oracle.extend(&sequence, half..<count, images: features)
        expectEqual("prefill", (first.floats + second.floats).suffix(prefill.count), prefill.floats)
        var stepLogits = Array(second.floats.suffix(vocabulary))
        for token in tokens.dropLast() { stepLogits += try oracle.decode(&sequence, token).floats }
        expectEqual("steps", stepLogits, steps.floats)
        for (step, token) in tokens.enumerated() {
            let row = stepLogits[step * vocabulary..<(step + 1) * vocabulary]
            #expect(row.firstIndex(of: row.max()!)! - row.startIndex == Int(token), "token \(step) of \(name)")
        }
        print(report)
    }
}
