package import Execution
internal import Foundation
internal import Plan

/// Serves generation requests with one model, on one thread that owns model and scheduler.
package final class Engine: Sendable {
    package let configuration: EngineConfiguration
    private let state = EngineState()
    private let mailbox = Mailbox<EngineCommand>()

    /// Maps a draft model beside the model that answers.
    package typealias LoadDraft = @Sendable (any LoadedModel) throws -> any LoadedModel

    /// Starts the thread, which loads the model, warms every plan and then serves.
    ///
    /// - Parameters:
    ///   - log: takes lines for the operator; called on the engine's thread.
    ///   - origin: names program and weights for blocks that outlive the process; called on the engine's thread, if it has such.
    ///   - load: maps the model; called on the engine's thread.
    ///   - loadDraft: maps the draft model, where the configuration has one; called on the engine's thread.
    package init(
        configuration: EngineConfiguration, log: @escaping @Sendable (EngineNotice) -> Void, origin: @escaping @Sendable () throws -> String = { "" },
        load: @escaping @Sendable () throws -> any LoadedModel, loadDraft: LoadDraft? = nil
    ) {
        self.configuration = configuration
        let (state, mailbox) = (state, mailbox)
        let thread = Thread {
            EngineLoop.main(
                configuration: configuration, state: state, mailbox: mailbox, log: log, origin: origin, load: load, loadDraft: loadDraft)
        }
        thread.name = "engine"
        thread.stackSize = 16 << 20
        thread.start()
    }

    deinit {
        mailbox.post(.abort)
        mailbox.post(.drain)
    }

    package var phase: EnginePhase { state.phase }

    /// Sequences that wait or run: the answers of requests, or the beams that they are searched among.
    package var inFlight: Int { state.inFlight }

    /// Requests of which an answer is still to end.
    package var requests: Int { state.requests }

    package var metrics: Metrics { state.metrics }

    package func updateMetrics(_ change: (inout Metrics) -> Void) { state.updateMetrics(change) }

    /// Whether another request would be taken now; lets a server refuse before it reads a large body.
    package func checkAdmission() throws(AdmissionError) {
        let phase = state.phase
        guard phase == .serving else { throw .notServing(phase) }
        let waiting = state.inFlight - configuration.maxSequences
        guard waiting < configuration.maxQueued else { throw .queueFull(waiting: waiting) }
    }

    /// Most events that wait for one who reads them: more end the request, whose end is then missing among them.
    package static let maxUnreadEvents = 1 << 14

    /// Takes a request; dropping its events cancels it.
    package func submit(_ request: GenerationRequest) throws(AdmissionError) -> Generation {
        let (stream, events) = AsyncStream<GenerationEvent>.makeStream(bufferingPolicy: .bufferingOldest(Self.maxUnreadEvents))
        let cancel = Cancelling(canceller())
        _ = try post([GenerationGroup(request)]) { ids in
            cancel.ids = ids
            events.onTermination = { reason in
                if case .cancelled = reason { cancel() }
            }
        } deliver: { _, event in
            if case .dropped = events.yield(event) { cancel() }
            if event.isLast { events.finish() }
        }
        return Generation(events: stream) { cancel() }
    }

    /// Posts a request and returns its ids, several where it is searched for.
    ///
    /// - Parameters:
    ///   - deliver: takes what the request yields; called on the engine's thread.
    func post(_ request: GenerationRequest, deliver: @escaping @Sendable (GenerationEvent) -> Void) throws(AdmissionError) -> Range<Int> {
        try post([GenerationGroup(request)]) { _, event in deliver(event) }
    }

    /// Posts all answers to several prompts, or none, and returns their ids in order.
    ///
    /// - Parameters:
    ///   - prepare: called with the ids before the engine knows of them.
    ///   - deliver: takes what each answer yields; called on the engine's thread.
    func post(
        _ groups: [GenerationGroup], _ prepare: (Range<Int>) -> Void = { _ in },
        deliver: @escaping @Sendable (_ branch: Int, GenerationEvent) -> Void
    ) throws(AdmissionError) -> Range<Int> {
        for group in groups { try check(group) }
        let limit = configuration.maxSequences + configuration.maxQueued
        let count = groups.reduce(0) { $0 + $1.seats }
        guard count <= limit else { throw .tooManyAnswers(count: count, limit: limit) }
        let arrival = ContinuousClock.now
        let left = Countdown(groups.reduce(0) { $0 + $1.count })
        var ids = 0..<0
        try state.admit(count, ifFewerWaitThan: configuration.maxQueued, behind: configuration.maxSequences) { first in
            ids = first..<first + count
            prepare(ids)
            var (next, before) = (first, 0)
            for group in groups {
                let answers = before
                mailbox.post(
                    .submit(id: next, group, arrival: arrival) { [state] branch, event in
                        if event.isLast, left.isLast() { state.endRequest() }
                        deliver(answers + branch, event)
                    })
                next += group.seats
                before += group.count
            }
        }
        return ids
    }

    func cancel(_ ids: Range<Int>) { mailbox.post(.cancel(ids: ids)) }

    /// What ends requests, whether the engine is still there or not.
    func canceller() -> @Sendable (Range<Int>) -> Void { { [mailbox] ids in mailbox.post(.cancel(ids: ids)) } }

    /// Ends the requests at work with reason `abort`, and the thread, however far it is; returns when it has ended.
    package func stop() {
        guard state.beginDraining() else { return }
        mailbox.post(.abort)
        mailbox.post(.drain)
        while state.phase == .draining { Thread.sleep(forTimeInterval: 0.001) }
    }

    /// Refuses new requests, lets those at work end, and returns when the thread has; after `timeout` they are aborted.
    ///
    /// - Returns: how many were.
    @discardableResult
    package func drain(timeout: Duration) async -> Int {
        guard state.beginDraining() else { return 0 }
        mailbox.post(.drain)
        let deadline = ContinuousClock.now + timeout
        var aborted: Int?
        while state.phase == .draining {
            try? await Task.sleep(for: .milliseconds(10))
            if aborted == nil, ContinuousClock.now >= deadline || Task.isCancelled {
                aborted = state.requests
                mailbox.post(.abort)
            }
            if Task.isCancelled { await Task.yield() }
        }
        return aborted ?? 0
    }

    /// The first of several prompts that cannot be computed here at any time.
    package func firstRefused(_ groups: [GenerationGroup]) -> Int? {
        groups.firstIndex { group in
            do throws(AdmissionError) { try check(group) } catch { return true }
            return false
        }
    }

    private func check(_ group: GenerationGroup) throws(AdmissionError) {
        let request = group.request
        let (count, limit) = (request.prompt.ids.count, configuration.maxModelLength)
        guard count > 0 else { throw .promptEmpty }
        guard request.maxTokens > 0 ? count < limit : count <= limit else { throw .promptTooLong(promptTokens: count, maxModelLength: limit) }
        guard request.maxTokens <= limit - count else {
            throw .maxTokensTooLarge(maxTokens: request.maxTokens, promptTokens: count, maxModelLength: limit)
        }
        let spanMax = configuration.maxBatchedTokens - configuration.maxSequences + 1
        if let span = request.prompt.spans.first(where: { $0.count > spanMax }) {
            throw .spanTooLong(tokens: span.count, limit: spanMax)
        }
        if request.readsPrompt, configuration.keepsStates, !request.prompt.spans.isEmpty { throw .promptNotReadable }
        let size = configuration.vocabularySize
        if let token = request.prompt.ids.first(where: { $0 < 0 || Int($0) >= size }) {
            throw .tokenOutOfRange(token: token, vocabularySize: size)
        }
        for (index, image) in request.prompt.images.enumerated() {
            if let given = image.embeddings, given.values.count != image.tokens.count * configuration.imageWidth {
                throw .embeddingsTooWide(index: index, width: given.values.count / max(image.tokens.count, 1), modelWidth: configuration.imageWidth)
            }
            let patches = image.input.patches
            guard patches <= configuration.maxPatches else {
                throw .imageTooLarge(index: index, patches: patches, maxPatches: configuration.maxPatches)
            }
        }
        if let beams = request.beams { try check(beams, of: group) }
    }

    /// All beams run at once, each with blocks of its own behind the full ones of the prompt.
    private func check(_ beams: BeamParameters, of group: GenerationGroup) throws(AdmissionError) {
        precondition(group.count <= beams.width && group.request.maxTokens > 0 && group.request.probe == nil, "no such search")
        let size = configuration.blockSize
        guard beams.width <= configuration.maxSequences else { throw .tooManyBeams(width: beams.width, limit: configuration.maxSequences) }
        let shared = configuration.sharesPrompts ? (group.request.prompt.ids.count - 1) / size : 0
        let own = (group.request.longest + size - 1) / size - shared
        guard shared + beams.width * own <= configuration.blockCount else {
            throw .beamsTooLong(width: beams.width, tokens: group.request.longest, capacity: configuration.blockCount * size)
        }
    }
}
