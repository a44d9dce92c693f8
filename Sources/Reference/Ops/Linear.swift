package import IR

/// What follows a matrix product.
enum Epilogue {
    /// Adds `bias` to each row of `y`.
    static func add(_ bias: Tensor?, to y: inout [Float]) {
        guard let values = bias?.floats, !values.isEmpty else { return }
        for index in y.indices { y[index] += values[index % values.count] }
    }
}

extension Linear: Evaluable {
    package func evaluate(_ call: Call) throws(EvaluationError) -> [Tensor] {
        let w = call[1]
        guard w.shape[1] > 0 else { throw EvaluationError("a linear layer without inputs") }
        var y = try Gemm.linear(call[0].floats, w.floats, inputs: w.shape[1], outputs: w.shape[0])
        Epilogue.add(hasBias ? call[2] : nil, to: &y)
        if activation != .none { y = y.map { Functions.apply(activation, $0) } }
        return call.result(y)
    }
}

extension ScreenedLinear: Evaluable {
    package func evaluate(_ call: Call) throws(EvaluationError) -> [Tensor] { try Linear().evaluate(call) }
}

extension GatedActivation: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] {
        let x = call[0].floats
        let half = call.shape[call.shape.count - 1]
        let y = (0..<call.shape.reduce(1, *)).map { index in
            let start = index / half * 2 * half + index % half
            return Functions.apply(activation, x[start]) * x[start + half]
        }
        return call.result(y)
    }
}
