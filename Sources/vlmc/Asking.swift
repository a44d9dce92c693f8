import ArgumentParser
import ArtifactFormat
import Budgets
import CPUBackend
import ModelRuntime
import Serving

/// How a question is computed.
struct ComputeOptions: ParsableArguments {
    @Option(help: "Threads that compute. Default: one per core that this process may use, not more than its control groups' quota keeps at work.")
    var threads: Int?

    func validate() throws {
        let range = CPUBackend.threadRange
        guard let threads, !range.contains(threads) else { return }
        throw ValidationError("--threads \(threads) is not in \(range.lowerBound) … \(range.upperBound)")
    }
}

extension ComputeOptions {
    /// The artifact in a directory, at work for one request at a time.
    func session(_ path: String) throws(Failure) -> Session {
        try Failure.wrapping { try Session.single(Artifact.open(directory: path), on: CPUBackend(threads: threads)) }
    }
}

extension WorkBudget {
    /// Makes inputs of what a person asks for, once and for themselves: ten minutes of processor time.
    static func prepare<Value>(_ work: (WorkBudget) throws(InputError) -> Value) throws(Failure) -> Value {
        let budget = WorkBudget.generous()
        return try Failure.wrapping { () throws(InputError) in
            try budget.onThisThread { () throws(InputError) in try work(budget) }
        }
    }
}
