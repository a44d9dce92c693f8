package import IR
internal import Tensors

/// Walks over tensors that broadcast to one shape.
struct Broadcast {
    /// For each element of the result, in order, the positions of the operands' elements.
    ///
    /// `body` gets the operands' positions, and the step of each along the last axis, `count` times in a row.
    static func forEachRow(
        _ shape: [Int], _ operands: [[Int]], _ body: (_ starts: [Int], _ steps: [Int], _ count: Int) -> Void
    ) {
        let strides = operands.map { alignedStrides($0, in: shape) }
        guard let last = shape.last else { return body(operands.map { _ in 0 }, operands.map { _ in 0 }, 1) }
        guard !shape.contains(0) else { return }
        let steps = strides.map { $0[shape.count - 1] }
        var index = Array(repeating: 0, count: shape.count)
        while true {
            body(strides.map { zip($0, index).reduce(0) { $0 + $1.0 * $1.1 } }, steps, last)
            var axis = shape.count - 2
            while axis >= 0 {
                index[axis] += 1
                if index[axis] < shape[axis] { break }
                index[axis] = 0
                axis -= 1
            }
            if axis < 0 { return }
        }
    }

    /// Row-major strides aligned at the last axis of `shape`, 0 where the operand stretches.
    private static func alignedStrides(_ operand: [Int], in shape: [Int]) -> [Int] {
        var strides = Array(repeating: 0, count: shape.count)
        var step = 1
        for axis in operand.indices.reversed() {
            if operand[axis] != 1 { strides[shape.count - operand.count + axis] = step }
            step *= operand[axis]
        }
        return strides
    }

    static func combine<T>(_ a: [T], _ aShape: [Int], _ b: [T], _ bShape: [Int], _ shape: [Int], _ function: (T, T) -> T) -> [T] {
        if aShape == bShape { return zip(a, b).map(function) }
        var result: [T] = []
        result.reserveCapacity(shape.reduce(1, *))
        forEachRow(shape, [aShape, bShape]) { starts, steps, count in
            for i in 0..<count { result.append(function(a[starts[0] + i * steps[0]], b[starts[1] + i * steps[1]])) }
        }
        return result
    }

    static func pick<T>(_ mask: Tensor, _ x: [T], _ xShape: [Int], _ y: [T], _ yShape: [Int], _ shape: [Int]) -> [T] {
        let flags = mask.ints
        var result: [T] = []
        result.reserveCapacity(shape.reduce(1, *))
        forEachRow(shape, [mask.shape, xShape, yShape]) { starts, steps, count in
            for i in 0..<count {
                let isX = flags[starts[0] + i * steps[0]] != 0
                result.append(isX ? x[starts[1] + i * steps[1]] : y[starts[2] + i * steps[2]])
            }
        }
        return result
    }
}

extension BinaryOp {
    fileprivate func combine(_ call: Call, _ floats: (Float, Float) -> Float, _ ints: (Int32, Int32) -> Int32) -> [Tensor] {
        let (a, b) = (call[0], call[1])
        switch (a.storage, b.storage) {
        case (.ints(let left), .ints(let right)):
            return [Tensor(ints: Broadcast.combine(left, a.shape, right, b.shape, call.shape, ints), call.shape, call.element)]
        default:
            return call.result(Broadcast.combine(a.floats, a.shape, b.floats, b.shape, call.shape, floats))
        }
    }
}

extension Add: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] { combine(call, +, &+) }
}

extension Sub: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] { combine(call, -, &-) }
}

extension Mul: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] { combine(call, *, &*) }
}

extension Div: Evaluable {
    package func evaluate(_ call: Call) throws(EvaluationError) -> [Tensor] {
        if case .ints(let divisors) = call[1].storage, divisors.contains(0) { throw EvaluationError("an integer is divided by 0") }
        return combine(call, /, { $0.dividedReportingOverflow(by: $1).partialValue })
    }
}

extension Maximum: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] { combine(call, { Swift.max($0, $1) }, { Swift.max($0, $1) }) }
}

extension Minimum: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] { combine(call, { Swift.min($0, $1) }, { Swift.min($0, $1) }) }
}

extension Where: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] {
        let (mask, x, y) = (call[0], call[1], call[2])
        switch (x.storage, y.storage) {
        case (.ints(let left), .ints(let right)):
            return [Tensor(ints: Broadcast.pick(mask, left, x.shape, right, y.shape, call.shape), call.shape, call.element)]
        default:
            return call.result(Broadcast.pick(mask, x.floats, x.shape, y.floats, y.shape, call.shape))
        }
    }
}
