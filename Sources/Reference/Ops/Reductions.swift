internal import Glibc
package import IR

extension AxisOp {
    /// Calls `body` for each line along the axis with the positions of its elements in row-major storage.
    fileprivate func forEachLine(_ shape: [Int], _ body: (_ line: Int, _ positions: StrideTo<Int>) -> Void) {
        let axis = axis < 0 ? axis + shape.count : axis
        let inner = shape[(axis + 1)...].reduce(1, *)
        let outer = shape[..<axis].reduce(1, *)
        for i in 0..<outer {
            for j in 0..<inner {
                let start = i * shape[axis] * inner + j
                body(i * inner + j, stride(from: start, to: start + shape[axis] * inner, by: inner))
            }
        }
    }

    fileprivate func reduce(_ call: Call, _ function: (_ values: [Float], _ line: StrideTo<Int>) -> Float) -> [Tensor] {
        let values = call[0].floats
        var result = Array(repeating: Float(0), count: call.shape.reduce(1, *))
        forEachLine(call[0].shape) { line, positions in result[line] = function(values, positions) }
        return call.result(result)
    }
}

extension Sum: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] {
        reduce(call) { values, line in Float(line.reduce(0.0) { $0 + Double(values[$1]) }) }
    }
}

extension Mean: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] {
        reduce(call) { values, line in
            var (sum, count) = (0.0, 0.0)
            for position in line {
                sum += Double(values[position])
                count += 1
            }
            return Float(sum / count)
        }
    }
}

extension Max: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] {
        reduce(call) { values, line in line.reduce(-Float.infinity) { Swift.max($0, values[$1]) } }
    }
}

extension Softmax: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] {
        let values = call[0].floats
        var result = Array(repeating: Float(0), count: values.count)
        forEachLine(call[0].shape) { _, line in
            let largest = line.reduce(-Float.infinity) { Swift.max($0, values[$1]) }
            guard largest > -.infinity else { return }
            var sum = 0.0
            for position in line {
                result[position] = expf(values[position] - largest)
                sum += Double(result[position])
            }
            for position in line { result[position] = Float(Double(result[position]) / sum) }
        }
        return call.result(result)
    }
}
