internal import Synchronization

/// One prompt, and how many answers to it are wanted; they share the prompt's images and the blocks of the KV cache that it fills.
package struct GenerationGroup: Sendable {
    package var request: GenerationRequest
    package var count: Int

    package init(_ request: GenerationRequest, count: Int = 1) {
        self.request = request
        self.count = count
    }

    /// How many sequences there may be at once: the answers, or the beams that they are searched among.
    var seats: Int { request.beams?.width ?? count }

    /// What one of the answers is asked for: each has a seed of its own, the first that of the request, which also tells of the prompt.
    func branch(_ index: Int) -> GenerationRequest {
        var request = request
        if index > 0 { request.promptLogprobs = nil }
        request.sampling = request.sampling.branch(index)
        return request
    }
}

/// What one of several answers yields.
package struct BranchEvent: Sendable {
    /// Counted through all groups.
    package var branch: Int
    package var event: GenerationEvent
}

/// Several answers at work.
package struct BranchedGeneration: Sendable {
    /// Ends when each answer has ended with one `finished` or `failed`.
    package let events: AsyncStream<BranchEvent>
    private let onCancel: @Sendable () -> Void

    init(events: AsyncStream<BranchEvent>, onCancel: @escaping @Sendable () -> Void) {
        self.events = events
        self.onCancel = onCancel
    }

    /// Ends all answers with reason `abort` and frees their memory within one step.
    package func cancel() { onCancel() }
}

extension Engine {
    /// Takes all answers to several prompts, or none; dropping their events cancels them.
    package func submit(_ groups: [GenerationGroup]) throws(AdmissionError) -> BranchedGeneration {
        let (stream, events) = AsyncStream<BranchEvent>.makeStream(bufferingPolicy: .bufferingOldest(Self.maxUnreadEvents))
        let left = Countdown(groups.reduce(0) { $0 + $1.count })
        let cancel = Cancelling(canceller())
        _ = try post(groups) { ids in
            cancel.ids = ids
            events.onTermination = { reason in
                if case .cancelled = reason { cancel() }
            }
        } deliver: { branch, event in
            if case .dropped = events.yield(BranchEvent(branch: branch, event: event)) { cancel() }
            if event.isLast, left.isLast() { events.finish() }
        }
        return BranchedGeneration(events: stream) { cancel() }
    }
}

/// Ends answers whose ids are known once they are posted.
final class Cancelling: Sendable {
    private let known = Mutex<Range<Int>?>(nil)
    private let cancel: @Sendable (Range<Int>) -> Void

    init(_ cancel: @escaping @Sendable (Range<Int>) -> Void) { self.cancel = cancel }

    var ids: Range<Int>? {
        get { known.withLock { $0 } }
        set { known.withLock { $0 = newValue } }
    }

    func callAsFunction() { if let ids { cancel(ids) } }
}

/// Answers that are still to end.
final class Countdown: Sendable {
    private let left: Atomic<Int>

    init(_ count: Int) { left = Atomic(count) }

    func isLast() -> Bool { left.subtract(1, ordering: .relaxed).newValue == 0 }
}
