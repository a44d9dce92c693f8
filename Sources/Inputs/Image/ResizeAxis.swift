internal import CImage
internal import Foundation
internal import Plan

/// The fixed-point weights of a resize along one axis.
///
/// Source: torchvision's uint8 path (ATen `upsample_*_aa`) and Pillow's `ImagingResample`; they differ in the number of
/// bits only. Filters are evaluated in double precision, normalised, then rounded half away from zero.
struct ResizeAxis {
    let sizeIn: Int
    let sizeOut: Int
    private(set) var starts: [Int32] = []
    private(set) var counts: [Int32] = []
    /// `sizeOut` rows of `stride` weights, zero behind the row's count.
    private(set) var weights: [Int32] = []
    /// The same where every weight fits, else a 256th of them rounded down; empty where even that does not fit.
    private(set) var weights16: [Int16] = []
    /// What the 256th leaves, from 0 to 255; empty where the weights fit.
    private(set) var rest16: [Int16] = []
    /// A multiple of four, at least every count.
    let stride: Int
    private(set) var bits = 0

    /// Weights for `sizeIn` → `sizeOut` samples, both positive.
    init(from sizeIn: Int, to sizeOut: Int, filter: ResampleFilter, precision: ResizePrecision) {
        self.sizeIn = sizeIn
        self.sizeOut = sizeOut
        if filter == .nearest || filter == .nearestExact {
            stride = 4
            takeNearest(at: filter == .nearest ? 0 : 0.5, precision)
            return
        }
        let scale = Double(sizeIn) / Double(sizeOut)
        let spread = max(scale, 1)
        let support = filter.support * spread
        stride = min(Int(support.rounded(.up)) * 2 + 1, sizeIn + 3) / 4 * 4 + 4
        var exact = [Double](repeating: 0, count: stride * sizeOut)
        var largest = 0.0
        for i in 0..<sizeOut {
            let center = scale * (Double(i) + 0.5)
            let first = max(Int(center - support + 0.5), 0)
            let end = min(Int(center + support + 0.5), sizeIn)
            starts.append(Int32(first))
            counts.append(Int32(end - first))
            var total = 0.0
            for j in 0..<end - first {
                let weight = filter((Double(j + first) - center + 0.5) * (1 / spread))
                exact[i * stride + j] = weight
                total += weight
            }
            guard total != 0 else { continue }
            for j in i * stride..<i * stride + end - first {
                exact[j] /= total
                largest = max(largest, exact[j])
            }
        }
        bits = precision.bits(largestWeight: largest)
        quantize(exact)
    }

    /// One weight per sample, where ATen's `upsample_nearest` and `upsample_nearest_exact` find it in 32-bit arithmetic.
    /// Pillow has one such filter; it finds the sample under each centre by adding the scale up in 64 bits.
    private mutating func takeNearest(at offset: Float, _ precision: ResizePrecision) {
        switch precision {
        case .torchvision:
            let scale = Float(sizeIn) / Float(sizeOut)
            starts = (0..<sizeOut).map { Int32(min(Int(((Float($0) + offset) * scale).rounded(.down)), sizeIn - 1)) }
        case .pillow:
            let scale = Double(sizeIn) / Double(sizeOut)
            var place = scale * 0.5
            for _ in 0..<sizeOut {
                starts.append(Int32(min(Int(place), sizeIn - 1)))
                place += scale
            }
        }
        counts = [Int32](repeating: 1, count: sizeOut)
        bits = precision.bits(largestWeight: 1)
        quantize((0..<stride * sizeOut).map { $0 % stride == 0 ? 1 : 0 })
    }

    private mutating func quantize(_ exact: [Double]) {
        let one = Double(1 << bits)
        weights = exact.map { Int32($0 * one + ($0 < 0 ? -0.5 : 0.5)) }
        if weights.allSatisfy({ Int16(exactly: $0) != nil }) {
            weights16 = weights.map { Int16($0) }
        } else if weights.allSatisfy({ Int16(exactly: $0 >> 8) != nil }) {
            weights16 = weights.map { Int16($0 >> 8) }
            rest16 = weights.map { Int16($0 & 255) }
        }
    }

    /// Calls `body` with the C view of this axis, valid only during the call.
    func withAxis<Result>(_ body: (inout cimage_axis) -> Result) -> Result {
        weights16.withUnsafeBufferPointer { narrow in
            rest16.withUnsafeBufferPointer { rest in
                starts.withUnsafeBufferPointer { starts in
                    counts.withUnsafeBufferPointer { counts in
                        weights.withUnsafeBufferPointer { wide in
                            var axis = cimage_axis()
                            axis.starts = starts.baseAddress
                            axis.counts = counts.baseAddress
                            axis.weights = wide.baseAddress
                            axis.weights16 = narrow.isEmpty ? nil : narrow.baseAddress
                            axis.rest16 = rest.isEmpty ? nil : rest.baseAddress
                            axis.stride = Int32(stride)
                            axis.precision = Int32(bits)
                            axis.size_in = Int32(sizeIn)
                            axis.size_out = Int32(sizeOut)
                            return body(&axis)
                        }
                    }
                }
            }
        }
    }
}

extension ResizePrecision {
    /// Fractional bits of the weights when the largest of them is `largestWeight`.
    func bits(largestWeight: Double) -> Int {
        switch self {
        case .pillow: 22
        case .torchvision:
            (0..<22).first { Int(0.5 + largestWeight * Double(1 << ($0 + 1))) >= 1 << 15 } ?? 22
        }
    }
}

extension ResampleFilter {
    /// Half the filter's width, in output samples.
    var support: Double {
        switch self {
        case .bilinear: 1
        case .bicubic: 2
        case .lanczos: 3
        case .nearest, .nearestExact: 0.5
        }
    }

    /// The filter at `x` output samples from its centre.
    func callAsFunction(_ x: Double) -> Double {
        let distance = abs(x)
        switch self {
        case .bilinear: return distance < 1 ? 1 - distance : 0
        case .bicubic:
            let a = -0.5
            if distance < 1 { return ((a + 2) * distance - (a + 3)) * distance * distance + 1 }
            if distance < 2 { return (((distance - 5) * distance + 8) * distance - 4) * a }
            return 0
        case .lanczos:
            guard x >= -3, x < 3 else { return 0 }
            return sinc(x) * sinc(x / 3)
        case .nearest, .nearestExact: return distance < 0.5 ? 1 : 0
        }
    }

    private func sinc(_ x: Double) -> Double {
        x == 0 ? 1 : sin(x * .pi) / (x * .pi)
    }
}
