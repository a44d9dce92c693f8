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

extension CumulativeSum: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] {
        let values = call[0].floats
        var result = values
        forEachLine(call[0].shape) { _, line in
            var sum = 0.0
            for position in line {
                sum += Double(values[position])
                result[position] = Float(sum)
            }
        }
        return call.result(result)
    }
}

extension ArgMax: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] {
        let values = call[0].floats
        var result = Array(repeating: Int32(0), count: call.shape.reduce(1, *))
        forEachLine(call[0].shape) { line, positions in
            var best = -Float.infinity
            for (place, position) in positions.enumerated() where values[position] > best {
                best = values[position]
                result[line] = Int32(place)
            }
        }
        return [Tensor(ints: result, call.shape)]
    }
}

extension TopK: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] {
        let values = call[0].floats
        var largest: [Float] = []
        var places: [Int32] = []
        // Lines end to end first, then with the axis back in its place.
        Max(axis: axis).forEachLine(call[0].shape) { _, line in
            let line = Array(line)
            let order = line.indices.sorted { (-values[line[$0]], $0) < (-values[line[$1]], $1) }.prefix(count)
            largest += order.map { values[line[$0]] }
            places += order.map(Int32.init)
        }
        var positions = Array(repeating: 0, count: largest.count)
        Max(axis: axis).forEachLine(call.shape) { line, kept in
            for (place, position) in kept.enumerated() { positions[position] = line * count + place }
        }
        return [
            Tensor(positions.map { largest[$0] }, call.shape, call.element), Tensor(ints: positions.map { places[$0] }, call.shape),
        ]
    }
}
