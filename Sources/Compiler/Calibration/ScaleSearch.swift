import Dispatch
import Glibc
package import Reference
import Synchronization

/// What layers read during a calibration: channel by channel how large it is, and some of it.
package struct CalibrationSample: Sendable {
    /// mean |x| of each channel over all rows.
    package let means: [Float]
    /// f32 `[count, channels]`, of rows that lie evenly among all.
    let rows: [Float]
    package let count: Int

    /// - Parameters:
    ///   - inputs: `[rows, channels]` each.
    ///   - most: rows that are kept.
    package init(_ inputs: [Tensor], keeping most: Int) {
        let channels = inputs.first?.shape.last ?? 0
        let total = channels == 0 ? 0 : inputs.reduce(0) { $0 + $1.count / channels }
        var sums = Array(repeating: 0.0, count: channels)
        var kept: [Float] = []
        let count = min(total, most)
        kept.reserveCapacity(count * channels)
        var (row, taken) = (0, 0)
        for input in inputs {
            let values = input.floats
            for start in stride(from: 0, to: values.count, by: max(channels, 1)) {
                for channel in 0..<channels { sums[channel] += Double(abs(values[start + channel])) }
                if taken < count, row == taken * total / count {
                    kept += values[start..<start + channels]
                    taken += 1
                }
                row += 1
            }
        }
        means = sums.map { Float($0 / Double(max(total, 1))) }
        (rows, self.count) = (kept, taken)
    }
}

/// The factors of Lin et al., "AWQ: Activation-aware Weight Quantization" (2023, arXiv 2306.00978), as AutoAWQ searches them: for α of
/// 0, 0.05, … 0.95 the channels' `mean |x|^α`, over the root of greatest times least, of which those are taken with which the layers' outputs
/// are least off when weights `w · s` are rounded to int4 and divided by `s` again. Then each group of `w · s` gets the share of its range with
/// which its part of the outputs is least off, but for queries and keys, whose products a cut would move most: theirs is nearest to the weight.
///
/// The outputs of an attention are not looked at, as AutoAWQ does for queries, keys and values; those of the three layers are.
package struct ScaleSearch: Sendable {
    package static let steps = 20
    /// Rows of inputs that errors are computed of.
    package static let rowsMax = 512

    let sample: CalibrationSample
    let group: Int

    /// - Parameter group: inputs that have a scale together.
    package init(sample: CalibrationSample, group: Int) { (self.sample, self.group) = (sample, group) }

    private var channels: Int { sample.means.count }

    /// A layer whose weight comes some rows at a time.
    package struct Layer: Sendable {
        package let weight: StreamedWeight
        /// Outputs whose groups are cut by what that does to outputs.
        package let clipped: Range<Int>

        package init(weight: StreamedWeight, clipped: Range<Int>) { (self.weight, self.clipped) = (weight, clipped) }
    }

    package struct Outcome: Sendable, Equatable {
        /// Nil where channels stay.
        package var alpha: Double?
        /// Nil where channels stay.
        package var factors: [Float]?
        /// Of each candidate the sum of squares of what outputs are off by, the whole range of groups taken.
        package var squares: [Double]
        /// By layer, u8 `[outputs, groups]`.
        package var shares: [[UInt8]]
        /// By layer, ‖x · (ŵ − w)ᵀ‖ / ‖x · wᵀ‖.
        package var errors: [Double]
        /// The same of rounding to nearest.
        package var nearestErrors: [Double]
    }

    /// - Parameter scales: whether channels can be divided; else α is 0.
    package func search(_ layers: [Layer], scales: Bool) throws(EvaluationError) -> Outcome {
        let candidates = (0..<(scales ? Self.steps : 1)).map { factors(Double($0) / Double(Self.steps)) }
        let first = try parts(of: layers) { values, _, _ in errors(values, candidates) }
        let totals = candidates.indices.map { step in first.joined().reduce(0) { $0 + $1.errors[step] } }
        let best = totals.indices.min { totals[$0] < totals[$1] } ?? 0
        let (chosen, grams) = (candidates[best], grams(candidates[best]))
        let second = try parts(of: layers) { values, rows, layer in cut(values, rows, layers[layer], chosen, grams) }
        let outputs = first.map { $0.reduce(0) { $0 + $1.outputs } }
        let nearest = first.map { $0.reduce(0) { $0 + $1.nearest } }
        let searched = second.map { $0.reduce(0) { $0 + $1.error } }
        func shares(_ errors: [Double]) -> [Double] { zip(errors, outputs).map { $1 > 0 ? ($0 / $1).squareRoot() : 0 } }
        guard searched.reduce(0, +) < nearest.reduce(0, +) else {
            return Outcome(
                alpha: nil, factors: nil, squares: totals, shares: first.map { $0.flatMap(\.shares) }, errors: shares(nearest), nearestErrors: shares(nearest))
        }
        return Outcome(
            alpha: scales ? Double(best) / Double(Self.steps) : nil, factors: best == 0 ? nil : chosen, squares: totals,
            shares: second.map { $0.flatMap(\.shares) },
            errors: shares(searched), nearestErrors: shares(nearest))
    }

    /// `mean |x|^α` of each channel, at least 10⁻⁴, over √(greatest · least).
    package func factors(_ alpha: Double) -> [Float] {
        let powers = sample.means.map { max(powf($0, Float(alpha)), 1e-4) }
        let middle = ((powers.max() ?? 1) * (powers.min() ?? 1)).squareRoot()
        return powers.map { power in
            let factor = power / middle
            return factor.isFinite && factor > 0 ? factor : 1
        }
    }

    /// What some rows of a weight add to the sums of the first look.
    private struct First: Sendable {
        /// Of each candidate ‖x · (ŵ − w)ᵀ‖², the whole range of groups taken.
        var errors: [Double]
        /// The same of rounding to nearest.
        var nearest: Double
        /// ‖x · wᵀ‖²
        var outputs: Double
        /// Of rounding to nearest.
        var shares: [UInt8]
    }

    private func errors(_ values: [Float], _ candidates: [[Float]]) -> First {
        var difference = Array(repeating: Float(0), count: values.count)
        var result = First(errors: [], nearest: 0, outputs: outputSquares(values), shares: [])
        for factors in candidates {
            subtract(values, factors, to: &difference) { _ in GroupRounding.shares[0] }
            result.errors.append(outputSquares(difference))
        }
        let whole = Array(repeating: Float(1), count: channels)
        subtract(values, whole, to: &difference) { group in
            let share = GroupRounding.share(group)
            result.shares.append(share)
            return share
        }
        result.nearest = outputSquares(difference)
        return result
    }

    /// What some rows of a weight add to the sums of the second look.
    private struct Second: Sendable {
        var error: Double
        var shares: [UInt8]
    }

    private func cut(_ values: [Float], _ rows: Range<Int>, _ layer: Layer, _ factors: [Float], _ grams: [[Float]]) -> Second {
        let scaled = values.indices.map { values[$0] * factors[$0 % channels] }
        let groups = channels / group
        var shares = Array(repeating: GroupRounding.shares[0], count: rows.count * groups)
        scaled.withUnsafeBufferPointer { scaled in
            func numbers(_ row: Int, _ place: Int) -> UnsafeBufferPointer<Float> {
                let start = row * channels + place * group
                return UnsafeBufferPointer(rebasing: scaled[start..<start + group])
            }
            let clipped = layer.clipped.clamped(to: rows)
            for row in rows where !clipped.contains(row) {
                for place in 0..<groups { shares[(row - rows.lowerBound) * groups + place] = GroupRounding.share(numbers(row - rows.lowerBound, place)) }
            }
            guard !clipped.isEmpty else { return }
            let lines = clipped.lowerBound - rows.lowerBound..<clipped.upperBound - rows.lowerBound
            for place in 0..<groups {
                for (line, share) in zip(lines, self.shares(of: lines.map { numbers($0, place) }, grams[place])) { shares[line * groups + place] = share }
            }
        }
        var difference = Array(repeating: Float(0), count: values.count)
        var next = 0
        subtract(values, factors, to: &difference) { _ in
            defer { next += 1 }
            return shares[next]
        }
        return Second(error: outputSquares(difference), shares: shares)
    }

    /// Of each group of numbers the share with the least `d · G · dᵀ`, where `d` is what it changes and `G` how the group's inputs go together.
    private func shares(of lines: [UnsafeBufferPointer<Float>], _ gram: [Float]) -> [UInt8] {
        let shares = GroupRounding.shares
        var changes = Array(repeating: Float(0), count: lines.count * shares.count * group)
        changes.withUnsafeMutableBufferPointer { changes in
            for (line, numbers) in lines.enumerated() {
                for (index, share) in shares.enumerated() {
                    let target = changes.baseAddress! + (line * shares.count + index) * group
                    GroupRounding.round(numbers, share: share, to: target)
                    for place in 0..<group { target[place] -= numbers[place] }
                }
            }
        }
        let products = multiplied(changes, rows: lines.count * shares.count, gram, columns: group, inner: group, transposed: false)
        return lines.indices.map { line in
            var best = (index: 0, error: Float.infinity)
            for index in shares.indices {
                var error: Float = 0
                let start = (line * shares.count + index) * group
                for place in start..<start + group { error += products[place] * changes[place] }
                if error < best.error { best = (index, error) }
            }
            return shares[best.index]
        }
    }

    /// By group `Σ x xᵀ` over rows divided by factors.
    private func grams(_ factors: [Float]) -> [[Float]] {
        (0..<channels / group).map { place in
            var columns = Array(repeating: Float(0), count: group * sample.count)
            for row in 0..<sample.count {
                for channel in 0..<group {
                    let index = place * group + channel
                    columns[channel * sample.count + row] = sample.rows[row * channels + index] / factors[index]
                }
            }
            return multiplied(columns, rows: group, columns, columns: group, inner: sample.count, transposed: true)
        }
    }

    /// Writes what rounding `values · factors` and dividing them again changes.
    private func subtract(
        _ values: [Float], _ factors: [Float], to difference: inout [Float], _ share: (UnsafeBufferPointer<Float>) -> UInt8
    ) {
        var scaled = Array(repeating: Float(0), count: group)
        difference.withUnsafeMutableBufferPointer { difference in
            scaled.withUnsafeMutableBufferPointer { scaled in
                for start in stride(from: 0, to: values.count, by: group) {
                    let first = start % channels
                    for place in 0..<group { scaled[place] = values[start + place] * factors[first + place] }
                    let target = difference.baseAddress! + start
                    GroupRounding.round(UnsafeBufferPointer(scaled), share: share(UnsafeBufferPointer(scaled)), to: target)
                    for place in 0..<group { target[place] = target[place] / factors[first + place] - values[start + place] }
                }
            }
        }
    }

    /// ‖x · wᵀ‖² over the sample's rows.
    private func outputSquares(_ weight: [Float]) -> Double {
        let products = multiplied(sample.rows, rows: sample.count, weight, columns: weight.count / channels, inner: channels, transposed: true)
        return products.withUnsafeBufferPointer { products in
            var sum = 0.0
            for start in stride(from: 0, to: products.count, by: 512) {
                var part: Float = 0
                for index in start..<min(start + 512, products.count) { part += products[index] * products[index] }
                sum += Double(part)
            }
            return sum
        }
    }

    private func multiplied(_ a: [Float], rows: Int, _ b: [Float], columns: Int, inner: Int, transposed: Bool) -> [Float] {
        var result = Array(repeating: Float(0), count: rows * columns)
        guard !result.isEmpty, inner > 0 else { return result }
        a.withUnsafeBufferPointer { a in
            b.withUnsafeBufferPointer { b in
                result.withUnsafeMutableBufferPointer { result in
                    Gemm.multiply(a.baseAddress!, b.baseAddress!, result.baseAddress!, m: rows, n: columns, k: inner, transposeB: transposed)
                }
            }
        }
        return result
    }

    /// What `body` makes of every part of every layer's weight, in their order; parts are computed side by side.
    private func parts<Part: Sendable>(
        of layers: [Layer], _ body: @Sendable (_ values: [Float], _ rows: Range<Int>, _ layer: Int) -> Part
    ) throws(EvaluationError) -> [[Part]] {
        let tasks = layers.indices.flatMap { layer in layers[layer].weight.parts.indices.map { (layer, $0) } }
        let state = Mutex<(made: [Part?], failure: EvaluationError?)>((Array(repeating: nil, count: tasks.count), nil))
        DispatchQueue.concurrentPerform(iterations: tasks.count) { index in
            let (layer, part) = tasks[index]
            do throws(EvaluationError) {
                let made = body(try layers[layer].weight.values(part), layers[layer].weight.parts[part], layer)
                state.withLock { $0.made[index] = made }
            } catch {
                state.withLock { $0.failure = $0.failure ?? error }
            }
        }
        return try state.withLock { state throws(EvaluationError) in
            if let failure = state.failure { throw failure }
            var result: [[Part]] = layers.map { _ in [] }
            for (task, part) in zip(tasks, state.made) { if let part { result[task.0].append(part) } }
            return result
        }
    }
}
