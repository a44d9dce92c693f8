import IR

extension ModelTracer {
    /// `down(act(gate(x)) · up(x))` without biases (`Qwen2MLP`).
    func gatedMLP(_ x: Value, width: Int, inner: Int, _ function: ActivationFunction) -> Value {
        let gate = activate(linear("gate_proj", x, from: width, to: inner, bias: false), function)
        let up = linear("up_proj", x, from: width, to: inner, bias: false)
        return linear("down_proj", b.mul(gate, up), from: inner, to: width, bias: false)
    }

    /// `second(act(first(x)))` with biases; the layers have the names that the family gives them.
    func mlp(
        _ x: Value, _ first: String, _ second: String, from inputs: Int, inner: Int, to outputs: Int, _ function: ActivationFunction
    ) -> Value {
        let hidden = activate(linear(first, x, from: inputs, to: inner, bias: true), function)
        return linear(second, hidden, from: inner, to: outputs, bias: true)
    }
}
