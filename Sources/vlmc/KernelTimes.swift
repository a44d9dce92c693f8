import ArtifactFormat
import CPUBackend
import CommandLineSupport
import Compiler
import Foundation
import ModelRuntime
import Plan

/// The time of one entry that steps alike took.
struct KernelTime: Encodable {
    /// What a kernel computes, wherever in the model: `mlp.gate_up_proj` by `linear_int4_int8`.
    struct Name: Encodable, Hashable {
        var kernel: String
        /// The HuggingFace module, with `*` in place of the layer's number.
        var module: String

        init(_ step: Step) {
            kernel = step.kernel.name
            module = step.origin.split(separator: ".", omittingEmptySubsequences: false).map { Int($0) == nil ? $0 : "*" }.joined(separator: ".")
        }
    }

    var entry: String
    var name: Name
    var steps: Int
    /// Of all its steps, in one run of the entry.
    var seconds: Double
    /// The least that the machine could take; nil where that is not known.
    var floor: Double?
    /// What they do in that run, most of it in `arithmetic`.
    var operations, bytes: Double
    var arithmetic: Arithmetic
}

/// The time of one layer of an entry, in one run of it.
struct LayerTime: Encodable {
    var entry: String
    var layer: Int
    var seconds: Double
}

extension BenchRun {
    /// Where the time of each entry went, by kernel: of all that was measured so far.
    func kernels() -> [KernelTime] {
        let program = session.artifact.program, floors = floors
        return program.plans.flatMap { plan -> [KernelTime] in
            let times = clock.times(plan.entry), runs = times.first?.runs ?? 0
            guard runs > 0 else { return [] }
            let names = Dictionary(grouping: plan.steps.indices.prefix(times.count)) { KernelTime.Name(plan.steps[$0]) }
            let rows = clock.rows(plan.entry)
            // What a row sees in the mean: all patches of an image, half of a prompt, a prompt and half of what is decoded.
            let context =
                switch plan.entry {
                case .vision: rows
                case .extend: Double(prompt) / 2
                case .decode: Double(prompt + tokens / 2)
                }
            return names.map { name, steps in
                let work = floors.work(of: steps.map { plan.steps[$0] }, plan.entry, rows: rows, context: context) ?? Work()
                return KernelTime(
                    entry: plan.entry.description, name: name, steps: steps.count, seconds: steps.reduce(0) { $0 + times[$1].seconds } / Double(runs),
                    floor: floors.seconds(of: work), operations: work.operations.values.reduce(0, +), bytes: work.bytes,
                    arithmetic: work.operations.max { $0.value < $1.value }?.key ?? .f32)
            }.sorted { ($1.seconds, $0.name.module) < ($0.seconds, $1.name.module) }
        }
    }

    /// The same by layer; what stands in no layer is left out.
    func layers() -> [LayerTime] {
        session.artifact.program.plans.flatMap { plan -> [LayerTime] in
            let times = clock.times(plan.entry), runs = times.first?.runs ?? 0
            var layers: [Int: Double] = [:]
            for (step, time) in zip(plan.steps, times) {
                guard let layer = step.origin.split(separator: ".").lazy.compactMap({ Int($0) }).first else { continue }
                layers[layer, default: 0] += time.seconds / Double(max(runs, 1))
            }
            return layers.sorted { $0.key < $1.key }.map { LayerTime(entry: plan.entry.description, layer: $0.key, seconds: $0.value) }
        }
    }
}

/// Times as people read them: a block for each entry, the longest first.
struct KernelTable {
    private let times: [KernelTime]

    init(_ times: [KernelTime]) { self.times = times }

    var text: String {
        var entries: [String] = []
        for time in times where !entries.contains(time.entry) { entries.append(time.entry) }
        return entries.map { entry in
            let times = times.filter { $0.entry == entry }
            let whole = times.reduce(0) { $0 + $1.seconds }
            var table = TextTable(["\(entry), mean run", "steps", "ms", "of all", "possible", "share", "module"].map { ($0, .left) })
            for time in times where time.seconds >= 0.005 * whole { table.add(row(time, of: whole)) }
            let rest = times.filter { $0.seconds < 0.005 * whole }
            if !rest.isEmpty {
                table.add(
                    ["less than 0.5 % each", "\(rest.reduce(0) { $0 + $1.steps })", Self.milliseconds(rest.reduce(0) { $0 + $1.seconds })]
                        + [Self.percent(rest.reduce(0) { $0 + $1.seconds } / whole), "", "", ""])
            }
            table.add(["together", "\(times.reduce(0) { $0 + $1.steps })", Self.milliseconds(whole), "", "", "", ""])
            return table.lines.joined(separator: "\n") + "\n"
        }.joined(separator: "\n")
    }

    private func row(_ time: KernelTime, of whole: Double) -> [String] {
        // What moves a few bytes alone has no floor that means anything.
        let floor = time.floor.flatMap { $0 >= 0.01 * time.seconds ? $0 : nil }
        return [
            time.name.kernel, "\(time.steps)", Self.milliseconds(time.seconds), Self.percent(time.seconds / whole),
            floor.map(Self.milliseconds) ?? "", floor.map { Self.percent($0 / time.seconds) } ?? "", time.name.module,
        ]
    }

    private static func milliseconds(_ seconds: Double) -> String { String(format: "%.3f", 1000 * seconds) }
    private static func percent(_ share: Double) -> String { String(format: "%.1f %%", 100 * share) }
}
