import HuggingFace
import IR
import Plan
import Tensors

extension ModelTracer {
    /// Whether the current module, called `name`, is a layer that takes adapters.
    func isAdapted(_ name: String) -> Bool { AdapterConfiguration.layers.contains(name) && b.origin.hasPrefix("model.layers.") }

    /// i32 `[T]`: the number of the adapter that each token's sequence is answered with.
    func adapterInput(tokens: Dim) -> Value { b.input(InputRole.adapters.rawValue, TensorType(.i32, [tokens])) }
}
