import Plan
import Serving
import Testing

/// Prompts and images beside sequences that decode.
@Suite struct PromptPaceTests {
    /// Steps of a machine on which decoding takes `plain` and each token of a prompt `token` seconds more, behind `fixed` ones; the last step's seconds, and
    /// how many tokens came with it.
    private func settle(
        _ pace: inout PromptPace, plain: Double, token: Double, fixed: Double = 0, prompts: Int = 1, encodesImages: Bool = false, steps: Int = 40
    ) throws -> (seconds: Double, tokens: Int) {
        var last = (plain, 0)
        for _ in 0..<steps {
            let tokens = try #require(pace.tokens(besideDecoding: 4, prompts: prompts, encodesImages: encodesImages, first: (1000, pace.elapsed)))
            let seconds = plain + (tokens > 0 ? fixed : 0) + token * Double(tokens)
            pace.begin(decoding: 4, prompt: tokens)
            pace.note(seconds, gear: tokens == 0 ? 4 : nil)
            last = (seconds, tokens)
        }
        return last
    }

    @Test func promptsAloneHaveNoLimit() {
        #expect(PromptPace(gears: [1, 4]).tokens(besideDecoding: 0, prompts: 9, encodesImages: true, first: (10, 0)) == nil)
    }

    @Test func aStepWithoutPromptsShowsWhatDecodingTakes() {
        var pace = PromptPace(gears: [1, 4])
        #expect(pace.tokens(besideDecoding: 4, prompts: 1, encodesImages: false, first: (10, pace.elapsed)) == 0)
        pace.begin(decoding: 4, prompt: 0)
        pace.note(0.05, gear: 4)
        #expect(pace.tokens(besideDecoding: 4, prompts: 1, encodesImages: false, first: (10, pace.elapsed)) == PromptPace.tokensMin)
    }

    @Test(arguments: [(0.05, 0.001, 0.0), (0.05, 0.003, 0.005), (0.0026, 0.00005, 0.0005)])
    func stepsTakeLessThanTwiceAsLong(plain: Double, token: Double, fixed: Double) throws {
        var pace = PromptPace(gears: [1, 4])
        let (seconds, tokens) = try settle(&pace, plain: plain, token: token, fixed: fixed)
        #expect(seconds <= (1.05 + PromptPace.share) * plain && seconds > 1.5 * plain && tokens > PromptPace.tokensMin)
        // Images have the other half.
        let shared = try settle(&pace, plain: plain, token: token, fixed: fixed, encodesImages: true)
        #expect(shared.seconds + pace.imageSeconds <= (1.05 + PromptPace.share) * plain && shared.tokens < tokens)
    }

    @Test func fewTokensComeHoweverLongTheyTake() throws {
        var pace = PromptPace(gears: [4])
        #expect(try settle(&pace, plain: 0.01, token: 1).tokens == PromptPace.tokensMin)
    }

    @Test func manyPromptsHaveMoreOfTheTime() throws {
        var pace = PromptPace(gears: [4])
        let one = try settle(&pace, plain: 0.05, token: 0.001, prompts: 1).tokens
        let three = try settle(&pace, plain: 0.05, token: 0.001, prompts: 3).tokens
        #expect((29...30).contains(one) && (268...270).contains(three))
    }

    @Test func promptsThatHaveWaitedLongHaveMoreOfTheTime() throws {
        var pace = PromptPace(gears: [4])
        let tokens = try settle(&pace, plain: 0.05, token: 0.001).tokens
        func asked(after seconds: Double) -> Int? {
            pace.tokens(besideDecoding: 4, prompts: 1, encodesImages: false, first: (500, pace.elapsed - seconds))
        }
        // Alone it takes half a second.
        #expect(asked(after: 1.4) == tokens)
        let late = try #require(asked(after: 6))
        #expect(abs(late - 4 * tokens) <= 4)
    }

    @Test func oneDisturbedStepHaltsNoPrompt() throws {
        var pace = PromptPace(gears: [4])
        let before = try settle(&pace, plain: 0.05, token: 0.001).tokens
        pace.begin(decoding: 4, prompt: before)
        pace.note(2, gear: nil)
        let after = try #require(pace.tokens(besideDecoding: 4, prompts: 1, encodesImages: false, first: (10, pace.elapsed)))
        #expect(after >= before / 3)
        #expect(try settle(&pace, plain: 0.05, token: 0.001).tokens >= before - 1)
    }

    @Test func imagesTakeAStepsTimeWhereNothingDecodes() {
        var pace = PromptPace(gears: [4])
        pace.begin(decoding: 0, prompt: 100)
        pace.note(0.3, gear: nil)
        #expect(pace.imageSeconds == 0.3)
        pace.begin(decoding: 2, prompt: 0)
        pace.note(0.1, gear: 4)
        #expect(abs(pace.imageSeconds - 0.1 * PromptPace.share) < 1e-9)
    }

    private func scheduler(paces: Bool = true, batched: Int = 64) -> Scheduler {
        Scheduler(
            Scheduler.Limits(
                gears: [1, 2, 4], maxSequences: 4, maxBatchedTokens: batched, blockSize: 16, blockCount: 64, cachesPrefixes: false, pacesPrompts: paces))
    }

    private func step(_ scheduler: inout Scheduler, seconds: (Int) -> Double = { 0.05 + 0.001 * Double($0) }) -> [Int: Int] {
        guard let batch = scheduler.nextBatch() else { return [:] }
        scheduler.note(batch.entry, seconds: seconds(batch.items.count { $0.count > 1 } > 0 ? batch.tokenCount : 0))
        scheduler.commit()
        for item in batch.items where item.samples { scheduler.append(500, toSequence: item.id) }
        return Dictionary(uniqueKeysWithValues: batch.items.map { ($0.id, $0.count) })
    }

    private func prompt(_ id: Int, _ count: Int, priority: Int = 0, spans: [Range<Int>] = []) -> SequenceState {
        SequenceState(id: id, prompt: (0..<Int32(count)).map { $0 + Int32(1000 * id) }, spans: spans, priority: priority)
    }

    @Test func longPromptsComeInPartsBesideAnswers() {
        var scheduler = scheduler()
        scheduler.add(prompt(1, 5))
        #expect(step(&scheduler) == [1: 5])
        scheduler.add(prompt(2, 200))
        #expect(step(&scheduler) == [1: 1], "what decoding takes is not known")
        let parts = (0..<5).map { _ in step(&scheduler)[2] ?? 0 }
        #expect(parts.allSatisfy { (PromptPace.tokensMin...40).contains($0) } && parts[4] > 20)
        scheduler.remove(1)
        #expect(step(&scheduler) == [2: 64])
    }

    /// Whoever waits for an image has not waited for the others.
    @Test func aPromptsWaitBeginsOnceItsImageIsThere() {
        var scheduler = scheduler()
        scheduler.add(prompt(1, 5))
        _ = step(&scheduler)
        let image = ImageTokens(tokens: TokenRanges([10..<150]), digest: ContentDigest { $0.update(1) })
        scheduler.add(SequenceState(id: 2, prompt: Array(0..<200), images: [image]))
        for _ in 0..<200 { #expect((step(&scheduler)[2] ?? 0) <= 10) }
        scheduler.markReady(2, image: 0)
        for _ in 0..<3 { #expect((PromptPace.tokensMin...40).contains(step(&scheduler)[2] ?? 0)) }
    }

    @Test func spansComeWholeHoweverFewTokensShould() {
        var scheduler = scheduler(batched: 128)
        scheduler.add(prompt(1, 5))
        _ = step(&scheduler)
        scheduler.add(prompt(2, 90, spans: [0..<80]))
        _ = step(&scheduler)
        #expect(step(&scheduler) == [1: 1, 2: 80])
    }

    @Test(arguments: [false, true]) func aShortPromptDoesNotWaitForALongOne(paces: Bool) {
        var scheduler = scheduler(paces: paces)
        scheduler.add(prompt(1, 500))
        #expect(step(&scheduler) == [1: 64])
        scheduler.add(prompt(2, 20))
        #expect(step(&scheduler) == [1: 44, 2: 20])
    }

    @Test func theOldestHasHalfWhateverShortOnesCome() {
        var scheduler = scheduler(paces: false)
        scheduler.add(prompt(1, 500))
        for id in 2...4 { scheduler.add(prompt(id, 30)) }
        #expect(step(&scheduler) == [1: 32, 2: 30, 3: 2])
    }

    @Test func urgentPromptsGoFirstHoweverLong() {
        var scheduler = scheduler(paces: false)
        scheduler.add(prompt(1, 500, priority: -1))
        scheduler.add(prompt(2, 20))
        #expect(step(&scheduler) == [1: 64])
    }

    @Test func imagesOfFewAreEncodedInTurnWithThoseOfTheFirst() {
        var scheduler = scheduler()
        func pictures(_ id: Int, _ count: Int) -> SequenceState {
            let images = (0..<count).map { image in
                ImageTokens(tokens: TokenRanges([4 * image + 1..<4 * image + 4]), digest: ContentDigest { $0.update(100 * id + image) })
            }
            return SequenceState(id: id, prompt: Array(0..<Int32(4 * count + 2)), images: images)
        }
        scheduler.add(pictures(1, 20))
        scheduler.add(pictures(2, 1))
        _ = scheduler.nextBatch()
        let (first, fewest) = (scheduler.imagesNeeded(), scheduler.imagesNeeded(fewest: true))
        #expect(first?.id == 1 && first?.images.count == 20 && first?.isOnly == false)
        #expect(fewest?.id == 2 && fewest?.images == [0])
        scheduler.markReady(2, image: 0)
        #expect(scheduler.imagesNeeded(fewest: true)?.id == 1 && scheduler.imagesNeeded()?.isOnly == true)
    }
}
