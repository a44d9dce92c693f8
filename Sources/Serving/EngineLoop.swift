internal import Execution
internal import Plan

/// What runs on the engine's thread: drain the mailbox, run a batch, deliver tokens, encode a slice of an image.
final class EngineLoop {
    private let model: any LoadedModel
    private let configuration: EngineConfiguration
    private let state: EngineState
    private let mailbox: Mailbox<EngineCommand>
    private let log: @Sendable (EngineNotice) -> Void
    private let io: StepIO
    private var scheduler: Scheduler
    private let sampling: RowSampling
    /// Nil where none guesses tokens, and after it has failed.
    private var draft: (any TokenGuesser)?
    private var vision: VisionWork
    private var lastStepSeconds = 0.0
    private var requests: [Int: ActiveRequest] = [:]
    private var commands: [EngineCommand] = []
    private var ended: [(id: Int, reason: FinishReason)] = []
    /// Searches all of whose beams have said what may follow, and those that cannot go on.
    private var due: [(beams: BeamGroup, fault: RowSampling.Fault?)] = []
    /// Sequences whose guessed token came true, and the row of logits behind it; those of the round at hand, and of the next one.
    private var round: [(id: Int, row: Int)] = []
    private var nextRound: [(id: Int, row: Int)] = []
    private var report = BusyReport()
    private let stored: StoredBlocks?
    private var isDraining = false

    /// The thread's whole life.
    static func main(
        configuration: EngineConfiguration, state: EngineState, mailbox: Mailbox<EngineCommand>,
        log: @escaping @Sendable (EngineNotice) -> Void, origin: () throws -> String, load: () throws -> any LoadedModel, loadDraft: Engine.LoadDraft?
    ) {
        do {
            try serve(configuration, state, mailbox, log, origin, load, loadDraft)
            state.phase = .stopped
        } catch {
            state.phase = .failed("\(error)")
        }
    }

    /// Everything from loading the model to the end of the last request; the model is gone when it returns.
    private static func serve(
        _ configuration: EngineConfiguration, _ state: EngineState, _ mailbox: Mailbox<EngineCommand>,
        _ log: @escaping @Sendable (EngineNotice) -> Void, _ origin: () throws -> String, _ load: () throws -> any LoadedModel,
        _ loadDraft: Engine.LoadDraft?
    ) throws {
        let clock = ContinuousClock()
        let began = clock.now
        let model = try load()
        try model.reserveKV(blockSize: configuration.blockSize, blockCount: configuration.blockCount)
        let draft = try configuration.draft.flatMap { draft in try loadDraft.map { try draft.guesser($0(model), configuration) } }
        let stored = try configuration.blockStore.map { store in
            try StoredBlocks(store, configuration, model, origin: origin(), log: log) { mailbox.post(.storedBlocks) }
        }
        defer { stored?.close() }
        let loaded = clock.now
        let loop = try EngineLoop(model, configuration, state, mailbox, stored, log)
        let warmUp = WarmUp(model: model, configuration: configuration, io: loop.io)
        try warmUp.run { done, count in state.advance(to: .warming(done: done, of: count)) }
        try draft?.warm()
        loop.draft = draft
        let phases = [("load", (loaded - began).seconds), ("warm-up", (clock.now - loaded).seconds)]
        state.updateMetrics { $0.startup += phases.map { (phase: $0.0, seconds: $0.1) } }
        state.advance(to: .serving)
        loop.run()
    }

    private init(
        _ model: any LoadedModel, _ configuration: EngineConfiguration, _ state: EngineState,
        _ mailbox: Mailbox<EngineCommand>, _ stored: StoredBlocks?, _ log: @escaping @Sendable (EngineNotice) -> Void
    ) throws(BackendError) {
        self.model = model
        self.configuration = configuration
        self.state = state
        self.mailbox = mailbox
        self.stored = stored
        self.log = log
        let limit = configuration.maxModelLength
        io = try model.makeStepIO(maxBlocks: (limit + configuration.blockSize - 1) / configuration.blockSize)
        sampling = RowSampling(
            threads: model.rowThreads, capacity: io.maxSequences,
            candidatesMax: BeamParameters(width: configuration.maxSequences).candidates)
        vision = VisionWork(cacheBytes: configuration.imageCacheBytes, hiddenSize: model.program.imageWidth)
        scheduler = Scheduler(
            Scheduler.Limits(
                gears: configuration.gears, maxSequences: configuration.maxSequences,
                maxBatchedTokens: configuration.maxBatchedTokens, maxLogits: io.maxSequences, blockSize: configuration.blockSize,
                blockCount: configuration.blockCount, cachesPrefixes: configuration.cachesPrefixes, sharesPrompts: configuration.sharesPrompts,
                lookup: configuration.lookup, draft: configuration.draft?.limits, maxAdapters: configuration.maxAdapters,
                pacesPrompts: configuration.pacesPrompts))
        if stored != nil { scheduler.notePublished() }
        commands.reserveCapacity(64)
        state.updateMetrics {
            $0.adapters = configuration.adapters.map(AdapterLoad.init)
            $0.maxAdapters = configuration.maxAdapters
            $0.cache = Metrics.CacheFacts(
                blockSize: configuration.blockSize, blocks: configuration.blockCount, element: configuration.cacheElement,
                cachesPrefixes: configuration.cachesPrefixes)
        }
    }

    private func run() {
        var pause = 0.0
        while true {
            mailbox.drain(into: &commands, waits: requests.isEmpty && !isDraining, seconds: pause)
            for command in commands { obey(command) }
            commands.removeAll(keepingCapacity: true)
            if isDraining, requests.isEmpty {
                stored?.finish(&scheduler, model)
                return publishMetrics()
            }
            let (began, isBusy) = (ContinuousClock.now, !requests.isEmpty)
            stored?.advance(&scheduler, model)
            let stepped = step()
            let waitsForBlocks = stored?.isAwaited == true && scheduler.running.isEmpty && requests.count == scheduler.waiting.count
            pause = waitsForBlocks && !stepped ? 0.05 : 0
            encode(whileDecoding: stepped)
            if isBusy { report.busy += ContinuousClock.now - began }
            publishMetrics()
        }
    }

    private func obey(_ command: EngineCommand) {
        switch command {
        case .submit(let id, let group, let arrival, let deliver):
            state.updateMetrics { $0.record(group) }
            let embeddings = ImageEmbeddings(given: group.request.prompt.images.map(\.embeddings))
            let beams = group.request.beams.map {
                BeamGroup(group, $0, first: id, maxModelLength: configuration.maxModelLength, deliver: deliver)
            }
            for branch in 0..<(beams == nil ? group.count : 1) {
                let active = ActiveRequest(
                    id: id + branch, request: group.branch(branch), of: group.seats > 1 ? id : nil, beams: beams, embeddings: embeddings,
                    arrival: arrival, vocabularySize: configuration.vocabularySize
                ) { deliver(branch, $0) }
                requests[active.id] = active
                if active.readsImagesAlone { vision.add(active.id) } else { scheduler.add(active.sequence) }
            }
        case .cancel(let ids): for id in ids { end(id, .abort) }
        case .storedBlocks: break
        case .drain: isDraining = true
        case .abort: for id in requests.keys.sorted() { end(id, .abort) }
        }
    }

    /// Runs one batch; false when there was none.
    private func step() -> Bool {
        guard scheduler.compose() else { return false }
        let copies = scheduler.takeCopies()
        if !copies.isEmpty {
            model.copy(copies)
            draft?.copy(copies)
        }
        guess()
        let batch = scheduler.takeBatch()
        var gear: Int?
        if case .decode(let rows) = batch.entry { gear = rows }
        io.fill(batch, gear: gear, running: scheduler.running, blockSize: configuration.blockSize, requests: requests)
        let began = ContinuousClock.now
        do {
            try model.run(batch.entry, io)
        } catch {
            for item in batch.items { fail(item.id, "\(error)") }
            return true
        }
        let now = ContinuousClock.now
        lastStepSeconds = (now - began).seconds
        if configuration.weighsTimes { scheduler.note(batch.entry, seconds: lastStepSeconds) }
        scheduler.commit()
        let generated = deliver(batch, began: began, now: now)
        record(batch, gear: gear, generated: generated)
        withDraft { try $0.read(batch, io, scheduler, requests) }
        for (id, reason) in ended { end(id, reason) }
        ended.removeAll(keepingCapacity: true)
        advanceSearches()
        return true
    }

    /// Has the draft model guess tokens.
    private func guess() {
        withDraft { try $0.guess(for: &scheduler, notesTimes: configuration.weighsTimes) }
    }

    /// Where the draft model cannot do what it is to, answers go on without.
    private func withDraft(_ body: (any TokenGuesser) throws -> Void) {
        guard let draft else { return }
        do {
            try body(draft)
        } catch {
            self.draft = nil
            scheduler.endDrafts()
            log(.warning("the draft model failed, and guesses nothing any more: \(error)"))
        }
    }

    /// Reads the batch's logits: chooses a token for each sequence that wants one, and computes what prompts that are read are told.
    private func choose(_ batch: Batch) {
        sampling.removeAll()
        var row = 0
        for item in batch.items {
            guard let request = requests[item.id] else { continue }
            if !item.isReplay { read(item, of: request, row: row) }
            row += item.logits.count
        }
        sampling.run(on: model)
    }

    /// - Parameter row: the first of the item's rows of logits.
    private func read(_ item: Batch.Item, of request: ActiveRequest, row: Int) {
        if let probe = request.request.probe, probe.readsWholePrompt, request.generatedCount == 0 {
            probe.take(.prompt(Array(io.logits[row * io.vocabularySize..<(row + item.logits.count) * io.vocabularySize])))
        }
        for (offset, place) in item.logits.dropLast(item.guessed).enumerated() {
            let logits = logits(row + offset)
            if item.samples, place == item.lastKnown {
                if request.request.maxTokens > 0 {
                    sampling.add(logits, of: request)
                } else if let probe = request.request.probe, probe.readsHidden {
                    probe.take(.hidden(Array(io.hidden[(row + offset) * io.modelWidth..<(row + offset + 1) * io.modelWidth])))
                }
            } else if let count = request.request.promptLogprobs {
                sampling.add(logits, before: request.request.prompt.ids[place + 1], likeliest: count)
            }
        }
    }

    private func logits(_ row: Int) -> UnsafeMutableBufferPointer<Float> {
        UnsafeMutableBufferPointer(rebasing: io.logits[row * io.vocabularySize..<(row + 1) * io.vocabularySize])
    }

    /// Passes on what the rows of the batch yield; returns how many tokens were generated.
    private func deliver(_ batch: Batch, began: ContinuousClock.Instant, now: ContinuousClock.Instant) -> Int {
        choose(batch)
        var (row, rowOfLogits, generated) = (0, 0, 0)
        for item in batch.items {
            guard let request = requests[item.id] else { continue }
            rowOfLogits += item.logits.count
            noteFirstStep(request, at: began)
            guard !item.isReplay else { continue }
            let told = request.request.promptLogprobs == nil ? 0 : item.logits.count - item.guessed - (item.samples ? 1 : 0)
            if told > 0 { request.tell((row..<row + told).compactMap { sampling.promptToken(row: $0) }) }
            row += told
            guard item.samples else { continue }
            guard request.request.maxTokens > 0 else {
                ended.append((item.id, .length))
                continue
            }
            let isTaken =
                if let beams = request.beams { takeCandidates(row: row, of: request, to: beams, now: now) } else {
                    deliver(row: row, to: request, before: rowOfLogits - item.guessed, now: now)
                }
            if isTaken { generated += 1 }
            row += 1
        }
        return generated + deliverGuessed(now: now)
    }

    /// Goes on with sequences whose guesses come true, a token each in every round, as if it were decoded alone; returns how many there were.
    private func deliverGuessed(now: ContinuousClock.Instant) -> Int {
        var generated = 0
        while !nextRound.isEmpty {
            swap(&round, &nextRound)
            nextRound.removeAll(keepingCapacity: true)
            sampling.removeAll()
            for (id, row) in round { if let request = requests[id] { sampling.add(logits(row), of: request) } }
            sampling.run(on: model)
            for (index, (id, row)) in round.enumerated() {
                if let request = requests[id], deliver(row: index, to: request, before: row + 1, now: now) { generated += 1 }
            }
        }
        return generated
    }

    /// Passes a chosen token on; false where the request fails without one.
    ///
    /// - Parameter next: the row of logits behind the token, if it was guessed.
    private func deliver(row: Int, to request: ActiveRequest, before next: Int, now: ContinuousClock.Instant) -> Bool {
        let (choice, shown) = sampling[row]
        let probe = request.request.probe
        if let shown { probe?.take(.step(shown, choice: try? choice.get())) }
        let given = probe?.token(request.generatedCount).map { Result<Int32, RowSampling.Fault>.success($0) }
        let token: Int32
        switch given ?? choice {
        case .success(let chosen): token = chosen
        case .failure(let fault):
            fail(request.id, fault.description, isOfRequest: fault == .allBarred)
            return false
        }
        let isComputed = scheduler.append(token, toSequence: request.id)
        noteToken(request, at: now)
        report.generated += 1
        do {
            guard let reason = try request.take(token, sampling.choice(row: row), maxModelLength: configuration.maxModelLength) else {
                if isComputed { nextRound.append((request.id, next)) }
                return true
            }
            ended.append((request.id, reason))
        } catch {
            fail(request.id, "\(error)")
        }
        return true
    }

    /// Encodes a slice of the next image that a running sequence, or a request for embeddings alone, waits for.
    private func encode(whileDecoding: Bool) {
        let seconds = whileDecoding ? scheduler.pace?.imageSeconds ?? max(lastStepSeconds, 0.01) : 0.05
        do {
            for ready in try vision.advance(model, scheduler, requests, seconds: seconds) {
                scheduler.markReady(ready.id, image: ready.image)
                if let request = requests[ready.id], request.readsImagesAlone, request.embeddings.allSatisfy({ $0 != nil }) { end(ready.id, .length) }
            }
        } catch {
            fail(error.id, error.message)
        }
    }

    private func end(_ id: Int, _ reason: FinishReason) {
        if let beams = requests[id]?.beams { return end(beams, beams.aborted()) }
        guard let request = requests.removeValue(forKey: id) else { return }
        let cached = scheduler.running.first { $0.id == id }?.cachedTokens ?? 0
        scheduler.remove(id)
        state.leave()
        let completion = request.completion(reason, cachedTokens: cached)
        let now = ContinuousClock.now
        // Before the answer ends, so that whoever has it finds it counted.
        state.updateMetrics { $0.record(completion, of: request, at: now) }
        request.finish(completion)
    }

    private func fail(_ id: Int, _ message: String, isOfRequest: Bool = false) {
        guard let request = requests[id] else { return }
        let failure = GenerationFailure(message, isOfRequest: isOfRequest)
        state.updateMetrics { $0.failures += 1 }
        if let beams = request.beams {
            remove(beams)
            beams.fail(failure)
        } else {
            requests[id] = nil
            scheduler.remove(id)
            state.leave()
            request.fail(failure)
        }
        log(.warning("request \(id) failed: \(message)"))
    }
}

/// Searches: their beams are sequences that go on once all have said what may follow.
extension EngineLoop {
    /// Takes what may follow a beam; false where nothing is known of it.
    private func takeCandidates(row: Int, of request: ActiveRequest, to beams: BeamGroup, now: ContinuousClock.Instant) -> Bool {
        switch sampling.candidates(row: row) {
        case .failure(let fault):
            due.append((beams, fault))
            return false
        case .success(let candidates):
            noteToken(request, at: now)
            report.generated += 1
            if beams.report(candidates, of: request.id) { due.append((beams, nil)) }
            return true
        }
    }

    private func advanceSearches() {
        for (beams, fault) in due {
            guard let id = beams.ids.first(where: { requests[$0] != nil }) else { continue }
            do {
                if let fault { throw fault }
                let survivors = try beams.advance(maxModelLength: configuration.maxModelLength) { requests[$0]?.progress }
                if survivors.isEmpty { finish(beams) } else { follow(beams, survivors) }
            } catch {
                fail(id, "\(error)")
            }
        }
        due.removeAll(keepingCapacity: true)
    }

    private func follow(_ beams: BeamGroup, _ survivors: [BeamGroup.Survivor]) {
        let ids = scheduler.advance(beams.ids, to: survivors.map { ($0.parent, $0.step.token) })
        let followed = zip(survivors, ids).map { (id: $1, beam: $0.step.beam, from: requests[$0.parent]) }
        for id in beams.ids { requests[id] = nil }
        for (id, beam, from) in followed { requests[id] = from.map { ActiveRequest($0, as: id, beam.progress) } }
        beams.follow(followed.map { ($0.id, $0.beam) })
    }

    private func finish(_ beams: BeamGroup) {
        guard let id = beams.ids.first(where: { requests[$0] != nil }) else { return }
        guard let found = beams.found else { return fail(id, beams.shortage, isOfRequest: true) }
        let cached = scheduler.running.first { $0.id == id }?.cachedTokens ?? 0
        end(beams, found.map { beams.completion($0, cachedTokens: cached) }, found)
    }

    private func end(_ beams: BeamGroup, _ completions: [Completion], _ found: [Beam] = []) {
        let request = beams.ids.lazy.compactMap { self.requests[$0] }.first
        remove(beams)
        let now = ContinuousClock.now
        if let request { state.updateMetrics { for completion in completions { $0.record(completion, of: request, at: now) } } }
        beams.finish(completions, found)
    }

    private func remove(_ beams: BeamGroup) {
        for id in beams.ids where requests.removeValue(forKey: id) != nil { scheduler.remove(id) }
        state.leave(beams.ids.count)
    }
}

extension EngineLoop {
    private func noteFirstStep(_ request: ActiveRequest, at now: ContinuousClock.Instant) {
        guard request.firstStep == nil else { return }
        request.firstStep = now
        let promptTokens = request.isFirstOfGroup ? request.request.prompt.ids.count : 0
        report.prompt += promptTokens
        state.updateMetrics {
            $0.queueTime.observe((now - request.arrival).seconds)
            $0.promptTokens += promptTokens
        }
    }

    private func noteToken(_ request: ActiveRequest, at now: ContinuousClock.Instant) {
        if let last = request.lastToken {
            state.updateMetrics { $0.interToken.observe((now - last).seconds) }
        } else {
            request.firstToken = now
            state.updateMetrics { $0.timeToFirstToken.observe((now - request.arrival).seconds) }
        }
        request.lastToken = now
    }

    private func record(_ batch: Batch, gear: Int?, generated: Int) {
        state.updateMetrics { metrics in
            metrics.iterationTokens.observe(Double(batch.tokenCount))
            metrics.generationTokens += generated
            guard let gear else { return }
            metrics.gearSteps[gear, default: 0] += 1
            metrics.gearPadding[gear, default: 0] += gear - batch.tokenCount
        }
    }

    private func publishMetrics() {
        state.updateMetrics { metrics in
            metrics.running = scheduler.running.count
            metrics.waiting = scheduler.waiting.count
            metrics.kvUsage = scheduler.pool.usage
            metrics.prefixQueries = scheduler.counts.prefixQueries
            metrics.prefixHits = scheduler.counts.prefixHits
            metrics.preemptions = scheduler.counts.preemptions
            if configuration.lookup != nil || configuration.draft != nil {
                metrics.speculation = .init(
                    drafts: scheduler.counts.guesses, tokens: scheduler.counts.guessedTokens, accepted: scheduler.counts.acceptedTokens)
            }
            metrics.storedBlocks = stored?.figures()
            metrics.imageQueries = vision.cache.queries
            metrics.imageHits = vision.cache.hits
            for index in metrics.adapters.indices {
                metrics.adapters[index].running = scheduler.running.count { $0.adapter?.index == index }
                metrics.adapters[index].waiting = scheduler.waiting.count { $0.adapter?.index == index }
            }
            for seconds in vision.takeDurations() { metrics.imageEncode.observe(seconds) }
        }
        if let line = report.line(scheduler: scheduler, images: vision.cache) { log(.report(line)) }
    }
}

extension Metrics {
    fileprivate mutating func record(_ group: GenerationGroup) {
        requestAnswers.observe(Double(group.count))
        requestMaxTokens.observe(Double(group.request.maxTokens))
    }

    fileprivate mutating func record(_ completion: Completion, of request: ActiveRequest, at now: ContinuousClock.Instant) {
        successes[completion.reason, default: 0] += 1
        endToEnd.observe((now - request.arrival).seconds)
        requestPrompt.observe(Double(completion.usage.promptTokens))
        requestGeneration.observe(Double(completion.usage.completionTokens))
        guard let start = request.firstStep, let first = request.firstToken, let last = request.lastToken else { return }
        prefillTime.observe((first - start).seconds)
        decodeTime.observe((last - first).seconds)
    }
}
