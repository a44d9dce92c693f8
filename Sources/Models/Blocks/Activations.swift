import HuggingFace
import IR

/// An activation function by its names in `ACT2FN` of transformers.
enum ActivationFunction: String, CaseIterable {
    case quickGelu = "quick_gelu"
    case gelu
    case geluTanh = "gelu_pytorch_tanh"
    case silu

    /// The function under `key` of a configuration.
    init(_ section: ConfigSection, _ key: String) throws(CheckpointError) {
        guard let name = try section.string(key) else { throw section.error(key, "is missing") }
        let synonyms = ["swish": "silu", "gelu_new": "gelu_pytorch_tanh", "gelu_fast": "gelu_pytorch_tanh"]
        guard let function = ActivationFunction(rawValue: synonyms[name] ?? name) else {
            let known = Self.allCases.map(\.rawValue).joined(separator: ", ")
            throw section.error(key, "is \"\(name)\"; the known activations are: \(known)", .unsupported)
        }
        self = function
    }
}

extension ModelTracer {
    func activate(_ x: Value, _ function: ActivationFunction) -> Value {
        switch function {
        case .quickGelu:
            return b.mul(x, b.sigmoid(b.mul(x, b.literal(1.702))))
        case .gelu:
            let gate = b.add(b.erf(b.mul(x, b.literal(0.5.squareRoot()))), b.literal(1))
            return b.mul(b.mul(x, b.literal(0.5)), gate)
        case .geluTanh:
            let cube = b.mul(b.mul(b.square(x), x), b.literal(0.044715))
            let gate = b.add(b.tanh(b.mul(b.add(x, cube), b.literal((2 / Double.pi).squareRoot()))), b.literal(1))
            return b.mul(b.mul(x, b.literal(0.5)), gate)
        case .silu:
            return b.mul(x, b.sigmoid(x))
        }
    }
}
