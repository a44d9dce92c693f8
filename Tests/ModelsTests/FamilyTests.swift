import Foundation
import IR
import Inputs
import Models
import Plan
import Reference
import Testing

/// The traced mathematics of every family, evaluated by Reference, against what transformers computed in float32.
///
/// The records are those of the repository, those that `make families` makes, and those of a folder that VLM_FAMILIES names.
@Suite struct FamilyTests {
    static let differenceMax: Float = 1e-3

    @Test(arguments: FamilyRecord.names)
    func equalsTheRecord(name: String) throws {
        let record = try FamilyRecord(name)
        try Verifier.verify(record.module)
        var report = "\(name):"
        func expectEqual(_ what: String, _ ours: some Collection<Float>, _ theirs: some Collection<Float>) {
            let (difference, cosine) = compare(ours, theirs)
            report += " \(what) \(difference)"
            // Rounding is steep: a number between two steps goes either way, and all that follows with it.
            let isUnsteady = record.recorded("weight_only_step_logits") != nil && what != "features"
            #expect(difference <= Self.differenceMax || isUnsteady, "\(what) of \(name)")
            #expect(cosine >= (isUnsteady ? 0.9995 : 0.99999), "\(what) of \(name)")
        }
        let recordedFeatures = record.recorded("image_features")
        var features: Tensor?
        if let (spec, image) = try record.image() {
            features = try record.features(of: image)
            if let pixels = record.recorded("inputs.pixel_values") {
                let (difference, _) = compare(spec.pixelValues(of: [image]).values, pixels.floats)
                report += " pixels \(difference)"
                #expect(difference <= 1e-5, "pixels of \(name)")
            }
        } else if case .failure(let error) = record.spec {
            report += " (\(error))"
        }
        if let features, let recordedFeatures {
            // Rows may go on behind what stands for the token.
            let (width, whole) = (recordedFeatures.shape[1], features.shape[1])
            let first = features.floats.enumerated().filter { $0.offset % whole < width }.map(\.element)
            expectEqual("features", first, recordedFeatures.floats)
        }
        let key = record.recorded("prefill_logits") == nil ? "prefill_logits_last64" : "prefill_logits"
        let prefill = try #require(record.recorded(key))
        let steps = try #require(record.recorded("step_logits"))
        let tokens = try #require(record.recorded("new_tokens")).ints
        var sequence = try FamilySequence(record, steps: tokens.count)
        let count = sequence.ids.count
        let images = features ?? recordedFeatures
        // Two chunks, the boundary inside an image, but where tokens see forward.
        let half = (try? record.spec.get().spans) == SpanScheme.none ? count / 2 : 0
        var logits = half > 0 ? try sequence.extend(0..<half, images: images).floats : []
        logits += try sequence.extend(half..<count, images: images).floats
        expectEqual("prefill", logits.suffix(prefill.count), prefill.floats)
        let vocabulary = prefill.shape[prefill.shape.count - 1]
        var stepLogits = Array(logits.suffix(vocabulary))
        for token in tokens.dropLast() { stepLogits += try sequence.decode(token).floats }
        expectEqual("steps", stepLogits, steps.floats)
        for (step, token) in tokens.enumerated() where !name.contains("reppen") {
            let row = stepLogits[step * vocabulary..<(step + 1) * vocabulary]
            #expect(row.firstIndex(of: row.max()!)! - row.startIndex == Int(token), "token \(step) of \(name)")
        }
        print(report)
    }
}
