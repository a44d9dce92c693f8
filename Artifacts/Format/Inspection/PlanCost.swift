package import Plan
import Tensors

/// What one run of a plan costs with its symbols at their bounds, computed from its steps.
package struct PlanCost: Sendable, Hashable, Codable {
    /// Floating-point operations of everything but attention.
    package var flops: Double = 0
    /// Bytes of weights read.
    package var weightBytes: Double = 0
    /// Floating-point operations of attention for each token that is attended to.
    package var attentionFlopsPerContextToken: Double = 0
    /// Bytes of the KV cache read for each token that is attended to.
    package var cacheBytesPerContextToken: Double = 0
    /// Rows of the batch: sequences of a gear, tokens of `extend`, patches of `vision`.
    package var rows: Int

    package init(_ plan: ExecutionPlan, of program: Program, weights: [WeightEntry]) {
        rows =
            switch plan.entry {
            case .decode(let gear): gear
            case .extend: program.limits.maxBatchedTokens
            case .vision: max(program.limits.maxPatches, 1)
            }
        let counter = StepCounter(plan: plan, program: program, weights: weights)
        for step in plan.steps { counter.add(step, to: &self) }
    }
}

/// Counts operations by the definition of each kernel.
private struct StepCounter {
    var plan: ExecutionPlan
    var program: Program
    var weights: [WeightEntry]

    func add(_ step: Step, to cost: inout PlanCost) {
        for slot in step.inputs {
            guard case .weight(let index) = slot.place, weights.indices.contains(index) else { continue }
            cost.weightBytes += bytes(of: weights[index], readBy: step)
        }
        let outputs = step.outputs.reduce(0) { $0 + elements($1) }
        guard let row = step.kernel.row else { return }
        switch row.cost {
        case .movement: break
        case .perElement(let operations): cost.flops += operations * outputs
        case .product: cost.flops += 2 * outputs * innerExtent(of: step)
        case .recurrence(let operations): cost.flops += operations * outputs * innerExtent(of: step)
        case .attention(let readsCache):
            cost.attentionFlopsPerContextToken += 4 * outputs
            let layers = program.kv.layers
            guard readsCache, case .pagedAttention(let attention) = step.kernel, layers.indices.contains(attention.layer) else { return }
            let layer = layers[attention.layer]
            let rows = outputs / Double(max(attention.heads * layer.headDim, 1))
            cost.cacheBytesPerContextToken += Double(program.kv.tokenBytes(layer)) * rows
        }
    }

    /// How many products are summed for one element of the result.
    private func innerExtent(of step: Step) -> Double {
        if let linear = step.kernel.linear { return Double(linear.inputs * linear.outputs) / Double(max(linear.width, 1)) }
        return Double(step.inputs.first?.type.shape.dims.last?.value(plan.bounds) ?? 0)
    }

    /// Tables are read row by row, of screened layers the scores' weight and few panels of the other, everything else whole.
    private func bytes(of weight: WeightEntry, readBy step: Step) -> Double {
        if case .screenedLinear = step.kernel, weight.layout != .int8Panels { return 0 }
        guard step.kernel == .embed, let rows = weight.shape.first, rows > 0 else { return Double(weight.byteCount) }
        let wanted = step.outputs.first?.type.shape.dims.first?.value(plan.bounds) ?? 1
        return Double(weight.byteCount) / Double(rows) * Double(min(wanted, rows))
    }

    private func elements(_ slot: Slot) -> Double {
        slot.type.shape.values(plan.bounds).map { $0.reduce(1) { $0 * Double($1) } } ?? 0
    }
}
