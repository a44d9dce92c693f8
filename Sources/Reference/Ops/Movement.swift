package import IR

extension Tensor {
    /// A tensor whose element `i` in row-major order is the element of this one at `position(i)`.
    func picking(_ shape: [Int], _ positions: [Int]) -> Tensor {
        switch storage {
        case .floats(let values): Tensor(unchecked: .floats(positions.map { values[$0] }), shape, element)
        case .ints(let values): Tensor(unchecked: .ints(positions.map { values[$0] }), shape, element)
        }
    }

    /// A tensor of runs of elements, one after another.
    func picking(_ shape: [Int], runs: [Range<Int>]) -> Tensor {
        switch storage {
        case .floats(let values): Tensor(unchecked: .floats(runs.flatMap { values[$0] }), shape, element)
        case .ints(let values): Tensor(unchecked: .ints(runs.flatMap { values[$0] }), shape, element)
        }
    }

    /// The extents before and behind an axis, multiplied.
    func around(_ axis: Int) -> (outer: Int, inner: Int) { (shape[..<axis].reduce(1, *), shape[(axis + 1)...].reduce(1, *)) }
}

extension Reshape: Evaluable {
    package func evaluate(_ call: Call) throws(EvaluationError) -> [Tensor] {
        guard call[0].count == call.shape.reduce(1, *) else { throw EvaluationError("\(call[0].type) does not fill \(call.shape)") }
        return [call[0].reshaped(call.shape)]
    }
}

extension Copy: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] { [call[0]] }
}

extension Transpose: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] {
        let x = call[0]
        var strides = Array(repeating: 1, count: x.shape.count)
        for axis in x.shape.indices.dropLast().reversed() { strides[axis] = strides[axis + 1] * x.shape[axis + 1] }
        let permuted = perm.map { strides[$0] }
        var positions = [0]
        for (extent, stride) in zip(call.shape, permuted) {
            positions = positions.flatMap { base in (0..<extent).map { base + $0 * stride } }
        }
        return [x.picking(call.shape, positions)]
    }
}

extension Slice: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] {
        let x = call[0]
        let (outer, inner) = x.around(axis)
        let runs = (0..<outer).map { i in
            let base = i * x.shape[axis]
            return (base + start) * inner..<(base + end) * inner
        }
        return [x.picking(call.shape, runs: runs)]
    }
}

extension Concat: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] {
        func join<T>(_ parts: [[T]]) -> [T] {
            let outer = call[0].around(axis).outer
            var result: [T] = []
            result.reserveCapacity(call.shape.reduce(1, *))
            for i in 0..<outer {
                for part in parts {
                    let run = part.count / outer
                    result += part[i * run..<(i + 1) * run]
                }
            }
            return result
        }
        if case .ints = call[0].storage { return [Tensor(unchecked: .ints(join(call.operands.map(\.ints))), call.shape, call.element)] }
        return [Tensor(unchecked: .floats(join(call.operands.map(\.floats))), call.shape, call.element)]
    }
}

extension Expand: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] {
        var positions: [Int] = []
        positions.reserveCapacity(call.shape.reduce(1, *))
        Broadcast.forEachRow(call.shape, [call[0].shape]) { starts, steps, count in
            for i in 0..<count { positions.append(starts[0] + i * steps[0]) }
        }
        return [call[0].picking(call.shape, positions)]
    }
}

extension Repeat: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] {
        let (outer, inner) = call[0].around(axis)
        let runs = (0..<outer * call[0].shape[axis]).flatMap { Array(repeating: $0 * inner..<($0 + 1) * inner, count: count) }
        return [call[0].picking(call.shape, runs: runs)]
    }
}
