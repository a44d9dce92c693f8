/// Gathers what the operator's line of every ten busy seconds says.
struct BusyReport {
    var prompt = 0
    var generated = 0
    private var since = ContinuousClock.now

    static let interval = Duration.seconds(10)

    /// The line once an interval is over in which something happened.
    mutating func line(
        at now: ContinuousClock.Instant, scheduler: Scheduler, images: ImageCache
    ) -> String? {
        let elapsed = (now - since).seconds
        guard now - since >= Self.interval else { return nil }
        defer {
            since = now
            prompt = 0
            generated = 0
        }
        // After a pause the figures of the interval would say nothing.
        guard prompt + generated > 0, elapsed < 2 * Self.interval.seconds else { return nil }
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
