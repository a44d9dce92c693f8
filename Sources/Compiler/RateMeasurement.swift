import CKernels
import COpenBLAS
import Foundation

/// Rates of the processor itself, by their names in a `Machine`.
enum RateKind: String, CaseIterable {
    case read = "read GB/s"
    case f32 = "f32 GFLOP/s"
    case bf16 = "bf16 GFLOP/s"
    case int8 = "int8 GOP/s"
    case int16 = "int16 GOP/s"
    case int8Pairs = "vpmaddubsw GOP/s"
    case int16Pairs = "vpmaddwd GOP/s"
    case int8Tiles = "AMX int8 GOP/s"
    case bf16Tiles = "AMX bf16 GFLOP/s"

    /// The name of the rate of all threads at once.
    var together: String { rawValue + ", all threads" }

    var rate: vlm_rate {
        switch self {
        case .read: VLM_RATE_READ
        case .f32: VLM_RATE_F32_FMA
        case .bf16: VLM_RATE_BF16_DOT
        case .int8: VLM_RATE_INT8_DOT
        case .int16: VLM_RATE_INT16_DOT
        case .int8Pairs: VLM_RATE_INT8_PAIRS
        case .int16Pairs: VLM_RATE_INT16_PAIRS
        case .int8Tiles: VLM_RATE_INT8_TILES
        case .bf16Tiles: VLM_RATE_BF16_TILES
        }
    }
}

/// Measures what this machine can do. Threads write nothing that another reads.
package final class RateMeasurement: @unchecked Sendable {
    private let features = vlm_cpu_features()
    private let threads: Int
    private let buffer: UnsafeMutableRawPointer
    private let byteCount: Int
    /// The part of the buffer that is read next; when its turn comes again, the caches hold it no more.
    private var slice = 0

    private static let sliceBytes = 32 << 20
    /// Timed runs of a rate in a round, of one thread and of all.
    private static let (runs, runsTogether) = (4, 3)
    /// A run of all threads is undisturbed that takes so much longer, at most, than the time that its slowest thread computes.
    private static let delayMax = 1.1

    /// - Parameter threads: how many are measured at once; 1 for none but one.
    static func rounds(threads: Int) -> RateRounds {
        let measurement = RateMeasurement(threads: threads)
        var rounds = RateRounds(informative: Set(RateKind.allCases.map(\.together)))
        // Every rate in every round, so that a busy moment does not make one look low beside another.
        while rounds.wantsMore { rounds.add(measurement.simpleRates().merging(measurement.productRates()) { a, _ in a }) }
        return rounds
    }

    /// - Parameter threads: how many are measured at once; 1 for none but one.
    package init(threads: Int) {
        self.threads = threads
        byteCount = min(max(2, (4 * Self.cacheBytes + Self.sliceBytes - 1) / Self.sliceBytes), 16) * Self.sliceBytes
        buffer = .allocate(byteCount: byteCount, alignment: 4096)
        buffer.initializeMemory(as: UInt8.self, repeating: 1, count: byteCount)
    }

    deinit { buffer.deallocate() }

    /// The machine with the processor's and the memory's rates of this moment; takes some tenths of a second.
    package func now(_ machine: Machine) -> Machine {
        var machine = machine
        machine.rates.merge(simpleRates()) { $1 }
        machine.threads = threads
        return machine
    }

    /// Bytes of all last-level caches.
    private static var cacheBytes: Int {
        var seen: Set<String> = []
        var bytes = 0
        for processor in 0..<ProcessInfo.processInfo.processorCount {
            let folder = "/sys/devices/system/cpu/cpu\(processor)/cache/index3/"
            let texts = ["shared_cpu_list", "size"].compactMap { try? String(contentsOfFile: folder + $0, encoding: .utf8) }
            guard texts.count == 2, seen.insert(texts[0]).inserted, let kilobytes = Int(texts[1].prefix { $0.isNumber }) else { continue }
            bytes += min(kilobytes, 1 << 20) * 1024
        }
        return bytes
    }

    private func nextSlice() -> UnsafeMutableRawPointer {
        slice = (slice + 1) % (byteCount / Self.sliceBytes)
        return buffer + slice * Self.sliceBytes
    }

    private func simpleRates() -> [String: Double] {
        var rates: [String: Double] = [:]
        for kind in RateKind.allCases {
            let work = vlm_rate_work(kind.rate, Self.sliceBytes, features)
            guard work > 0 else { continue }
            let one = fastest(work) { [self] in _ = vlm_rate_run(kind.rate, $0, nextSlice(), Self.sliceBytes, features) }
            rates[kind.rawValue] = one.rate
            if threads > 1, let all = together(kind, iterations: 2 * one.iterations) { rates[kind.together] = all }
        }
        return rates
    }

    /// The best rate of all threads at once, each by the time that it computes: what other processes take does not count. Of memory
    /// they read a share of a slice each; unless they did so at the same time, the clock counts.
    private func together(_ kind: RateKind, iterations: Int64) -> Double? {
        let share = kind == .read ? Self.sliceBytes / threads / 4096 * 4096 : 4096
        let count = kind == .read ? 1 : iterations
        let work = vlm_rate_work(kind.rate, share, features) * Double(count)
        let rates = (0..<Self.runsTogether).compactMap { _ -> Double? in
            let slices = [nextSlice(), nextSlice()].map { Int(bitPattern: $0) }
            let times = RateCrew.seconds(threads: threads) { [features] thread, pass in
                _ = vlm_rate_run(kind.rate, count, UnsafeRawPointer(bitPattern: slices[pass] + thread * share), share, features)
            }
            guard let times else { return nil }
            let isApart = kind == .read && times.span > Self.delayMax * (times.busy.max() ?? 0)
            return isApart ? work * Double(threads) / times.span : times.busy.reduce(0) { $0 + work / $1 }
        }
        return rates.max().map(Self.rounded)
    }

    /// The f32 kernel and OpenBLAS on one product; empty without the library.
    private func productRates() -> [String: Double] {
        guard vlm_openblas_open() else { return [:] }
        let (rows, side) = (Int(VLM_OPENBLAS_ROWS), 512)
        let x = buffer.initializeMemory(as: Float.self, repeating: 0.5, count: (rows + side) * side)
        let (weight, y, scratch) = (x + rows * side, x + (rows + side) * side, x + (2 * rows + side) * side)
        var layer = vlm_linear_args()
        (layer.kind, layer.rows, layer.inputs, layer.outputs) = (VLM_LINEAR_F32_F32, Int64(rows), Int64(side), Int64(side))
        (layer.x, layer.x_stride, layer.weight) = (UnsafePointer(x), Int64(side), UnsafeRawPointer(weight))
        (layer.y, layer.y_stride) = (y, Int64(side))
        let (panels, items, work) = (vlm_panels(layer.outputs), vlm_linear_items(&layer, features), 2 * Double(rows * side * side))
        let own = fastest(work) { for _ in 0..<$0 { _ = vlm_linear(&layer, 0, items, scratch, features) } }
        let library = fastest(work) { for _ in 0..<$0 { _ = vlm_openblas_linear(&layer, 0, panels, scratch, features) } }
        return [Machine.kernelRate: own.rate, Machine.libraryRate: library.rate]
    }

    /// The best of a few short runs of `work` per iteration, in units of 10⁹ per second of the thread's own time: other processes do
    /// not count. And the iterations of a run, which takes a millisecond at least.
    private func fastest(_ work: Double, _ run: (Int64) -> Void) -> (rate: Double, iterations: Int64) {
        func seconds(_ iterations: Int64) -> Double {
            let start = RateCrew.threadSeconds
            run(iterations)
            return RateCrew.threadSeconds - start
        }
        var iterations = Int64(1)
        // Twice, since a run that was held up looks longer than it is.
        while min(seconds(iterations), seconds(iterations)) < 0.001 { iterations *= 2 }
        let best = (0..<Self.runs).map { _ in seconds(iterations) }.min() ?? 1
        return (Self.rounded(work * Double(iterations) / best), iterations)
    }

    /// In units of 10⁹, to a tenth.
    private static func rounded(_ rate: Double) -> Double { (rate / 1e8).rounded() / 10 }
}
