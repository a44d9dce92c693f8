package import ArtifactFormat
import CKernels
import COpenBLAS
import Foundation
package import Plan

/// What this machine can do, as measured; it decides which of two correct kernels is the faster.
package struct Machine: Sendable, Codable, Hashable {
    /// The processor's model name.
    package var processor: String
    package var features: [CPUFeature]
    /// Rates of one thread by name: `read GB/s`, `f32 GFLOP/s`, `bf16 GFLOP/s`, `int8 GOP/s` at most, and of a large product
    /// `f32 linear GFLOP/s` by the kernels and `OpenBLAS GFLOP/s`.
    package var rates: [String: Double]
    /// Rates of which no two rounds of measuring agreed within 10 %, because the machine was busy: they may be far too low. Nil
    /// where all are sound.
    package var unsettled: [String]?

    /// The arithmetic for many rows. Balanced: bf16 dot products where they beat f32 multiply-adds clearly. Exact: OpenBLAS,
    /// unless the kernels' f32 is far faster on this processor.
    package func arithmetic(for target: Target, _ precision: ArtifactKey.Precision) -> Arithmetic {
        switch precision {
        case .exact:
            guard let library = rates[Self.libraryRate], let own = rates[Self.kernelRate] else { return .f32 }
            return own > Self.byFar * library ? .f32 : .blas
        case .balanced:
            guard target.features.contains(.avx512bf16), let wide = rates["f32 GFLOP/s"], let narrow = rates["bf16 GFLOP/s"] else {
                return .f32
            }
            return narrow > Self.clearly * wide ? .bf16 : .f32
        }
    }

    /// Operations that one thread can do in a nanosecond with many rows; 0 where it was not measured.
    func gigaOperations(of target: Target, _ precision: ArtifactKey.Precision) -> Double {
        switch arithmetic(for: target, precision) {
        case .bf16: rates["bf16 GFLOP/s"] ?? 0
        case .int8: rates["int8 GOP/s"] ?? 0
        case .blas: rates[Self.libraryRate] ?? 0
        case .f32: rates[Self.kernelRate] ?? rates["f32 GFLOP/s"] ?? 0
        }
    }

    private static let (kernelRate, libraryRate) = ("f32 linear GFLOP/s", "OpenBLAS GFLOP/s")
    private static let (clearly, byFar) = (1.15, 1.5)

    var tuning: Manifest.Tuning { Manifest.Tuning(processor: processor, features: features, rates: rates) }

    /// What to tell a person about rates that may be too low; nil where all are sound.
    package var warning: String? {
        unsettled.map { names in
            "this machine was too busy to be measured: no two rounds agree within 10 % on \(names.joined(separator: ", ")); "
                + "it is measured again next time"
        }
    }

    /// This machine as the store remembers it, else as measured now; takes about 0.3 s once, and up to 2 s while it is busy.
    ///
    /// What was remembered in spite of `unsettled` rates is measured again, and kept if that is no better.
    package static func current(_ store: Store) -> Machine {
        let (processor, features) = (ThisMachine.processor(), Target.allCases.filter(\.runsHere).last?.features.sorted() ?? [])
        let record = Self.recordName(processor, features)
        var known = store.record(.machines, record).flatMap { try? JSONDecoder().decode(Machine.self, from: Data($0)) }
        if known?.processor != processor || known?.features != features { known = nil }
        if let known, known.unsettled == nil { return known }
        let rounds = measuredRounds()
        guard !rounds.unsettled.isEmpty else { return Machine(processor: processor, features: features, rates: rounds.rates) }
        return known ?? Machine(processor: processor, features: features, rates: rounds.rates, unsettled: rounds.unsettled)
    }

    /// The machine that a file's bytes describe, in the form that `vlmc machine` prints.
    package static func read(_ bytes: [UInt8], of path: String) throws(CompileError) -> Machine {
        do { return try JSONDecoder().decode(Machine.self, from: Data(bytes)) } catch {
            throw .badOption("--machine \(path) does not describe a machine; write one with vlmc machine > FILE")
        }
    }

    /// Lets the store remember the machine; a store that cannot be written only costs time.
    package func remember(in store: Store) {
        guard let data = try? JSONEncoder().encode(self) else { return }
        try? store.setRecord(.machines, Self.recordName(processor, features), Array(data))
    }

    private static func recordName(_ processor: String, _ features: [CPUFeature]) -> String {
        // The way of measuring is part of the name: rates measured otherwise do not count.
        let way = "thread time, rounds that agree, " + (vlm_openblas_open() ? "with OpenBLAS, " : "")
        let text = way + processor + " " + features.map(\.rawValue).joined(separator: " ")
        let hash = text.utf8.reduce(UInt64(14_695_981_039_346_656_037)) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
        return String(hash, radix: 16)
    }

    private static let runsPerRound = 4

    private static func measuredRounds() -> RateRounds {
        let features = vlm_cpu_features()
        let bytes = 64 << 20
        let buffer = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
        buffer.initializeMemory(as: UInt8.self, repeating: 1, count: bytes)
        defer { buffer.deallocate() }
        var rounds = RateRounds()
        // Every rate in every round, so that a busy moment does not make one look low beside another.
        while rounds.wantsMore {
            rounds.add(simpleRates(buffer, bytes, features).merging(productRates(buffer, features)) { a, _ in a })
        }
        return rounds
    }

    private static func simpleRates(_ buffer: UnsafeMutableRawPointer, _ bytes: Int, _ features: vlm_isa) -> [String: Double] {
        let wanted = [
            ("read GB/s", VLM_RATE_READ), ("f32 GFLOP/s", VLM_RATE_F32_FMA), ("bf16 GFLOP/s", VLM_RATE_BF16_DOT),
            ("int8 GOP/s", VLM_RATE_INT8_DOT),
        ]
        var rates: [String: Double] = [:]
        for (name, rate) in wanted {
            let work = vlm_rate_work(rate, bytes, features)
            guard work > 0 else { continue }
            rates[name] = fastest(work) { _ = vlm_rate_run(rate, $0, buffer, bytes, features) }
        }
        return rates
    }

    /// The f32 kernel and OpenBLAS on one product; empty without the library.
    private static func productRates(_ buffer: UnsafeMutableRawPointer, _ features: vlm_isa) -> [String: Double] {
        guard vlm_openblas_open() else { return [:] }
        let (rows, side) = (Int(VLM_OPENBLAS_ROWS), 512)
        let x = buffer.initializeMemory(as: Float.self, repeating: 0.5, count: (rows + side) * side)
        let (weight, y, scratch) = (x + rows * side, x + (rows + side) * side, x + (2 * rows + side) * side)
        var layer = vlm_linear_args()
        (layer.kind, layer.rows, layer.inputs, layer.outputs) = (VLM_LINEAR_F32_F32, Int64(rows), Int64(side), Int64(side))
        (layer.x, layer.x_stride, layer.weight) = (UnsafePointer(x), Int64(side), UnsafeRawPointer(weight))
        (layer.y, layer.y_stride) = (y, Int64(side))
        let (panels, work) = (vlm_panels(layer.outputs), 2 * Double(rows * side * side))
        let own = fastest(work) { for _ in 0..<$0 { _ = vlm_linear(&layer, 0, panels, scratch, features) } }
        let library = fastest(work) { for _ in 0..<$0 { _ = vlm_openblas_linear(&layer, 0, panels, scratch, features) } }
        return [kernelRate: own, libraryRate: library]
    }

    /// The best of a few short runs of `work` per iteration, in units of 10⁹ per second of the thread's own time: other
    /// processes do not count.
    private static func fastest(_ work: Double, _ run: (Int64) -> Void) -> Double {
        func seconds(_ iterations: Int64) -> Double {
            let start = threadTime()
            run(iterations)
            return Double(threadTime() - start) * 1e-9
        }
        var iterations = Int64(1)
        // Twice, since a run that was held up looks longer than it is.
        while min(seconds(iterations), seconds(iterations)) < 0.001 { iterations *= 2 }
        let best = (0..<runsPerRound).map { _ in seconds(iterations) }.min() ?? 1
        return (work * Double(iterations) / best / 1e8).rounded() / 10
    }

    /// Nanoseconds that this thread has computed.
    private static func threadTime() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Int(time.tv_sec) * 1_000_000_000 + Int(time.tv_nsec)
    }
}

extension Target {
    /// Whether this processor has every feature of the target and the operating system has enabled it.
    package var runsHere: Bool {
        let bits: vlm_isa =
            switch self {
            case .cpu: VLM_ISA_GENERIC
            case .cpuAVX2: VLM_ISA_AVX2
            case .cpuAVX512: VLM_ISA_AVX2 | VLM_ISA_AVX512
            case .cpuAVX512VNNI: VLM_ISA_AVX2 | VLM_ISA_AVX512 | VLM_ISA_AVX512_VNNI
            case .cpuAVX512BF16: VLM_ISA_AVX2 | VLM_ISA_AVX512 | VLM_ISA_AVX512_VNNI | VLM_ISA_AVX512_BF16
            }
        return vlm_cpu_features() & bits == bits
    }

    /// The richest target that this machine runs.
    package static var here: Target { allCases.last(where: \.runsHere) ?? .cpu }
}
