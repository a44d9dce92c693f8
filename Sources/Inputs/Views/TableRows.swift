internal import Plan

/// Where places of a tile lie in learned tables of positions.
enum TableRows {
    /// A row of the table, and its weight.
    struct Tap {
        var row: Int
        var weight: Float
    }

    /// Rows of a table with `columns` places in a line for place `index` of `count` on an axis.
    static func bucket(_ index: Int, of count: Int, side: Int, _ rule: TableRule.FractionRule) -> Int {
        let fraction =
            switch rule {
            case .range: range(index, to: 1 - 1e-6, step: 1 / Double(count))
            case .quotient: Float(index) / Float(count)
            case .product: min(Float(index) * (1 / Float(count)), Float(1 - 1e-6))
            }
        let step = 1 / Double(side)
        let bounds = Int(((1 - step) / step).rounded(.up))
        return (0..<max(bounds, 0)).count { range($0, from: step, to: 1, step: step) <= fraction }
    }

    /// Element `index` of `torch.arange(start, end, step)` in f32, which is computed in blocks of eight, the rest one by one.
    static func range(_ index: Int, from start: Double = 0, to end: Double, step: Double) -> Float {
        let blocked = Int(((end - start) / step).rounded(.up)) / 16 * 16
        guard index < blocked else { return Float(start + step * Double(index)) }
        let first = index / 8 * 8
        return Float(Double(Float(start + step * Double(first))) + step * Double(index - first))
    }

    /// The rows of an axis of the table that are blended for place `index` of `count`.
    static func taps(_ index: Int, of count: Int, _ rule: BlendRule) -> [Tap] {
        switch rule {
        case .bilinear(let side, let alignsCorners):
            let place =
                alignsCorners
                ? (count == 1 ? 0 : Float(index) * Float(side - 1) / Float(count - 1))
                : max((Float(index) + 0.5) * (Float(side) / Float(count)) - 0.5, 0)
            let low = min(Int(place), side - 1)
            return [Tap(row: low, weight: 1 - (place - Float(low))), Tap(row: min(low + 1, side - 1), weight: place - Float(low))]
        case .antialiased(let side): return triangles(index, of: count, side: side)
        case .bicubic(let side):
            let place = (Float(index) + 0.5) * (Float(side) / Float(count)) - 0.5
            let low = Int(place.rounded(.down))
            return (-1...2).map { Tap(row: min(max(low + $0, 0), side - 1), weight: keys(abs(place - Float(low + $0)))) }
        }
    }

    /// The weights of all rows of an axis for place `index` of `count`: a triangle as wide as the place, or as two rows
    /// (`_upsample_bilinear2d_aa`).
    private static func triangles(_ index: Int, of count: Int, side: Int) -> [Tap] {
        let scale = Float(side) / Float(count)
        let support = max(scale, 1)
        let center = scale * (Float(index) + 0.5)
        let first = max(Int(center - support + 0.5), 0)
        let end = min(Int(center + support + 0.5), side)
        let inverse = scale >= 1 ? 1 / scale : 1
        var taps = (0..<side).map { Tap(row: $0, weight: 0) }
        var total: Float = 0
        for row in first..<max(first, end) {
            taps[row].weight = max(1 - abs((Float(row - first) + Float(first) - center + 0.5) * inverse), 0)
            total += taps[row].weight
        }
        for row in first..<max(first, end) where total != 0 { taps[row].weight /= total }
        return taps
    }

    /// Keys' cubic with a = −0.75 at a distance below 2.
    private static func keys(_ x: Float) -> Float {
        let a: Float = -0.75
        if x <= 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
        return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0
    }
}
