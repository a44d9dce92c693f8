package import Execution
internal import Foundation
internal import Plan

/// Serves generation requests with one model, on one thread that owns model and scheduler.
package final class Engine: Sendable {
    package let configuration: EngineConfiguration
    private let state = EngineState()
    private let mailbox = Mailbox<EngineCommand>()

    /// Starts the thread, which loads the model, warms every plan and then serves.
    ///
    /// - Parameters:
    ///   - log: takes lines for the operator; called on the engine's thread.
    ///   - load: maps the model; called on the engine's thread.
    package init(
        configuration: EngineConfiguration, log: @escaping @Sendable (String) -> Void,
        load: @escaping @Sendable () throws -> any LoadedModel
    ) {
        self.configuration = configuration
        let (state, mailbox) = (state, mailbox)
        let thread = Thread {
            EngineLoop.main(configuration: configuration, state: state, mailbox: mailbox, log: log, load: load)
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

    /// Requests that wait or run.
    package var inFlight: Int { state.inFlight }

    package var metrics: Metrics { state.metrics }

    package func updateMetrics(_ change: (inout Metrics) -> Void) { state.updateMetrics(change) }

    /// Whether another request would be taken now; lets a server refuse before it reads a large body.
    package func checkAdmission() throws(AdmissionError) {
        let phase = state.phase
        guard phase == .serving else { throw .notServing(phase) }
        let count = state.inFlight
        guard count < configuration.maxSequences + configuration.maxQueued else { throw .queueFull(waiting: count) }
    }

    /// Takes a request; dropping its events cancels it.
    package func submit(_ request: GenerationRequest) throws(AdmissionError) -> Generation {
        let (stream, events) = AsyncStream<GenerationEvent>.makeStream()
        let mailbox = mailbox
        let id = try post(request) { id in
            events.onTermination = { reason in
                if case .cancelled = reason { mailbox.post(.cancel(id: id)) }
            }
        } deliver: { event in
            events.yield(event)
            if event.isLast { events.finish() }
        }
        return Generation(events: stream) { mailbox.post(.cancel(id: id)) }
    }

    /// Posts a request and returns its id.
    ///
    /// - Parameters:
    ///   - prepare: called with the id before the engine knows of the request.
    ///   - deliver: takes what the request yields; called on the engine's thread.
    func post(
        _ request: GenerationRequest, _ prepare: (Int) -> Void = { _ in }, deliver: @escaping @Sendable (GenerationEvent) -> Void
    ) throws(AdmissionError) -> Int {
        try check(request)
        let arrival = ContinuousClock.now
        var number = 0
        try state.admit(limit: configuration.maxSequences + configuration.maxQueued) { id in
            prepare(id)
            mailbox.post(.submit(id: id, request, arrival: arrival, deliver: deliver))
            number = id
        }
        return number
    }

    func cancel(_ id: Int) { mailbox.post(.cancel(id: id)) }

    /// Ends the requests at work with reason `abort`, and the thread, however far it is; returns when it has ended.
    package func stop() {
        guard state.beginDraining() else { return }
        mailbox.post(.abort)
        mailbox.post(.drain)
        while state.phase == .draining { Thread.sleep(forTimeInterval: 0.001) }
    }

    /// Refuses new requests, lets those at work end, and returns when the thread has; after `timeout` they are aborted.
    package func drain(timeout: Duration) async {
        guard state.beginDraining() else { return }
        mailbox.post(.drain)
        let deadline = ContinuousClock.now + timeout
        var aborted = false
        while state.phase == .draining {
            try? await Task.sleep(for: .milliseconds(10))
            if !aborted, ContinuousClock.now >= deadline || Task.isCancelled {
                mailbox.post(.abort)
                aborted = true
            }
            if Task.isCancelled { await Task.yield() }
        }
    }

    private func check(_ request: GenerationRequest) throws(AdmissionError) {
        let (count, limit) = (request.prompt.ids.count, configuration.maxModelLength)
        guard count > 0 else { throw .promptEmpty }
        guard count < limit else { throw .promptTooLong(promptTokens: count, maxModelLength: limit) }
        guard request.maxTokens <= limit - count else {
            throw .maxTokensTooLarge(maxTokens: request.maxTokens, promptTokens: count, maxModelLength: limit)
        }
        let spanMax = configuration.maxBatchedTokens - configuration.maxSequences + 1
        if let span = request.prompt.spans.first(where: { $0.count > spanMax }) {
            throw .spanTooLong(tokens: span.count, limit: spanMax)
        }
        if request.probe?.readsWholePrompt == true, configuration.maxSequences > 1 || configuration.cachesPrefixes { throw .probeNotAlone }
        let size = configuration.vocabularySize
        if let token = request.prompt.ids.first(where: { $0 < 0 || Int($0) >= size }) {
            throw .tokenOutOfRange(token: token, vocabularySize: size)
        }
        for (index, image) in request.prompt.images.enumerated() {
            let patches = image.input.patches
            guard patches <= configuration.maxPatches else {
                throw .imageTooLarge(index: index, patches: patches, maxPatches: configuration.maxPatches)
            }
        }
    }
}
