package import ArtifactFormat
import CKernels
import COpenBLAS
import Foundation
import HostLimits
package import Plan

/// What this machine can do, as measured; it decides which of two correct kernels is the faster.
package struct Machine: Sendable, Codable, Hashable {
    /// The processor's model name.
    package var processor: String
    package var features: [CPUFeature]
    /// Rates of one thread by name: those of `RateKind` that its features allow, and of a large product `f32 linear GFLOP/s` by the
    /// kernels and `OpenBLAS GFLOP/s`; and behind the name of a kind `, all threads`, that of `threads` at once.
    package var rates: [String: Double]
    /// How far the next best round of measuring stayed below the best, as a share of it: what disturbed the measuring, or its resolution.
    package var spreads: [String: Double]?
    /// The threads of rates of all threads; nil where those were not measured.
    package var threads: Int?
    /// Rates of which no two rounds of measuring agreed within 10 %, because the machine was busy: they may be far too low. Nil
    /// where all are sound.
    package var unsettled: [String]?

    /// The arithmetic for many rows. Balanced: bf16 dot products where they beat f32 multiply-adds clearly, and those of 16-bit codes where
    /// they beat both by more than rounding to codes costs. Exact: OpenBLAS, unless the kernels' f32 is far faster on this processor.
    package func arithmetic(for target: Target, _ precision: ArtifactKey.Precision) -> Arithmetic {
        switch precision {
        case .exact:
            guard let library = rates[Self.libraryRate], let own = rates[Self.kernelRate] else { return .f32 }
            return own > Self.byFar * library ? .f32 : .blas
        case .balanced:
            guard let wide = rates[RateKind.f32.rawValue] else { return .f32 }
            let narrow = target.features.contains(.avx512bf16) ? limited(to: target).gigaOperations(.bf16) ?? 0 : 0
            if let codes = codeRate(for: target), codes > Self.enough * max(wide, narrow) { return .int16 }
            return narrow > Self.clearly * wide ? .bf16 : .f32
        }
    }

    /// The rate of products of 16-bit codes with what a target has for them; nil where it has nothing, or that was not measured.
    private func codeRate(for target: Target) -> Double? {
        if target.features.isDisjoint(with: [.avx512vnni, .avxvnni]) {
            return target.features.contains(.avx2) ? rates[RateKind.int16Pairs.rawValue] : nil
        }
        return rates[RateKind.int16.rawValue]
    }

    /// Operations that one thread can do in a nanosecond with many rows; nil where it was not measured.
    func gigaOperations(_ arithmetic: Arithmetic) -> Double? {
        switch arithmetic {
        case .bf16: rates[RateKind.bf16Tiles.rawValue] ?? rates[RateKind.bf16.rawValue]
        case .int16: rates[RateKind.int16.rawValue] ?? rates[RateKind.int16Pairs.rawValue]
        case .int8: rates[RateKind.int8Tiles.rawValue] ?? rates[RateKind.int8.rawValue] ?? rates[RateKind.int8Pairs.rawValue]
        case .blas: rates[Self.libraryRate]
        case .f32: rates[Self.kernelRate] ?? rates[RateKind.f32.rawValue]
        }
    }

    /// The machine as programs for a target use it: without tiles where those have none.
    func limited(to target: Target) -> Machine {
        var machine = self
        let tiles = target.features.contains(.amxTile) ? [] : [RateKind.int8Tiles, .bf16Tiles]
        for name in tiles.flatMap({ [$0.rawValue, $0.together] }) { machine.rates[name] = nil }
        return machine
    }

    /// The machine whose rates are each the greater of both.
    package func best(with other: Machine) -> Machine {
        var machine = self
        machine.rates.merge(other.rates) { max($0, $1) }
        return machine
    }

    /// Bytes that so many threads read of memory in a nanosecond: not more than all of them did at once. Nil where it was not measured.
    package func gigabytes(threads count: Int) -> Double? {
        guard let one = rates[RateKind.read.rawValue], one > 0 else { return nil }
        let apart = one * Double(count)
        guard let threads, count >= threads, let together = rates[RateKind.read.together], together > 0 else { return apart }
        return min(together, apart)
    }

    static let (kernelRate, libraryRate) = ("f32 linear GFLOP/s", "OpenBLAS GFLOP/s")
    private static let (clearly, enough, byFar) = (1.15, 1.3, 1.5)

    var tuning: Manifest.Tuning { Manifest.Tuning(processor: processor, features: features, rates: rates) }

    /// What to tell a person about rates that may be too low; nil where all are sound.
    package var warning: String? {
        unsettled.map { names in
            "this machine was too busy to be measured: no two rounds agree within 10 % on \(names.joined(separator: ", ")); "
                + "it is measured again next time"
        }
    }

    /// What to tell a person who asks for the rates: those whose two best rounds are more than 10 % apart. Nil where there are none.
    package var disturbance: String? {
        let names = (spreads ?? [:]).filter { $0.value > 0.1 }.keys.sorted()
        guard !names.isEmpty else { return nil }
        let shares = names.map { "\($0) by \(Int(((spreads?[$0] ?? 0) * 100).rounded())) %" }.joined(separator: ", ")
        return "something disturbed the measuring; the two best rounds differ in \(shares)"
    }

    /// This machine as the store remembers it, else as measured now; takes about a second once, and up to 3 s while it is busy.
    ///
    /// What was remembered in spite of `unsettled` rates is measured again, and kept if that is no better.
    package static func current(_ store: Store) -> Machine {
        let (processor, features) = (ThisMachine.processor(), Target.allCases.filter(\.runsHere).last?.features.sorted() ?? [])
        let threads = Processors.ofThisProcess.threads
        let record = Self.recordName(processor, features, threads: threads)
        var known = store.record(.machines, record).flatMap { try? JSONDecoder().decode(Machine.self, from: Data($0)) }
        if known?.processor != processor || known?.features != features { known = nil }
        if let known, known.unsettled == nil { return known }
        let rounds = RateMeasurement.rounds(threads: threads)
        if !rounds.unsettled.isEmpty, let known { return known }
        return Machine(
            processor: processor, features: features, rates: rounds.rates, spreads: rounds.spreads, threads: threads,
            unsettled: rounds.unsettled.isEmpty ? nil : rounds.unsettled)
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
        try? store.setRecord(.machines, Self.recordName(processor, features, threads: threads ?? 1), Array(data))
    }

    private static func recordName(_ processor: String, _ features: [CPUFeature], threads: Int) -> String {
        // The way of measuring is part of the name: rates measured otherwise do not count.
        let way = "thread time, rounds that agree, dots of 16 bits, tiles, and \(threads) threads at once, " + (vlm_openblas_open() ? "with OpenBLAS, " : "")
        let text = way + processor + " " + features.map(\.rawValue).joined(separator: " ")
        let hash = text.utf8.reduce(UInt64(14_695_981_039_346_656_037)) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
        return String(hash, radix: 16)
    }
}

extension Target {
    /// Whether this processor has every feature of the target and the operating system has enabled it.
    package var runsHere: Bool {
        let bits = features.reduce(VLM_ISA_GENERIC) { $0 | vlm_isa_of_feature($1.rawValue) }
        return vlm_cpu_features() & bits == bits
    }

    /// The richest target that this machine runs.
    package static var here: Target { allCases.last(where: \.runsHere) ?? .cpu }
}
