package import CKernels
internal import Foundation

/// Memory for plain values, whose content nobody keeps when it grows.
private struct Scratch<Value: BitwiseCopyable> {
    private(set) var values = UnsafeMutableBufferPointer<Value>(start: nil, count: 0)

    /// At least `count` values, of which none means anything.
    mutating func grown(to count: Int) -> UnsafeMutableBufferPointer<Value> {
        if values.count < count {
            values.deallocate()
            values = .allocate(capacity: count)
        }
        return values
    }

    func deallocate() { values.deallocate() }
}

/// Chooses tokens from logits, by the same arithmetic on every processor; keeps scratch memory between calls, one of which runs at a time.
package final class Sampler {
    private let isa: vlm_isa
    /// Summed weights of each chunk of the row.
    private var sums = Scratch<Float>()
    private var blocks = Scratch<Float>()
    /// A row before it is changed.
    private var raw = Scratch<Float>()
    private var bins = Scratch<Double>()
    /// Indices of logits, ascending.
    private var indices = Scratch<Int32>()
    private var order: [Float] = []

    /// - Parameter isa: the instructions that may be used, which change no choice.
    package init(isa: vlm_isa = vlm_cpu_features()) { self.isa = isa }

    deinit {
        sums.deallocate()
        blocks.deallocate()
        raw.deallocate()
        bins.deallocate()
        indices.deallocate()
    }

    /// The next token, or nil when no logit is a number. Penalties and rules are `TokenPolicy`'s, applied before.
    ///
    /// - Parameters:
    ///   - logits: changed in place.
    ///   - position: count of tokens generated before.
    package func sample(
        _ logits: UnsafeMutableBufferPointer<Float>, _ parameters: SamplingParameters, position: Int
    ) -> Int32? {
        guard let base = logits.baseAddress else { return nil }
        let best = Int(vlm_first_greatest(base, Int64(logits.count), isa))
        guard best >= 0 else { return nil }
        guard !parameters.isGreedy, logits[best].isFinite else { return Int32(best) }
        let unit = CounterRandom(seed: parameters.seed).unit(position)
        let total = weigh(logits, parameters, top: logits[best])
        guard parameters.topP < 1 else { return draw(logits, unit * total) ?? Int32(best) }
        let count = keepNucleus(logits, parameters, total: total)
        return draw(logits, unit, among: count) ?? Int32(best)
    }

    /// Replaces logits by probabilities in units of the likeliest token's, 0 for tokens that do not take part; returns their sum.
    private func weigh(_ logits: UnsafeMutableBufferPointer<Float>, _ parameters: SamplingParameters, top: Float) -> Double {
        var row = vlm_sampling_weights_args()
        (row.count, row.x, row.y) = (Int64(logits.count), UnsafePointer(logits.baseAddress), logits.baseAddress)
        (row.top, row.temperature) = (top, parameters.temperature)
        row.limit = kthLargest(logits, parameters.topK)
        // The nucleus has its share of all that take part, less likely ones included.
        row.least = parameters.topP < 1 ? 0 : parameters.minP
        let chunks = vlm_sampling_chunks(row.count)
        let sums = sums.grown(to: Int(chunks))
        row.sums = sums.baseAddress
        vlm_sampling_weights(&row, 0, chunks, isa)
        return sums[..<Int(chunks)].reduce(0.0) { $0 + Double($1) }
    }

    /// The token at which the weights' sum exceeds `share`; the last that takes part where rounding leaves less.
    private func draw(_ weights: UnsafeMutableBufferPointer<Float>, _ share: Double) -> Int32? {
        let (chunk, sums) = (Int(VLM_SAMPLING_CHUNK), sums.values)
        var rest = share
        var first = 0
        while first < weights.count, rest >= Double(sums[first / chunk]) {
            rest -= Double(sums[first / chunk])
            first += chunk
        }
        for token in min(first, weights.count)..<min(first + chunk, weights.count) {
            rest -= Double(weights[token])
            if rest < 0 { return Int32(token) }
        }
        return weights[..<min(first + chunk, weights.count)].lastIndex { $0 > 0 }.map { Int32($0) }
    }
}

extension Sampler {
    /// log Σ e^x over a row, which is left as it is; where the greatest logit is not finite, that logit.
    func logSumOfExponentials(_ logits: UnsafeMutableBufferPointer<Float>) -> Double {
        guard let base = logits.baseAddress else { return 0 }
        let best = Int(vlm_first_greatest(base, Int64(logits.count), isa))
        guard best >= 0, logits[best].isFinite else { return best < 0 ? .nan : Double(logits[best]) }
        var row = vlm_sampling_weights_args()
        (row.count, row.x, row.y) = (Int64(logits.count), UnsafePointer(base), nil)
        (row.top, row.temperature, row.limit, row.least) = (logits[best], 1, -.infinity, 0)
        let chunks = vlm_sampling_chunks(row.count)
        let sums = sums.grown(to: Int(chunks))
        row.sums = sums.baseAddress
        vlm_sampling_weights(&row, 0, chunks, isa)
        return Double(logits[best]) + log(sums[..<Int(chunks)].reduce(0.0) { $0 + Double($1) })
    }

    /// The row as it is, kept until the next call.
    func copy(_ logits: UnsafeMutableBufferPointer<Float>) -> UnsafeMutableBufferPointer<Float> {
        let copy = raw.grown(to: logits.count)
        _ = copy.update(fromContentsOf: logits)
        return copy
    }

    /// Calls `body` with each token whose logit is at least `least`, in the order of their ids.
    func forEachAtLeast(_ least: Float, in logits: UnsafeMutableBufferPointer<Float>, _ body: (Int32) -> Void) {
        let found = findAtLeast(least, in: logits)
        let indices = indices.values
        for place in 0..<found { body(indices[place]) }
    }

    /// The k-th largest logit; −∞ when all take part.
    func kthLargest(_ logits: UnsafeMutableBufferPointer<Float>, _ k: Int) -> Float {
        guard k > 0, k < logits.count else { return -.infinity }
        let size = Int(VLM_SAMPLING_BLOCK)
        let blockCount = (logits.count + size - 1) / size
        guard k <= blockCount else { return kthLargest(k, of: logits.count) { logits[$0] } }
        // So many blocks have a logit as large as the k-th of their greatest: the k-th of all is not below it.
        let blocks = blocks.grown(to: blockCount)
        vlm_block_greatest(logits.baseAddress, Int64(logits.count), blocks.baseAddress, isa)
        let bound = kthLargest(k, of: blockCount) { blocks[$0] }
        guard bound > -.infinity else { return kthLargest(k, of: logits.count) { logits[$0] } }
        let found = findAtLeast(bound, in: logits)
        let indices = indices.values
        return kthLargest(k, of: found) { logits[Int(indices[$0])] }
    }

    /// Writes the indices of what is at least `least` to `indices`; returns how many there are.
    private func findAtLeast(_ least: Float, in values: UnsafeMutableBufferPointer<Float>) -> Int {
        Int(vlm_at_least(values.baseAddress, Int64(values.count), least, indices.grown(to: values.count).baseAddress, isa))
    }

    /// The k-th largest of so many values, −∞ and NaN passed over; −∞ where there are fewer.
    private func kthLargest(_ k: Int, of count: Int, _ value: (Int) -> Float) -> Float {
        order.removeAll(keepingCapacity: true)
        // A min-heap of the k largest so far.
        for index in 0..<count {
            let value = value(index)
            guard value > -.infinity else { continue }
            if order.count < k {
                order.append(value)
                siftUp(order.count - 1)
            } else if value > order[0] {
                order[0] = value
                siftDown()
            }
        }
        return order.count < k ? -.infinity : order[0]
    }

    private func siftUp(_ start: Int) {
        var child = start
        while child > 0, order[child] < order[(child - 1) / 2] {
            order.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private func siftDown() {
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < order.count else { return }
            if child + 1 < order.count, order[child + 1] < order[child] { child += 1 }
            guard order[child] < order[parent] else { return }
            order.swapAt(child, parent)
            parent = child
        }
    }
}

extension Sampler {
    /// Keeps in `indices` the likeliest tokens up to a share of the probability, the one that crosses it included, and of equally likely
    /// ones the first; of those, the ones that `minP` lets be drawn. Returns how many there are.
    private func keepNucleus(_ weights: UnsafeMutableBufferPointer<Float>, _ parameters: SamplingParameters, total: Double) -> Int {
        // What is below an even split of the tail can never be part of the nucleus.
        let floor = Float((1 - Double(parameters.topP)) * total / Double(weights.count) * 0.999)
        let found = findAtLeast(max(floor, .leastNormalMagnitude), in: weights)
        var cut = leastOfNucleus(weights, among: found, share: Double(parameters.topP) * total)
        let indices = indices.values
        var kept = 0
        for place in 0..<found {
            let weight = weights[Int(indices[place])]
            if weight == cut.weight { cut.ties -= 1 }
            guard weight > cut.weight || weight == cut.weight && cut.ties >= 0, weight >= parameters.minP else { continue }
            indices[kept] = indices[place]
            kept += 1
        }
        return kept
    }

    /// The least weight in the smallest set of largest weights that sum up to `share`, and how many times it is needed.
    ///
    /// The weights' bits are found ten at a time, the highest first: positive numbers are ordered as their bits are.
    private func leastOfNucleus(
        _ weights: UnsafeMutableBufferPointer<Float>, among count: Int, share: Double
    ) -> (weight: Float, ties: Int) {
        var (above, bits, known) = (0.0, UInt32(0), UInt32(0))
        let (bins, indices) = (bins.grown(to: 1024), indices.values)
        var shift = 20
        while shift >= 0 {
            bins.initialize(repeating: 0)
            for place in 0..<count {
                let weight = weights[Int(indices[place])]
                guard weight.bitPattern & known == bits else { continue }
                bins[Int(weight.bitPattern >> UInt32(shift) & 1023)] += Double(weight)
            }
            // The bin in which the share is reached; the lowest where rounding leaves less.
            var (bin, lowest) = (1023, 1023)
            while bin >= 0, bins[bin] == 0 || above + bins[bin] < share {
                if bins[bin] > 0 {
                    above += bins[bin]
                    lowest = bin
                }
                bin -= 1
            }
            if bin < 0 {
                bin = lowest
                above -= bins[bin]
            }
            bits |= UInt32(bin) << UInt32(shift)
            known |= UInt32(1023) << UInt32(shift)
            shift -= 10
        }
        let weight = Float(bitPattern: bits)
        return (weight, max(1, Int(min(((share - above) / Double(weight)).rounded(.up), Double(count)))))
    }

    /// The token of the first `count` of `indices` at a share of their summed probability.
    private func draw(_ weights: UnsafeMutableBufferPointer<Float>, _ unit: Double, among count: Int) -> Int32? {
        let indices = indices.values
        var total = 0.0
        for place in 0..<count { total += Double(weights[Int(indices[place])]) }
        var rest = unit * total
        for place in 0..<count {
            rest -= Double(weights[Int(indices[place])])
            if rest < 0 { return indices[place] }
        }
        return count > 0 ? indices[count - 1] : nil
    }
}
