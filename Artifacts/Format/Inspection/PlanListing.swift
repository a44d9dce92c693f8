package import Plan
import Tensors

/// A plan's steps with the bytes they touch and how long each value lives; the JSON of `vlm-cache plan`.
package struct PlanListing: Sendable, Codable {
    package struct Operand: Sendable, Codable {
        /// `arena 4096+2048`, `weight layers.0.qkv`, `input ids`, `output logits`.
        package var place: String
        package var type: String
        /// The last step that reads what this step writes here; nil for operands that are read and for plan outputs.
        package var livesUntil: Int?
    }

    package struct Line: Sendable, Codable {
        package var index: Int
        package var kernel: String
        package var origin: String
        package var inputs: [Operand]
        package var outputs: [Operand]
    }

    package var entry: String
    package var bounds: [String: Int]
    package var arenaBytes: Int
    package var unsharedBytes: Int
    /// Steps that run on a fallback, by kernel.
    package var fallbacks: [String: Int]
    package var steps: [Line]

    package init(_ plan: ExecutionPlan, weights: [WeightEntry]) {
        entry = plan.entry.description
        bounds = plan.bounds
        arenaBytes = plan.arenaBytes
        unsharedBytes = plan.unsharedBytes
        fallbacks = plan.fallbacks
        let lifetimes = Lifetimes(plan)
        steps = plan.steps.enumerated().map { index, step in
            Line(
                index: index, kernel: step.kernel.name, origin: step.origin,
                inputs: step.inputs.map { Operand($0, plan, weights, until: nil) },
                outputs: step.outputs.enumerated().map { position, slot in
                    Operand(slot, plan, weights, until: lifetimes.lastUses[index][position])
                })
        }
    }
}

extension ExecutionPlan {
    /// Steps that run on a fallback, by kernel.
    package var fallbacks: [String: Int] { Dictionary(steps.filter(\.kernel.isFallback).map { ($0.kernel.name, 1) }, uniquingKeysWith: +) }
}

extension Artifact {
    /// The names of all entries in the order of their plans.
    package var entryNames: [String] { program.plans.map(\.entry.description) }

    /// The plan of each entry called `entry`, of all entries when nil.
    package func planListings(entry: String?) -> [PlanListing] {
        program.plans.filter { entry == nil || $0.entry.description == entry }.map { PlanListing($0, weights: weights) }
    }
}

extension PlanListing.Operand {
    fileprivate init(_ slot: Slot, _ plan: ExecutionPlan, _ weights: [WeightEntry], until: Int?) {
        type = slot.type.description
        livesUntil = until
        switch slot.place {
        case .arena(let offset, _): place = "arena \(offset)+\(slot.byteRange(plan.bounds)?.count ?? 0)"
        case .input(let role): place = "input \(role.rawValue)"
        case .weight(let index): place = "weight \(weights[index].name)"
        case .output(let index): place = "output \(plan.outputs[index].name)"
        }
    }
}

extension Slot {
    /// The arena bytes from the first to the last element with symbols at `bounds`; nil outside of the arena.
    fileprivate func byteRange(_ bounds: [String: Int]) -> Range<Int>? {
        guard case .arena(let offset, let stride) = place, let extents = type.shape.values(bounds) else { return nil }
        let columns = extents.dropFirst().reduce(1, *)
        let count = max(0, (extents.first ?? 1) - 1) * (stride ?? columns) + columns
        return offset..<offset + count * type.element.byteCount
    }
}

/// For each step and output the last step that reads it.
private struct Lifetimes {
    var lastUses: [[Int?]]

    init(_ plan: ExecutionPlan) {
        lastUses = plan.steps.map { Array(repeating: nil, count: $0.outputs.count) }
        var alive: [(range: Range<Int>, step: Int, position: Int)] = []
        for (index, step) in plan.steps.enumerated() {
            for range in step.inputs.compactMap({ $0.byteRange(plan.bounds) }) {
                for value in alive where value.range.overlaps(range) { lastUses[value.step][value.position] = index }
            }
            for (position, slot) in step.outputs.enumerated() {
                guard let range = slot.byteRange(plan.bounds) else { continue }
                alive.removeAll { $0.range.overlaps(range) && !($0.range.count > range.count) }
                alive.append((range, index, position))
                lastUses[index][position] = index
            }
        }
    }
}
