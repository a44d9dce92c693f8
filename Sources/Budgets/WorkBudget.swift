internal import Glibc
internal import Synchronization

/// What the work on one request may still cost. Every stage between a body and a prompt charges it and stops when it throws.
///
/// One thread at a time works on a budget: the one that made it, or others inside `onThisThread`; `cancel` may come from any thread.
package final class WorkBudget: Sendable {
    private let cpuLimit: Duration
    private let deadline: ContinuousClock.Instant?
    private let whole: WorkBudget?
    private let isCancelled = Atomic(false)
    /// Work since the clocks were last read, in units of about a nanosecond.
    private let unread = Atomic(0)
    /// Processor time of finished stretches, and where the clock of the working thread stood when the present one began.
    private let usedNanoseconds = Atomic(0)
    private let stretchBegan = Atomic(WorkBudget.threadNanoseconds)
    /// The processor time at which the present slice ends, and whether it did.
    private let sliceEnd = Atomic(Int.max)
    private let isSliceOver = Atomic(false)

    /// Work that is done between two readings of the clocks.
    private static let unitsPerReading = 200_000

    /// - Parameters:
    ///   - cpuLimit: processor time of all stages together.
    ///   - deadline: when nobody waits for the result any more.
    ///   - whole: what this is a part of; it pays for the part's work, and ends it when it ends.
    package init(cpuLimit: Duration, deadline: ContinuousClock.Instant? = nil, within whole: WorkBudget? = nil) {
        self.cpuLimit = cpuLimit
        self.deadline = deadline
        self.whole = whole
    }

    /// A budget that only bounds what never ends: for files that a person named on a command line.
    package static func generous() -> WorkBudget { WorkBudget(cpuLimit: .seconds(600)) }

    /// Makes every later charge throw.
    package func cancel() { isCancelled.store(true, ordering: .relaxed) }

    /// Runs one stage; its processor time counts. A stage may hand a part of its work to another thread, and wait there.
    package func onThisThread<Result, Failure: Error>(_ stage: () throws(Failure) -> Result) throws(Failure) -> Result {
        let outer = stretchBegan.exchange(Self.threadNanoseconds, ordering: .relaxed)
        defer {
            usedNanoseconds.add(Self.threadNanoseconds - stretchBegan.load(ordering: .relaxed), ordering: .relaxed)
            stretchBegan.store(outer, ordering: .relaxed)
        }
        guard let whole else { return try stage() }
        return try whole.onThisThread(stage)
    }

    /// Runs one stage that is given up once it has taken `slice` of processor time; nil when it was, to be run anew elsewhere.
    package func onThisThread<Result>(slice: Duration, _ stage: () throws -> Result) throws -> Result? {
        let nanoseconds = Int(slice / .nanoseconds(1))
        sliceEnd.store(usedNanoseconds.load(ordering: .relaxed) + nanoseconds, ordering: .relaxed)
        isSliceOver.store(false, ordering: .relaxed)
        defer { sliceEnd.store(.max, ordering: .relaxed) }
        do {
            return try onThisThread(stage)
        } catch {
            if isSliceOver.load(ordering: .relaxed) { return nil }
            throw error
        }
    }

    /// Charges work before it is done; `units` are nanoseconds, roughly. Cheap enough for inner loops over kilobytes.
    package func spend(_ units: Int) throws(WorkLimitError) {
        if isCancelled.load(ordering: .relaxed) { throw .cancelled }
        guard unread.add(units, ordering: .relaxed).newValue >= Self.unitsPerReading else { return }
        unread.store(0, ordering: .relaxed)
        try check()
    }

    /// Throws when the work was cancelled, or has cost too much or taken too long.
    package func check() throws(WorkLimitError) {
        try whole?.check()
        if isCancelled.load(ordering: .relaxed) { throw .cancelled }
        let stretch = Self.threadNanoseconds - stretchBegan.load(ordering: .relaxed)
        let used = usedNanoseconds.load(ordering: .relaxed) + stretch
        if .nanoseconds(used) > cpuLimit { throw .cpuTime(limit: cpuLimit) }
        if used > sliceEnd.load(ordering: .relaxed) {
            isSliceOver.store(true, ordering: .relaxed)
            throw .slice
        }
        if let deadline, ContinuousClock.now > deadline { throw .deadline }
    }

    private static var threadNanoseconds: Int {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }
}

/// Why work on a request was given up.
package enum WorkLimitError: Error, Sendable, Hashable, CustomStringConvertible {
    case cancelled
    case cpuTime(limit: Duration)
    case deadline
    /// The work takes longer than its thread has for it; it begins anew on another.
    case slice

    package var description: String {
        switch self {
        case .cancelled: "the request was cancelled"
        case .cpuTime(let limit): "reading the request takes more than \(limit.components.seconds) s of processor time"
        case .deadline: "the request waited too long for its turn"
        case .slice: "the work goes on elsewhere"
        }
    }
}
