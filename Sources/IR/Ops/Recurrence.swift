package import Tensors

/// A causal convolution along each sequence, channel by channel (`torch.nn.Conv1d` with as many groups as channels; `Lfm2ShortConv`).
///
/// `y[t, c] = Σ_j w[c, j] · x[t − (L − 1) + j, c]`, where the rows before `t` are those of the same sequence: rows with the same
/// `slots`, in order, and before them the columns that `state[slots[t]]` holds, oldest first. A row with `ordinals` 0 begins its sequence,
/// behind zeros. Afterwards the state holds the last `L − 1` rows. A row with a negative slot gives zeros and touches no state.
package struct ShortConvolution: Op {
    package init() {}

    package static let schema = OpSchema(
        "short_convolution",
        "`y[t, c] = Σ_j w[c, j] · x[t − (L − 1) + j, c]` along each sequence, whose last `L − 1` rows `state[slots[t]]` keeps.",
        blank: ShortConvolution(), operands: ["state", "x", "w", "slots", "ordinals"], results: ["y", "state"])

    package var updates: [Int?] { [nil, 0] }

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let (state, x, w) = (operands[0], operands[1], operands[2])
        try TypeRules.element(state, .f32, "state")
        try TypeRules.element(x, .f32, "x")
        try TypeRules.float(w, "w")
        try TypeRules.rank(state, 3, "state")
        try TypeRules.rank(x, 2, "x")
        try TypeRules.rank(w, 2, "w")
        guard let taps = w.shape[1].fixedValue, taps >= 2 else { throw TypeError("w \(w) has not two taps or more") }
        try TypeRules.same(w.shape[0], x.shape[1], "channels of w and x differ")
        try TypeRules.shape(state, [state.shape[0], .fixed(taps - 1), x.shape[1]], "state")
        try TypeRules.sequences(operands[3], operands[4], rows: x.shape[0])
        return [x, state]
    }

    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double {
        2 * count(operands[1].shape) * count([operands[2].shape[1]])
    }
}

/// The gated delta rule along each sequence, head by head (arXiv 2412.06464; `torch_recurrent_gated_delta_rule`).
///
/// With `S = state[slots[t], h]`, `[K, V]`, the query and key of head `h · G / H`, and `a = decay[t, h]`, `b = gain[t, h]`:
/// `S ← a · S`, `S ← S + k ⊗ (b · (v − Sᵀ k))`, `y[t, h] = Sᵀ q`. Rows with the same `slots` follow each other; one with `ordinals` 0
/// begins its sequence with zeros. A row with a negative slot gives zeros and touches no state.
package struct GatedDelta: Op {
    package init() {}

    package static let schema = OpSchema(
        "gated_delta",
        "`S ← decay · S`, `S ← S + k ⊗ (gain · (v − Sᵀ k))`, `y = Sᵀ q` along each sequence and head, where `S` is `state[slots[t], h]`.",
        blank: GatedDelta(), operands: ["state", "q", "k", "v", "decay", "gain", "slots", "ordinals"], results: ["y", "state"])

    package var updates: [Int?] { [nil, 0] }

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let (state, q, k, v) = (operands[0], operands[1], operands[2], operands[3])
        for (name, type) in [("state", state), ("q", q), ("k", k), ("v", v), ("decay", operands[4]), ("gain", operands[5])] {
            try TypeRules.element(type, .f32, name)
        }
        for (name, type) in [("q", q), ("k", k), ("v", v)] { try TypeRules.rank(type, 3, name) }
        try TypeRules.rank(state, 4, "state")
        try TypeRules.shape(k, q.shape, "k")
        try TypeRules.same(v.shape[0], q.shape[0], "rows of v and q differ")
        guard let heads = v.shape[1].fixedValue, let groups = q.shape[1].fixedValue, groups > 0, heads % groups == 0 else {
            throw TypeError("the heads of q \(q) do not divide those of v \(v)")
        }
        try TypeRules.shape(state, [state.shape[0], v.shape[1], q.shape[2], v.shape[2]], "state")
        try TypeRules.shape(operands[4], [v.shape[0], v.shape[1]], "decay")
        try TypeRules.shape(operands[5], [v.shape[0], v.shape[1]], "gain")
        try TypeRules.sequences(operands[6], operands[7], rows: v.shape[0])
        return [v, state]
    }

    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double {
        7 * count(operands[3].shape) * count([operands[1].shape[2]])
    }
}

extension TypeRules {
    /// i32 `[rows]` each: where a row's sequence keeps its state, and the place of the row in its sequence.
    fileprivate static func sequences(_ slots: TensorType, _ ordinals: TensorType, rows: Dim) throws(TypeError) {
        for (name, type) in [("slots", slots), ("ordinals", ordinals)] {
            try element(type, .i32, name)
            try shape(type, [rows], name)
        }
    }
}

extension OpWriter {
    /// - Parameter places: `slots` and `ordinals`.
    package func shortConvolution(
        _ state: Operand, _ x: Operand, _ w: Operand, _ places: (slots: Operand, ordinals: Operand)
    ) -> (y: Operand, state: Operand) {
        let results = write(ShortConvolution(), [state, x, w, places.slots, places.ordinals])
        return (results[0], results[1])
    }

    /// - Parameter places: `slots` and `ordinals`.
    package func gatedDelta(
        _ state: Operand, q: Operand, k: Operand, v: Operand, decay: Operand, gain: Operand, _ places: (slots: Operand, ordinals: Operand)
    ) -> (y: Operand, state: Operand) {
        let results = write(GatedDelta(), [state, q, k, v, decay, gain, places.slots, places.ordinals])
        return (results[0], results[1])
    }
}

enum Recurrences {
    static let ops: [any Op.Type] = [ShortConvolution.self, GatedDelta.self]
}
