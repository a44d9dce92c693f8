package import Plan
import Synchronization

/// How long the steps of a model's plans took, added up: what a benchmark gives to the backend.
package final class StepClock: Sendable {
    /// Of one step.
    package struct Time: Sendable {
        package fileprivate(set) var runs = 0
        package fileprivate(set) var seconds = 0.0
    }

    private struct Times {
        var steps: [Time] = []
        var runs = 0
        var rows = 0
    }

    private let entries = Mutex<[Entry: Times]>([:])

    package init() {}

    /// One for each step of the entry's plan, up to the last that ran.
    package func times(_ entry: Entry) -> [Time] { entries.withLock { $0[entry]?.steps ?? [] } }

    /// The tokens or patches of a run, in the mean; 0 where none ran.
    package func rows(_ entry: Entry) -> Double { entries.withLock { $0[entry].map { Double($0.rows) / Double(max($0.runs, 1)) } ?? 0 } }

    package func reset() { entries.withLock { $0 = [:] } }

    func begin(_ entry: Entry, rows: Int) {
        entries.withLock {
            $0[entry, default: Times()].runs += 1
            $0[entry]!.rows += rows
        }
    }

    /// - Parameter isNew: whether a run begins, rather than goes on.
    func add(_ time: Duration, to entry: Entry, step: Int, isNew: Bool) {
        entries.withLock { entries in
            let missing = step + 1 - (entries[entry]?.steps.count ?? 0)
            if missing > 0 { entries[entry, default: Times()].steps += Array(repeating: Time(), count: missing) }
            if isNew { entries[entry]!.steps[step].runs += 1 }
            entries[entry]!.steps[step].seconds += time / .seconds(1)
        }
    }
}
