import Compiler
import HuggingFace
import ModelRuntime
import Passes
import Plan

extension ModelOptions {
    /// What scales are searched on; nil where none are.
    func calibrationInputs(of source: ModelSource) throws -> CalibrationInputs? {
        guard try options(source.directory).rounding?.isCalibrated == true else { return nil }
        let name = calibration ?? "builtin"
        let set = try name == "builtin" ? CalibrationSet.builtin : Failure.wrapping { () throws(SessionError) in try CalibrationSet(directory: name) }
        let inputs = ModelInputs(spec: source.inputs, tokenizer: source.tokenizer, template: source.template?.source)
        return CalibrationInputs(name: name, digest: set.digest) { [length = source.contextLength] in
            try set.prepared(by: inputs, contextLength: length)
        }
    }
}

extension CalibrationReport {
    /// What was found, as a person reads it.
    var summary: String {
        let layers = groups.flatMap(\.layers)
        let alphas = groups.compactMap { $0.factors == nil ? nil : $0.alpha }
        let seen = "calibrated on \(name): \(prompts) prompts, \(pictures) pictures, \(tokens) tokens\(isStored ? ", remembered by the store" : "")"
        let errors = "\(layers.count) layers are \(Self.middle(layers.map(\.error))) % off (\(Self.middle(layers.map(\.nearestError))) % by rounding to nearest)"
        let scales = alphas.isEmpty ? "none is scaled" : "\(alphas.count) scaled, α \(Self.middle(alphas.map { $0 / 100 }))"
        return "\(seen); in the middle \(errors), \(scales)"
    }

    /// The one in the middle, in percent.
    private static func middle(_ values: [Double]) -> String {
        let middle = values.sorted()[values.count / 2]
        let hundredths = Int((middle * 10_000).rounded())
        return "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100)"
    }
}
