import Budgets
import Inputs
import Serving
import Synchronization
import Testing

@Suite struct WorkerPoolTests {
    private final class Counter: Sendable {
        let value = Atomic(0)
    }

    /// Works until the budget ends it.
    private static func spin(_ budget: WorkBudget) throws {
        var sum = 0
        while true {
            for number in 0..<100_000 { sum &+= number ^ sum }
            try budget.spend(100_000 + sum % 2)
        }
    }

    @Test func longWorkLeavesTheShortLane() async throws {
        let pool = WorkerPool(count: 1)
        let ended = Counter()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                let budget = WorkBudget(cpuLimit: .seconds(200))
                group.addTask {
                    try? await pool.run(.short, budget) { try Self.spin(budget) }
                    ended.value.add(1, ordering: .relaxed)
                }
            }
            try await Task.sleep(for: .milliseconds(50))
            let endedBefore = try await pool.run(.short, WorkBudget(cpuLimit: .seconds(1))) { ended.value.load(ordering: .relaxed) }
            #expect(endedBefore == 0)
            group.cancelAll()
        }
    }

    @Test func workThatLeftTheShortLaneIsFinished() async throws {
        let pool = WorkerPool(count: 1)
        let runs = Atomic(0)
        let budget = WorkBudget(cpuLimit: .seconds(20))
        let value = try await pool.run(.short, budget) {
            if runs.add(1, ordering: .relaxed).newValue == 1 { try Self.spin(budget) }
            return 7
        }
        #expect(value == 7)
        #expect(runs.load(ordering: .relaxed) == 2)
    }

    @Test func theBudgetEndsWorkInEitherLane() async throws {
        let pool = WorkerPool(count: 1)
        let budget = WorkBudget(cpuLimit: .milliseconds(400))
        await #expect(throws: WorkLimitError.cpuTime(limit: .milliseconds(400))) {
            try await pool.run(.short, budget) { try Self.spin(budget) }
        }
    }
}
