import Seeded
import Serving
import Testing

/// When tokens are guessed, by what guesses have brought and by what their rows cost.
@Suite struct GuessHistoryTests {
    private func pause(_ history: inout GuessHistory) -> Int {
        var steps = 0
        while !history.isDue() { steps += 1 }
        return steps
    }

    @Test func guessesThatFailPauseForLongerEachTime() {
        var history = GuessHistory()
        var pauses: [Int] = []
        for _ in 0..<6 {
            history.note(accepted: 0, of: 5, cost: 0.7)
            pauses.append(pause(&history))
        }
        #expect(pauses == [16, 32, 64, 128, 256, 256])
        // One that pays: pauses are short again.
        history.note(accepted: 5, of: 5, cost: 0.7)
        #expect(pause(&history) == 0)
        var failures = 0
        repeat {
            history.note(accepted: 0, of: 5, cost: 0.7)
            failures += 1
            pauses = [pause(&history)]
        } while pauses == [0]
        #expect(pauses == [16] && failures == 4, "what was gained may be lost, at most two tokens of it")
    }

    /// Whatever comes true, guesses that bring less than they cost lose few steps.
    @Test(arguments: [0.0, 0.05, 0.1, 0.2]) func lossesAreBounded(chance: Double) {
        var dice = Dice(7)
        for cost in [0.3, 0.7, 1.5] {
            var (history, lost, steps) = (GuessHistory(), 0.0, 0.0)
            for _ in 0..<2000 {
                steps += 1
                guard history.isDue() else { continue }
                var accepted = 0
                while accepted < 5, Double(dice.below(1000)) < chance * 1000 { accepted += 1 }
                history.note(accepted: accepted, of: 5, cost: cost)
                lost += cost - Double(accepted)
            }
            #expect(lost < 0.04 * steps, "\(chance), \(cost): \(lost) of \(steps)")
        }
    }

    @Test func guessesThatPayGoOn() {
        var history = GuessHistory()
        for _ in 0..<100 {
            history.note(accepted: 2, of: 5, cost: 0.7)
            #expect(pause(&history) == 0)
        }
        #expect(abs(history.rate - 2.0 / 3) < 1e-6, "two of three trials come true")
        for _ in 0..<40 { history.note(accepted: 0, of: 5, cost: 0) }
        #expect(pause(&history) == 0 && history.rate < 0.01, "rows that cost nothing lose nothing")
        history.pause()
        #expect(pause(&history) == 16 && history.rate == 0.5)
    }

    private func times(_ seconds: [Double]) -> GearTimes {
        var times = GearTimes(gears: [1, 2, 4, 8])
        for (gear, seconds) in zip([1, 2, 4, 8], seconds) { times.note(gear, seconds: seconds) }
        return times
    }

    @Test func timesFollowSteps() {
        var times = times([1, 1.2, 1.5, 0.5])
        #expect(times.ratio(of: 4, to: 1) == 1.5 && times.ratio(of: 8, to: 1) == 1 && times.ratio(of: 3, to: 1) == 1)
        #expect(GearTimes(gears: [1, 2]).ratio(of: 2, to: 1) == 1, "nothing is known")
        times.note(4, seconds: 1.9)
        #expect(abs(times.ratio(of: 4, to: 1) - 1.6) < 1e-9)
        times.note(4, seconds: 1)
        #expect(abs(times.ratio(of: 4, to: 1) - 1.3) < 1e-9)
        for _ in 1..<GearTimes.memory { times.note(1, seconds: 1) }
        #expect(times.ratio(of: 4, to: 1) > 1)
        times.note(1, seconds: 1)
        #expect(times.ratio(of: 4, to: 1) == 1, "it may have been disturbed")
    }

    @Test func soManyAsGainTime() {
        let cheap = times([1, 1.1, 1.2, 1.3])
        #expect(cheap.choose(most: 5, rows: 1, plain: 1, yield: 1, rate: 0.8).count == 5)
        #expect(cheap.choose(most: 5, rows: 1, plain: 1, yield: 1, rate: 0.4).count == 3, "1.62 tokens in 1.2, not 1.66 in 1.3")
        #expect(cheap.choose(most: 5, rows: 1, plain: 1, yield: 1, rate: 0.12).count == 1)
        #expect(cheap.choose(most: 5, rows: 1, plain: 1, yield: 1, rate: 0.09).count == 0)
        #expect(cheap.choose(most: 5, rows: 3, plain: 4, yield: 3, rate: 0.01).count == 1, "a row that fills the gear")
        let choice = cheap.choose(most: 3, rows: 1, plain: 1, yield: 1, rate: 0.5)
        #expect(choice.count == 3 && abs(choice.expected - 0.875) < 1e-9 && abs(choice.cost - 0.2) < 1e-9)
        // Rows that take as long as sequences.
        let dear = times([1, 2, 4, 8])
        #expect(dear.choose(most: 7, rows: 1, plain: 1, yield: 1, rate: 0.95).count == 0)
        #expect(dear.choose(most: 0, rows: 1, plain: 1, yield: 1, rate: 1).count == 0)
        // Others wait for the step as well.
        #expect(times([1, 1, 1, 1.5]).choose(most: 4, rows: 4, plain: 4, yield: 4, rate: 0.5).count == 0)
        #expect(times([1, 1, 1, 1.5]).choose(most: 4, rows: 4, plain: 4, yield: 4, rate: 0.9).count == 4)
        #expect(GearTimes(gears: [1, 8]).choose(most: 9, rows: 2, plain: 8, yield: 1, rate: 0.5).count == 6, "a gear has no more rows")
    }
}
