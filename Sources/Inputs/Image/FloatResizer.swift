package import Budgets

/// Interpolates float images as torch's `F.interpolate` does without antialias and with `align_corners=False`.
///
/// Each output takes two (bilinear) or four (bicubic, a = -0.75) neighbours of a row, then of a column; neighbours outside are
/// those at the edge. Places, weights and sums are 32-bit and by fused multiplication as in torch's builds for AVX2 and AVX-512: equal to
/// theirs where the weights are, which those of scales that are whole numbers are; else results differ in the last bits.
package struct FloatResizer: Sendable {
    package enum Filter: String, Sendable, Hashable, CaseIterable { case bilinear, bicubic }

    package var filter: Filter

    package init(filter: Filter) {
        self.filter = filter
    }

    /// `[toHeight, toWidth, channels]` values for `[height, width, channels]` ones; all sides are positive.
    ///
    /// Besides the result it takes `height · toWidth · channels` values of memory. `budget` is charged row by row.
    package func resize(
        _ values: [Float], height: Int, width: Int, channels: Int, toHeight: Int, toWidth: Int,
        budget: WorkBudget = .generous()
    ) throws(WorkLimitError) -> [Float] {
        precondition(values.count == height * width * channels && min(values.count, toHeight, toWidth) > 0, "values do not match the size")
        let (count, rowCount) = (filter == .bilinear ? 2 : 4, toWidth * channels)
        let (columns, rows) = (taps(from: width, to: toWidth), taps(from: height, to: toHeight))
        var narrow = [Float](repeating: 0, count: height * rowCount)
        for y in 0..<height {
            try budget.spend(4 * rowCount)
            for x in 0..<toWidth {
                let taps = columns[count * x..<count * (x + 1)]
                for c in 0..<channels {
                    narrow[y * rowCount + x * channels + c] = Self.sum(taps) { values[(y * width + $0) * channels + c] }
                }
            }
        }
        var out = [Float](repeating: 0, count: toHeight * rowCount)
        for y in 0..<toHeight {
            try budget.spend(4 * rowCount)
            let taps = rows[count * y..<count * (y + 1)]
            for i in 0..<rowCount { out[y * rowCount + i] = Self.sum(taps) { narrow[$0 * rowCount + i] } }
        }
        return out
    }

    /// The first product is added to the second, then the others follow.
    private static func sum(_ taps: ArraySlice<Tap>, _ value: (Int) -> Float) -> Float {
        let first = taps.startIndex
        var sum = (value(taps[first + 1].index) * taps[first + 1].weight).addingProduct(value(taps[first].index), taps[first].weight)
        for tap in taps.dropFirst(2) { sum.addProduct(value(tap.index), tap.weight) }
        return sum
    }

    private struct Tap {
        var index: Int
        var weight: Float
    }

    /// The neighbours of every output along one side, two or four of each.
    private func taps(from sizeIn: Int, to sizeOut: Int) -> [Tap] {
        let scale = Float(sizeIn) / Float(sizeOut)
        return (0..<sizeOut).flatMap { output in
            let place = Float(-0.5).addingProduct(scale, Float(output) + 0.5)
            switch filter {
            case .bilinear:
                let first = min(Int(max(place, 0)), sizeIn - 1)
                let share = min(max(place - Float(first), 0), 1)
                return [Tap(index: first, weight: 1 - share), Tap(index: min(first + 1, sizeIn - 1), weight: share)]
            case .bicubic:
                let first = min(Int(place.rounded(.down)), sizeIn - 1)
                let share = min(max(place - Float(first), 0), 1)
                let weights = [outer(share + 1), inner(share), inner(1 - share), outer(2 - share)]
                return weights.enumerated().map { Tap(index: min(max(first - 1 + $0, 0), sizeIn - 1), weight: $1) }
            }
        }
    }

    /// The cubic for distances up to one.
    private func inner(_ x: Float) -> Float { Float(1).addingProduct(Float(-2.25).addingProduct(1.25, x) * x, x) }

    /// The cubic for distances from one to two.
    private func outer(_ x: Float) -> Float {
        Float(3).addingProduct(Float(-6).addingProduct(Float(3.75).addingProduct(-0.75, x), x), x)
    }
}
