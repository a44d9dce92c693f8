/// Gathers what the operator's line of every ten busy seconds says.
package struct BusyReport {
    package var prompt = 0
    package var generated = 0
    /// Time with a request at work since the last line.
    package var busy = Duration.zero

    private static let interval = Duration.seconds(10)

    package init() {}

    /// The line once ten busy seconds are over; its rates are by busy second.
    package mutating func line(scheduler: Scheduler, images: ImageCache) -> String? {
        guard busy >= Self.interval else { return nil }
        let elapsed = busy.seconds
        defer {
            busy = .zero
            prompt = 0
            generated = 0
        }
        let counts = scheduler.counts
        return "prompt \(rate(prompt, elapsed)) tok/s, generation \(rate(generated, elapsed)) tok/s, "
            + "running \(scheduler.running.count), waiting \(scheduler.waiting.count), "
            + "preempted \(counts.preemptions), KV \(percent(scheduler.pool.usage)), "
            + "prefix cache \(share(counts.prefixHits, counts.prefixQueries)), "
            + "image cache \(share(images.hits, images.queries))"
    }

    private func rate(_ count: Int, _ seconds: Double) -> String { "\((Double(count) / seconds * 10).rounded() / 10)" }

    private func percent(_ value: Double) -> String { "\((value * 1000).rounded() / 10) %" }

    private func share(_ hits: Int, _ queries: Int) -> String {
        queries == 0 ? "–" : percent(Double(hits) / Double(queries))
    }
}
