import IR
import Tensors

/// int8 codes of rows, as `row_scales` and `row_codes` mean them.
package enum RowRounding {
    /// Adding and taking it away rounds numbers up to 2²² to whole ones, ties to even.
    static let whole: Float = 12_582_912

    fileprivate static func scale(_ row: UnsafeBufferPointer<Float>) -> Float {
        var most = SIMD8<Float>.zero
        let eights = row.count / 8 * 8
        for start in stride(from: 0, to: eights, by: 8) {
            let values = eight(row, start)
            most = pointwiseMax(most, pointwiseMax(values, -values))
        }
        return row[eights...].reduce(most.max()) { Swift.max($0, abs($1)) } / 127
    }

    fileprivate static func code(_ value: Float, _ scale: Float) -> Float {
        scale == 0 ? 0 : Swift.min(Swift.max(value / scale + whole - whole, -127), 127)
    }

    static func eight(_ row: UnsafeBufferPointer<Float>, _ start: Int) -> SIMD8<Float> {
        UnsafeRawBufferPointer(row).loadUnaligned(fromByteOffset: 4 * start, as: SIMD8<Float>.self)
    }

    /// Σ (ŵ − w)² and Σ w² over rows of `width` numbers, where ŵ is what codes and scales mean.
    package static func squares(_ values: [Float], width: Int) -> (error: Double, weight: Double) {
        values.withUnsafeBufferPointer { values in
            var sums = (error: 0.0, weight: 0.0)
            for start in stride(from: 0, to: values.count, by: max(width, 1)) {
                let part = squares(UnsafeBufferPointer(rebasing: values[start..<start + width]))
                sums.error += part.error
                sums.weight += part.weight
            }
            return sums
        }
    }

    private static func squares(_ row: UnsafeBufferPointer<Float>) -> (error: Double, weight: Double) {
        let scale = scale(row)
        var (errors, weights) = (SIMD8<Float>.zero, SIMD8<Float>.zero)
        let eights = row.count / 8 * 8
        // A row of zeros has no error, whatever it is divided by.
        let divisor = SIMD8(repeating: scale == 0 ? 1 : scale)
        for start in stride(from: 0, to: eights, by: 8) {
            let values = eight(row, start)
            let difference = (values / divisor + whole - whole) * scale - values
            errors += difference * difference
            weights += values * values
        }
        var sums = (error: Double(errors.sum()), weight: Double(weights.sum()))
        for value in row[eights...] {
            let difference = code(value, scale) * scale - value
            sums.error += Double(difference * difference)
            sums.weight += Double(value * value)
        }
        return sums
    }
}

extension RowScales: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] {
        let width = call[0].shape[1]
        let scales = call[0].floats.withUnsafeBufferPointer { values in
            (0..<call.shape[0]).map { RowRounding.scale(UnsafeBufferPointer(rebasing: values[$0 * width..<($0 + 1) * width])) }
        }
        return call.result(scales)
    }
}

extension RowCodes: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] {
        let (values, scales, width) = (call[0].floats, call[1].floats, call[0].shape[1])
        var codes: [Int32] = []
        codes.reserveCapacity(values.count)
        for (row, scale) in scales.enumerated() {
            for value in values[row * width..<(row + 1) * width] { codes.append(Int32(RowRounding.code(value, scale))) }
        }
        return [Tensor(ints: codes, call.shape, .i8)]
    }
}
