import IR
import Tensors

/// 4-bit codes of groups, as `group_zeros`, `group_scales` and `group_codes` mean them.
package enum GroupRounding {
    private static let whole = RowRounding.whole
    /// The shares of a group's range that its scale is chosen of, in twentieths.
    package static let shares: [UInt8] = [20, 19, 18, 17, 16, 15, 14, 13, 12]

    private static func range(_ values: UnsafeBufferPointer<Float>) -> (least: Float, greatest: Float) {
        var (least, greatest) = (SIMD8<Float>.zero, SIMD8<Float>.zero)
        for start in stride(from: 0, to: values.count, by: 8) {
            let eight = eight(values, start)
            (least, greatest) = (pointwiseMin(least, eight), pointwiseMax(greatest, eight))
        }
        return (least.min(), greatest.max())
    }

    fileprivate static func zero(_ values: UnsafeBufferPointer<Float>) -> Float {
        let (least, greatest) = range(values)
        // Halves, so that the difference of large numbers is finite.
        let span = greatest / 2 - least / 2
        return span > 0 ? (-15 * (least / 2 / span) + whole) - whole : 0
    }

    /// The scale of so many twentieths of the range; 0 where no f16 number is.
    fileprivate static func scale(_ values: UnsafeBufferPointer<Float>, share: UInt8) -> Float {
        let (least, greatest) = range(values)
        let scale = Float(Float16(Float(share) / 20 * (greatest / 15 - least / 15)))
        return scale.isFinite ? scale : 0
    }

    /// The share with the least sum of squares.
    package static func share(_ values: UnsafeBufferPointer<Float>) -> UInt8 {
        let zero = zero(values)
        var best = (share: shares[0], error: Float.infinity)
        for share in shares {
            let scale = scale(values, share: share)
            guard scale > 0 else { continue }
            let error = squares(values, scale: scale, zero: zero).error
            if error < best.error { best = (share, error) }
        }
        return best.share
    }

    /// What codes, zeros and the scale of a share make of a group's numbers, written over `result`.
    package static func round(_ values: UnsafeBufferPointer<Float>, share: UInt8, to result: UnsafeMutablePointer<Float>) {
        let (zero, scale) = (zero(values), scale(values, share: share))
        for start in stride(from: 0, to: values.count, by: 8) {
            let numbers = levels(eight(values, start), scale, zero) * scale
            if start + 8 <= values.count {
                UnsafeMutableRawPointer(result + start).storeBytes(of: numbers, as: SIMD8<Float>.self)
                continue
            }
            for lane in 0..<min(8, values.count - start) { result[start + lane] = numbers[lane] }
        }
    }

    fileprivate static func codes(_ values: UnsafeBufferPointer<Float>, scale: Float, zero: Float, into codes: inout [Int32]) {
        for start in stride(from: 0, to: values.count, by: 8) {
            let numbers = levels(eight(values, start), scale, zero) + zero
            for lane in 0..<min(8, values.count - start) { codes.append(Rounding.int(numbers[lane])) }
        }
    }

    /// Codes less the zero, as whole numbers.
    private static func levels(_ values: SIMD8<Float>, _ scale: Float, _ zero: Float) -> SIMD8<Float> {
        guard scale > 0 else { return .zero }
        let low = SIMD8<Float>(repeating: -zero), high = SIMD8<Float>(repeating: 15 - zero)
        // Far outside the codes there is nothing to round, and nothing that could be too large for it.
        return pointwiseMin(pointwiseMax(values / scale, low - 1), high + 1).rounded(whole).clamped(lowerBound: low, upperBound: high)
    }

    private static func squares(_ values: UnsafeBufferPointer<Float>, scale: Float, zero: Float) -> (error: Float, weight: Float) {
        var (errors, weights) = (SIMD8<Float>.zero, SIMD8<Float>.zero)
        for start in stride(from: 0, to: values.count, by: 8) {
            let numbers = eight(values, start)
            let difference = levels(numbers, scale, zero) * scale - numbers
            errors += difference * difference
            weights += numbers * numbers
        }
        return (errors.sum(), weights.sum())
    }

    /// Eight numbers; those behind the last are 0, which every group has a code for.
    private static func eight(_ values: UnsafeBufferPointer<Float>, _ start: Int) -> SIMD8<Float> {
        if start + 8 <= values.count { return RowRounding.eight(values, start) }
        var result = SIMD8<Float>.zero
        for lane in 0..<values.count - start { result[lane] = values[start + lane] }
        return result
    }

    /// Σ (ŵ − w)² and Σ w² over groups, where ŵ is what codes, scales and zeros mean.
    package static func squares(_ values: [Float], group: Int) -> (error: Double, weight: Double) {
        var sums = (error: 0.0, weight: 0.0)
        forEach(values, group) { _, values in
            let zero = zero(values)
            let part = squares(values, scale: scale(values, share: share(values)), zero: zero)
            sums.error += Double(part.error)
            sums.weight += Double(part.weight)
        }
        return sums
    }

    fileprivate static func forEach(_ values: [Float], _ group: Int, _ body: (Int, UnsafeBufferPointer<Float>) -> Void) {
        values.withUnsafeBufferPointer { values in
            for index in 0..<values.count / max(group, 1) { body(index, UnsafeBufferPointer(rebasing: values[index * group..<(index + 1) * group])) }
        }
    }
}

extension SIMD8<Float> {
    fileprivate func rounded(_ whole: Float) -> SIMD8<Float> { (self + whole) - whole }
}

extension GroupZeros: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] {
        var zeros: [Int32] = []
        GroupRounding.forEach(call[0].floats, group) { zeros.append(Rounding.int(GroupRounding.zero($1))) }
        return [Tensor(ints: zeros, call.shape)]
    }
}

extension GroupScales: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] {
        let shares = hasShares ? call[2].ints : []
        var scales: [Float] = []
        GroupRounding.forEach(call[0].floats, group) { index, values in
            let share = hasShares ? UInt8(clamping: shares[index]) : GroupRounding.share(values)
            scales.append(GroupRounding.scale(values, share: share))
        }
        return call.result(scales)
    }
}

extension GroupCodes: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] {
        let (values, scales, zeros) = (call[0].floats, call[1].floats, call[2].ints)
        var codes: [Int32] = []
        codes.reserveCapacity(values.count)
        GroupRounding.forEach(values, group) { GroupRounding.codes($1, scale: scales[$0], zero: Float(zeros[$0]), into: &codes) }
        return [Tensor(ints: codes, call.shape)]
    }
}
