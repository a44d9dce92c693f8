import ArtifactFormat
package import Plan

/// How fast a machine could do a program's work at best, by its measured rates: it reads the bytes and computes the products, each at its
/// arithmetic's rate, and what takes longer takes all the time.
package struct SpeedFloors {
    private let program: Program
    private let weights: [WeightEntry]
    private let machine: Machine
    private let threads: Int

    package init(_ program: Program, weights: [WeightEntry], machine: Machine, threads: Int) {
        self.program = program
        self.weights = weights
        self.machine = machine
        self.threads = threads
    }

    /// Tokens/s of so many sequences, each with so many tokens before it.
    package func decodeRate(sequences: Int, context: Int) -> Double? {
        guard let gear = program.limits.gears.first(where: { $0 >= sequences }), let plan = plan(.decode(gear: gear)) else { return nil }
        return seconds(plan, rows: Double(gear), context: Double(context)).map { Double(sequences) / $0 }
    }

    /// Tokens/s of one prompt.
    package func prefillRate(tokens: Int) -> Double? {
        guard let plan = plan(.extend) else { return nil }
        let most = program.limits.maxBatchedTokens
        let time = stride(from: 0, to: tokens, by: most).reduce(0.0 as Double?) { sum, first in
            let rows = min(most, tokens - first)
            let part = seconds(plan, rows: Double(rows), context: Double(first) + Double(rows) / 2)
            return sum.flatMap { sum in part.map { sum + $0 } }
        }
        return time.map { Double(tokens) / $0 }
    }

    /// Seconds of the vision tower for so many patches that all see each other.
    package func imageSeconds(patches: Int) -> Double? {
        guard let plan = plan(.vision) else { return nil }
        return seconds(plan, rows: Double(patches), context: Double(patches))
    }

    /// Seconds of some steps of an entry's plan for so many of its rows: sequences, tokens or patches.
    package func seconds(of steps: [Step], _ entry: Entry, rows: Double, context: Double) -> Double? {
        guard var plan = plan(entry) else { return nil }
        plan.steps = steps
        return seconds(plan, rows: rows, context: context)
    }

    private func plan(_ entry: Entry) -> ExecutionPlan? { program.plans.first { $0.entry == entry } }

    /// The time of a plan for so many of the rows that it was planned for; nil where a rate was not measured.
    private func seconds(_ plan: ExecutionPlan, rows: Double, context: Double) -> Double? {
        let most =
            switch plan.entry {
            case .decode(let gear): gear
            case .extend: program.limits.maxBatchedTokens
            case .vision: program.limits.maxPatches
            }
        let share = rows / Double(max(most, 1))
        guard let bandwidth = machine.gigabytes(threads: threads) else { return nil }
        var computing = 0.0, bytes = 0.0
        for (arithmetic, steps) in Dictionary(grouping: plan.steps, by: \.arithmetic) {
            var part = plan
            part.steps = steps
            let cost = PlanCost(part, of: program, weights: weights)
            let operations = (cost.flops + context * cost.attentionFlopsPerContextToken) * share
            bytes += cost.weightBytes + context * cost.cacheBytesPerContextToken
            guard let rate = machine.gigaOperations(arithmetic), rate > 0 else { return nil }
            computing += operations / (rate * 1e9 * Double(threads))
        }
        return max(computing, bytes / (bandwidth * 1e9))
    }
}

extension Step {
    /// What the products of a step are computed in.
    fileprivate var arithmetic: Arithmetic {
        if case .segmentAttention(let attention) = kernel { return attention.arithmetic }
        return kernel.linear?.arithmetic ?? .f32
    }
}
