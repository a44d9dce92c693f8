package import IR

extension ModelTracer {
    /// `down(act(gate(x)) · up(x))` (`Qwen2MLP`).
    func gatedMLP(_ x: Value, width: Int, inner: Int, _ function: ActivationFunction, bias: Bool = false) -> Value {
        let gate = activate(linear("gate_proj", x, from: width, to: inner, bias: bias), function)
        let up = linear("up_proj", x, from: width, to: inner, bias: bias)
        return linear("down_proj", b.mul(gate, up), from: inner, to: width, bias: bias)
    }

    /// The same with gate and up-projection in one layer, the gate's rows first (`Phi3MLP`).
    func fusedGateMLP(_ x: Value, width: Int, inner: Int, _ function: ActivationFunction, bias: Bool = false) -> Value {
        let both = linear("gate_up_proj", x, from: width, to: 2 * inner, bias: bias)
        let gate = activate(b.slice(both, axis: 1, 0..<inner), function)
        return linear("down_proj", b.mul(gate, b.slice(both, axis: 1, inner..<2 * inner)), from: inner, to: width, bias: bias)
    }

    /// `second(act(first(x)))`; the layers have the names that the family gives them.
    package func mlp(
        _ x: Value, _ first: String, _ second: String, from inputs: Int, inner: Int, to outputs: Int, _ function: ActivationFunction,
        bias: Bool = true
    ) -> Value {
        let hidden = activate(linear(first, x, from: inputs, to: inner, bias: bias), function)
        return linear(second, hidden, from: inner, to: outputs, bias: bias)
    }
}
