import ArtifactFormat
import Foundation
import HuggingFace
import Plan

/// Packs all weights of a program, taking over what the store has.
struct PackingRun {
    private let compiled: CompiledProgram
    /// Where packed weights may be taken from; nil when all are packed anew.
    private let store: Store?
    private let packer: WeightPacker
    private let entries: [Planned]

    private struct Planned {
        let request: WeightRequest
        let name: String
        let key: String
        /// Checkpoint tensors.
        let sources: [String]
        let sourceBytes: Int
    }

    init(_ source: ModelSource, _ compiled: CompiledProgram, _ digests: WeightDigests, _ store: Store?) {
        self.compiled = compiled
        self.store = store
        var tensors = compiled.calibrated?.tensors ?? [:]
        let found = compiled.calibrated?.digests ?? [:]
        for (name, tensor) in compiled.sources where tensors[name] == nil { tensors[name] = source.checkpoint[tensor] }
        packer = WeightPacker(tensors: tensors)
        var names = UniqueNames()
        entries = compiled.requests.map { request in
            let weights = request.recipe.sources
            let sources = weights.map { compiled.sources[$0] ?? $0 }
            let key = PackedKey(layout: request.layout, shape: request.shape, recipe: request.recipe.text)
            return Planned(
                request: request, name: names.unique(weights.count == 1 ? weights[0] : request.origin),
                key: key.digest(of: sources.map { digests.tensors[$0] ?? found[$0] ?? "" }), sources: sources,
                sourceBytes: weights.reduce(0) { $0 + (tensors[$1]?.byteCount ?? 0) })
        }
    }

    /// Hands the writer every weight in table order; tells what was reused.
    func write(
        to writer: ArtifactWriter, _ result: inout CompileReport, _ report: (Compilation.Event) -> Void
    ) throws {
        if store != nil, try writer.useStoredWeights(ArtifactKey.weightsKey(entryKeys: entries.map(\.key))) != nil {
            result.reusedWeights = true
            return
        }
        report(.began(phase: "packing", total: entries.reduce(0) { $0 + $1.sourceBytes }))
        let reusable = store?.reusableWeights()
        for entry in entries {
            if let copy = reusable?[entry.key] {
                try writer.appendWeight(name: entry.name, sources: entry.sources, copying: copy)
                result.weightsCopied += 1
            } else {
                try writer.beginWeight(
                    name: entry.name, layout: entry.request.layout, shape: entry.request.shape, key: entry.key,
                    sources: entry.sources)
                try packer.pack(entry.request) { bytes throws(ArtifactError) in try writer.append(bytes) }
                result.weightsPacked += 1
            }
            report(.advanced(bytes: entry.sourceBytes))
        }
    }
}

/// Gives every weight a name of its own.
private struct UniqueNames {
    private var taken: Set<String> = []

    mutating func unique(_ wish: String) -> String {
        var name = wish
        var number = 2
        while !taken.insert(name).inserted {
            name = "\(wish).\(number)"
            number += 1
        }
        return name
    }
}
