package import Budgets

/// Interpolates float pictures as torch's `F.interpolate` does without antialias and with `align_corners=False`.
///
/// Each output takes two (bilinear) or four (bicubic, a = -0.75) neighbours of a row, then of a column; neighbours outside are
/// those at the edge. Weights and sums are 32-bit, places and weights by fused multiplication as in torch's builds for AVX2 and
/// AVX-512; results differ from theirs in the last bits only.
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
        let columns = taps(from: width, to: toWidth)
        let rows = taps(from: height, to: toHeight)
        let rowCount = toWidth * channels
        var narrow = [Float](repeating: 0, count: height * rowCount)
        for y in 0..<height {
            try budget.spend(4 * rowCount)
            for x in 0..<toWidth {
                for c in 0..<channels {
                    var sum: Float = 0
                    for tap in columns[x] { sum += values[(y * width + tap.index) * channels + c] * tap.weight }
                    narrow[y * rowCount + x * channels + c] = sum
                }
            }
        }
        var out = [Float](repeating: 0, count: toHeight * rowCount)
        for y in 0..<toHeight {
            try budget.spend(4 * rowCount)
            for tap in rows[y] {
                for i in 0..<rowCount { out[y * rowCount + i] += narrow[tap.index * rowCount + i] * tap.weight }
            }
        }
        return out
    }

    private struct Tap {
        var index: Int
        var weight: Float
    }

    /// The neighbours of every output along one side.
    private func taps(from sizeIn: Int, to sizeOut: Int) -> [[Tap]] {
        let scale = Float(sizeIn) / Float(sizeOut)
        return (0..<sizeOut).map { output in
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
