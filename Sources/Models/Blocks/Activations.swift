import HuggingFace
package import IR

package typealias ActivationFunction = Activation

extension ActivationFunction {
    /// By the names in `ACT2FN` of transformers.
    private static let named: [String: ActivationFunction] = [
        "gelu": .gelu, "gelu_accurate": .geluTanh, "gelu_fast": .geluTanh, "gelu_new": .geluTanh, "gelu_python": .gelu,
        "gelu_python_tanh": .geluTanh, "gelu_pytorch_tanh": .geluTanh, "quick_gelu": .quickGelu, "relu": .relu, "silu": .silu,
        "swish": .silu,
    ]

    /// The function under `key` of a configuration.
    init(_ section: ConfigSection, _ key: String) throws(CheckpointError) {
        guard let name = try section.string(key) else { throw section.error(key, "is missing") }
        guard let function = Self.named[name] else {
            let known = Self.named.keys.sorted().joined(separator: ", ")
            throw section.error(key, "is \"\(name)\"; the known activations are: \(known)", .unsupported)
        }
        self = function
    }
}

extension ModelTracer {
    func activate(_ x: Value, _ function: ActivationFunction) -> Value { b.activate(function, x) { b.literal($0) } }
}
