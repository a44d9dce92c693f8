import Budgets
import Inputs
import JSON
import Plan
import Testing

@Suite struct WorkBudgetTests {
    @Test func cancelledWorkStopsAtTheNextCharge() {
        let budget = WorkBudget(cpuLimit: .seconds(10))
        budget.cancel()
        #expect(throws: WorkLimitError.cancelled) { try budget.onThisThread { try budget.spend(1 << 20) } }
    }

    @Test func stagesShareTheProcessorTime() {
        let budget = WorkBudget(cpuLimit: .milliseconds(20))
        func stage() throws(WorkLimitError) {
            var sum = 0
            for step in 0..<300 {
                for number in 0..<20_000 { sum &+= number ^ step ^ sum }
                try budget.spend(20_000 + sum % 2)
            }
        }
        #expect(throws: WorkLimitError.cpuTime(limit: .milliseconds(20))) {
            for _ in 0..<1000 { try budget.onThisThread(stage) }
        }
    }

    @Test func theWholePaysForItsParts() {
        func stage(_ budget: WorkBudget) throws(WorkLimitError) {
            var sum = 0
            for step in 0..<1_000_000 {
                for number in 0..<20_000 { sum &+= number ^ step ^ sum }
                try budget.spend(20_000 + sum % 2)
            }
        }
        let whole = WorkBudget(cpuLimit: .milliseconds(50))
        let part = WorkBudget(cpuLimit: .milliseconds(10), within: whole)
        #expect(throws: WorkLimitError.cpuTime(limit: .milliseconds(10))) { try part.onThisThread { () throws(WorkLimitError) in try stage(part) } }
        #expect(throws: Never.self) { try whole.check() }
        let long = WorkBudget(cpuLimit: .seconds(10), within: whole)
        #expect(throws: WorkLimitError.cpuTime(limit: .milliseconds(50))) { try long.onThisThread { () throws(WorkLimitError) in try stage(long) } }
        #expect(throws: WorkLimitError.cpuTime(limit: .milliseconds(50))) { try whole.check() }
        let cancelled = WorkBudget(cpuLimit: .seconds(10))
        cancelled.cancel()
        #expect(throws: WorkLimitError.cancelled) { try WorkBudget(cpuLimit: .seconds(10), within: cancelled).check() }
    }

    @Test func whatTheThreadDidBeforeDoesNotCount() {
        var sum = 0
        for number in 0..<100_000_000 { sum &+= number ^ sum }
        let budget = WorkBudget(cpuLimit: .milliseconds(20 + sum % 2))
        #expect(throws: Never.self) { try budget.check() }
    }

    @Test func aDeadlinePasses() {
        let budget = WorkBudget(cpuLimit: .seconds(10), deadline: .now - .seconds(1))
        #expect(throws: WorkLimitError.deadline) { try budget.check() }
    }

    @Test func aImageStopsWhenItsRequestIsCancelled() throws {
        let budget = WorkBudget(cpuLimit: .seconds(10))
        budget.cancel()
        for name in ["gamma.png", "cmyk-progressive.jpg", "lossy.webp", "palette64.gif", "runs8.bmp", "rgb24.bmp", "tiles.tif", "strips.tif"] {
            let file = try ImageFixture.file(name)
            #expect(throws: ImageError.stopped(.cancelled)) { try ImageDecoder().decode(file, budget: budget) }
        }
    }

    @Test(arguments: [(300, 60), (60, 300), (60, 60)])
    func resizingStopsWhenItsRequestIsCancelled(width: Int, height: Int) {
        let budget = WorkBudget(cpuLimit: .seconds(10))
        budget.cancel()
        let resizer = Resizer(filter: .bicubic, precision: .torchvision)
        #expect(throws: WorkLimitError.cancelled) {
            try resizer.resize(ImageFixture.draw(width: 300, height: 300), width: width, height: height, budget: budget)
        }
    }

    @Test func jsonOfTinyValuesIsRefused() {
        let body = Array(("[" + String(repeating: "1,", count: 1000) + "1]").utf8)
        #expect(throws: JSONError.self) { try JSONValue(parsing: body, countLimit: 1000) }
        #expect(throws: Never.self) { try JSONValue(parsing: body, countLimit: 1002) }
    }
}
