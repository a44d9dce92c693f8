import Serving
import Testing

@Suite struct BusyReportTests {
    /// Idle time is not handed to the report, so that it neither stretches the interval nor lowers the rates.
    @Test func ratesAreByBusySecond() throws {
        let scheduler = Scheduler(
            Scheduler.Limits(gears: [1], maxSequences: 1, maxBatchedTokens: 16, blockSize: 16, blockCount: 4))
        let images = ImageCache(capacityBytes: 0)
        var report = BusyReport()
        var lines: [String] = []
        for _ in 0..<39 {
            report.busy += .milliseconds(500)
            report.generated += 50
            if let line = report.line(scheduler: scheduler, images: images) { lines.append(line) }
        }
        #expect(lines.count == 1)
        let line = try #require(lines.first)
        #expect(line.hasPrefix("prompt 0.0 tok/s, generation 100.0 tok/s, "))
    }
}
