package import IR

/// What follows a matrix product.
enum Epilogue {
    /// Adds `bias` to each row of `y`.
    static func add(_ bias: Tensor?, to y: inout [Float]) {
        guard let values = bias?.floats, !values.isEmpty else { return }
        for index in y.indices { y[index] += values[index % values.count] }
    }

    /// One half of each row of twice `width` numbers by the other.
    static func gated(_ rows: [Float], width: Int, _ activation: Activation) -> [Float] {
        (0..<rows.count / 2).map { index in
            let start = index / width * 2 * width + index % width
            return Functions.apply(activation, rows[start]) * rows[start + width]
        }
    }
}

extension Linear: Evaluable {
    package func evaluate(_ call: Call) throws(EvaluationError) -> [Tensor] {
        let w = call[1]
        guard w.shape[1] > 0 else { throw EvaluationError("a linear layer without inputs") }
        var y = try Gemm.linear(call[0].floats, w.floats, inputs: w.shape[1], outputs: w.shape[0])
        Epilogue.add(hasBias ? call[2] : nil, to: &y)
        if isGated { return call.result(Epilogue.gated(y, width: w.shape[0] / 2, activation)) }
        if activation != .none { y = y.map { Functions.apply(activation, $0) } }
        return call.result(y)
    }
}

extension ScreenedLinear: Evaluable {
    package func evaluate(_ call: Call) throws(EvaluationError) -> [Tensor] { try Linear().evaluate(call) }
}

extension GatedActivation: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] {
        call.result(Epilogue.gated(call[0].floats, width: call.shape[call.shape.count - 1], activation))
    }
}
