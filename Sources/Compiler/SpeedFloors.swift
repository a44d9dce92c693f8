import ArtifactFormat
package import Plan

/// How fast a machine could do a program's work at best, by its measured rates: it reads the bytes and computes the products, each at its
/// arithmetic's rate, and what takes longer takes all the time.
package struct SpeedFloors {
    private let program: Program
    private let weights: [WeightEntry]
    private let machine: Machine
    private let threads: Int

    package init(_ program: Program, weights: [WeightEntry], for target: Target, machine: Machine, threads: Int) {
        self.program = program
        self.weights = weights
        self.machine = machine.limited(to: target)
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

    /// What some steps of an entry's plan do for so many of its rows: sequences, tokens or patches.
    package func work(of steps: [Step], _ entry: Entry, rows: Double, context: Double) -> Work? {
        guard var plan = plan(entry) else { return nil }
        plan.steps = steps
        return work(plan, rows: rows, context: context)
    }

    /// The least time of some work; nil where a rate was not measured.
    package func seconds(of work: Work) -> Double? {
        guard let bandwidth = machine.gigabytes(threads: threads) else { return nil }
        var computing = 0.0
        for (arithmetic, operations) in work.operations {
            guard let rate = peak(arithmetic), rate > 0 else { return nil }
            computing += operations / (rate * 1e9)
        }
        return max(computing, work.bytes / (bandwidth * 1e9))
    }

    /// Operations of all threads in a nanosecond, for each way in which the program computes.
    package var peaks: [(arithmetic: Arithmetic, gigaOperations: Double)] {
        Arithmetic.allCases.compactMap { arithmetic in
            guard program.plans.contains(where: { $0.steps.contains { $0.arithmetic == arithmetic } }) else { return nil }
            return peak(arithmetic).map { (arithmetic, $0) }
        }
    }

    private func peak(_ arithmetic: Arithmetic) -> Double? { machine.gigaOperations(arithmetic).map { $0 * Double(threads) } }

    private func plan(_ entry: Entry) -> ExecutionPlan? { program.plans.first { $0.entry == entry } }

    private func seconds(_ plan: ExecutionPlan, rows: Double, context: Double) -> Double? { seconds(of: work(plan, rows: rows, context: context)) }

    /// The work of a plan for so many of the rows that it was planned for.
    private func work(_ plan: ExecutionPlan, rows: Double, context: Double) -> Work {
        let most =
            switch plan.entry {
            case .decode(let gear): gear
            case .extend: program.limits.maxBatchedTokens
            case .vision: program.limits.maxPatches
            }
        let share = rows / Double(max(most, 1))
        // The tokens of a prompt read what is before them together.
        let readers = plan.entry == .extend ? 1 : rows
        var work = Work()
        for (arithmetic, steps) in Dictionary(grouping: plan.steps, by: \.arithmetic) {
            var part = plan
            part.steps = steps
            let cost = PlanCost(part, of: program, weights: weights)
            work.operations[arithmetic] = (cost.flops + context * cost.attentionFlopsPerContextToken) * share
            work.bytes += cost.weightBytes + context * readers * cost.cacheBytesPerContextToken / Double(max(cost.rows, 1))
        }
        return work
    }
}

/// What is computed, and read of weights and KV cache.
package struct Work: Sendable {
    /// Multiplications and additions, by what computes them.
    package fileprivate(set) var operations: [Arithmetic: Double] = [:]
    package fileprivate(set) var bytes = 0.0

    package init() {}
}

extension Step {
    /// What the products of a step are computed in.
    fileprivate var arithmetic: Arithmetic {
        switch kernel {
        case .pagedAttention(let attention): attention.arithmetic
        case .segmentAttention(let attention): attention.arithmetic
        default: kernel.linear?.arithmetic ?? .f32
        }
    }
}
