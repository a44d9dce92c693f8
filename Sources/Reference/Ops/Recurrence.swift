package import IR

extension ShortConvolution: Evaluable {
    package func evaluate(_ call: Call) throws(EvaluationError) -> [Tensor] {
        let (channels, taps) = (call[1].shape[1], call[2].shape[1])
        let (x, w) = (call[1].floats, call[2].floats)
        var y = [Float](repeating: 0, count: x.count)
        let state = try call.walkingSequences(slots: call[3], ordinals: call[4]) { columns, t in
            let row = x[t * channels..<(t + 1) * channels]
            columns += row
            for c in 0..<channels {
                let sum = (0..<taps).reduce(0.0) { $0 + Double(w[c * taps + $1]) * Double(columns[$1 * channels + c]) }
                y[t * channels + c] = Float(sum)
            }
            columns.removeFirst(channels)
        }
        return call.result(y) + [state]
    }
}

extension GatedDelta: Evaluable {
    package func evaluate(_ call: Call) throws(EvaluationError) -> [Tensor] {
        let (heads, keyDim, valueDim) = (call[0].shape[1], call[0].shape[2], call[0].shape[3])
        let group = heads / call[1].shape[1]
        let (q, k, v) = (call[1].floats, call[2].floats, call[3].floats)
        let (decay, gain) = (call[4].floats, call[5].floats)
        var y = [Float](repeating: 0, count: v.count)
        let state = try call.walkingSequences(slots: call[6], ordinals: call[7]) { memory, t in
            for h in 0..<heads {
                let key = (t * (heads / group) + h / group) * keyDim
                let head = t * heads + h
                for e in 0..<valueDim {
                    func place(_ d: Int) -> Int { (h * keyDim + d) * valueDim + e }
                    for d in 0..<keyDim { memory[place(d)] *= decay[head] }
                    let known = (0..<keyDim).reduce(0.0) { $0 + Double(memory[place($1)]) * Double(k[key + $1]) }
                    let delta = gain[head] * (v[head * valueDim + e] - Float(known))
                    for d in 0..<keyDim { memory[place(d)] += k[key + d] * delta }
                    let sum = (0..<keyDim).reduce(0.0) { $0 + Double(memory[place($1)]) * Double(q[key + $1]) }
                    y[head * valueDim + e] = Float(sum)
                }
            }
        }
        return call.result(y) + [state]
    }
}

extension Call {
    /// The state of operand 0 after all rows: `step` gets the state of a row's sequence, which it changes, and the row.
    fileprivate func walkingSequences(
        slots: Tensor, ordinals: Tensor, _ step: (inout [Float], Int) -> Void
    ) throws(EvaluationError) -> Tensor {
        let state = self[0]
        let width = state.shape.dropFirst().reduce(1, *)
        var values = state.floats
        for (t, slot) in slots.ints.enumerated() where slot >= 0 {
            guard Int(slot) < state.shape[0] else { throw EvaluationError("slot \(slot) is above the \(state.shape[0]) of the state") }
            let range = Int(slot) * width..<(Int(slot) + 1) * width
            var own = ordinals.ints[t] == 0 ? Array(repeating: 0, count: width) : Array(values[range])
            step(&own, t)
            values.replaceSubrange(range, with: own)
        }
        return Tensor(values, state.shape)
    }
}
