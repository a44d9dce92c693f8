package import ArtifactFormat
import CKernels
import Foundation
package import Plan

/// What this machine can do, as measured; it decides which of two correct kernels is the faster.
package struct Machine: Sendable, Codable, Hashable {
    /// The processor's model name.
    package var processor: String
    package var features: [CPUFeature]
    /// Rates of one thread by name: `read GB/s`, `f32 GFLOP/s`, `bf16 GFLOP/s`, `int8 GOP/s`.
    package var rates: [String: Double]

    /// The arithmetic for bf16 weights and many rows: bf16 dot products where they beat f32 multiply-adds clearly.
    package func arithmetic(for target: Target) -> Arithmetic {
        guard target.features.contains(.avx512bf16), let wide = rates["f32 GFLOP/s"], let narrow = rates["bf16 GFLOP/s"] else {
            return .f32
        }
        return narrow > 1.15 * wide ? .bf16 : .f32
    }

    var tuning: Manifest.Tuning { Manifest.Tuning(processor: processor, features: features, rates: rates) }

    /// This machine as the store remembers it, else as measured now; takes about 0.3 s once.
    package static func current(_ store: Store) -> Machine {
        let (processor, features) = (ThisMachine.processor(), Target.allCases.filter(\.runsHere).last?.features.sorted() ?? [])
        let record = Self.recordName(processor, features)
        if let bytes = store.record(.machines, record), let known = try? JSONDecoder().decode(Machine.self, from: Data(bytes)),
            known.processor == processor, known.features == features
        {
            return known
        }
        return Machine(processor: processor, features: features, rates: measuredRates())
    }

    /// The machine that a file describes, in the form of a compile report's `machine`.
    package static func read(_ path: String) throws(CompileError) -> Machine {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw .badOption("--machine \(path): there is no such file")
        }
        do { return try JSONDecoder().decode(Machine.self, from: data) } catch {
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
        let text = "thread time, " + processor + " " + features.map(\.rawValue).joined(separator: " ")
        let hash = text.utf8.reduce(UInt64(14_695_981_039_346_656_037)) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
        return String(hash, radix: 16)
    }

    private static let measuringRounds = 4
    private static let runsPerRound = 4

    private static func measuredRates() -> [String: Double] {
        let features = vlm_cpu_features()
        let bytes = 64 << 20
        let buffer = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
        buffer.initializeMemory(as: UInt8.self, repeating: 1, count: bytes)
        defer { buffer.deallocate() }
        var rates: [String: Double] = [:]
        let wanted = [
            ("read GB/s", VLM_RATE_READ), ("f32 GFLOP/s", VLM_RATE_F32_FMA), ("bf16 GFLOP/s", VLM_RATE_BF16_DOT),
            ("int8 GOP/s", VLM_RATE_INT8_DOT),
        ]
        // In turns, so that a busy moment does not make one rate look low beside another.
        for (name, rate) in (0..<measuringRounds).flatMap({ _ in wanted }) {
            let work = vlm_rate_work(rate, bytes, features)
            guard work > 0 else { continue }
            rates[name] = max(rates[name] ?? 0, fastest(rate, work, buffer, bytes, features))
        }
        return rates
    }

    /// The best of a few short runs, in units of 10⁹ per second of the thread's own time: other processes do not count.
    private static func fastest(
        _ rate: vlm_rate, _ work: Double, _ buffer: UnsafeMutableRawPointer, _ bytes: Int, _ features: vlm_isa
    ) -> Double {
        func seconds(_ iterations: Int64) -> Double {
            let start = threadTime()
            _ = vlm_rate_run(rate, iterations, buffer, bytes, features)
            return Double(threadTime() - start) * 1e-9
        }
        var iterations = Int64(1)
        while seconds(iterations) < 0.001 { iterations *= 2 }
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
