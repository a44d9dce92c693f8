import CKernels
import Foundation
import Seeded
import Serving
import Testing

@Suite struct SamplerTests {
    private func sample(
        _ logits: [Float], _ parameters: SamplingParameters, seen: [Int32] = [], position: Int = 0, isa: vlm_isa = vlm_cpu_features()
    ) -> Int32? {
        let sampler = Sampler(isa: isa)
        var logits = logits
        let policy = TokenPolicy(parameters, prompt: seen, maxTokens: 1, vocabularySize: logits.count)
        return logits.withUnsafeMutableBufferPointer {
            policy.apply(to: $0)
            return sampler.sample($0, parameters, position: position)
        }
    }

    private func parameters(_ change: (inout SamplingParameters) -> Void) -> SamplingParameters {
        var parameters = SamplingParameters()
        change(&parameters)
        return parameters
    }

    @Test(arguments: [1, 2, 15, 16, 17, 33, 100])
    func greedyTakesTheFirstOfTheLargest(count: Int) {
        for place in 0..<count {
            var logits = [Float](repeating: -1, count: count)
            logits[place] = 2
            logits[count - 1] = 2
            #expect(sample(logits, parameters { $0.temperature = 0 }) == Int32(place))
        }
    }

    @Test func numbersThatAreNoneAreNeverTaken() {
        #expect(sample([.nan, 1, .nan], parameters { $0.temperature = 0 }) == 1)
        #expect(sample([.nan, 1, .nan], SamplingParameters()) == 1)
        #expect(sample([.nan, .nan], SamplingParameters()) == nil)
        #expect(sample([-.infinity, -.infinity], SamplingParameters()) == 0)
        #expect(sample([0, .infinity, 0], SamplingParameters()) == 1)
    }

    @Test func repetitionPenaltyDividesPositiveAndMultipliesNegative() {
        let greedy = parameters {
            $0.temperature = 0
            $0.repetitionPenalty = 2
        }
        #expect(sample([3, 2, 1], greedy, seen: [0, 0, 0]) == 1)
        #expect(sample([-1, -1.5, -9], greedy, seen: [0]) == 1)
        #expect(sample([3, 1, 1], greedy, seen: [0]) == 0)
    }

    @Test func wantedLogitsAreThoseThatDecide() {
        func wanted(_ change: (inout SamplingParameters) -> Void) -> Int32 { parameters(change).wantedLogits.count }
        #expect(wanted { $0.temperature = 0 } == 1)
        #expect(wanted { ($0.temperature, $0.topP) = (0, 0.5) } == 1)
        #expect(wanted { ($0.temperature, $0.repetitionPenalty) = (0, 1.1) } == 0, "a penalty may put any token on top")
        #expect(wanted { $0.topK = 20 } == 20)
        #expect(wanted { ($0.topK, $0.topP, $0.minP) = (20, 0.8, 0.1) } == 20)
        #expect(wanted { $0.topK = 1000 } == 0)
        #expect(wanted { _ in } == 0 && wanted { $0.topP = 0.9 } == 0, "what all tokens weigh decides")
        #expect(wanted { $0.minP = 0.1 } == 1 && wanted { ($0.minP, $0.topP) = (0.1, 0.9) } == 0)
    }

    /// Whatever stands below the wanted logits: the same draws.
    @Test(arguments: 1...40) func otherLogitsTakeNoPart(seed: UInt64) {
        var random = Dice(seed)
        let parameters = parameters {
            $0.temperature = random.once(in: 4) ? 0 : Float.random(in: 0.01...3, using: &random)
            $0.topK = random.pick([0, 1, 3, 40]) ?? 0
            $0.minP = $0.topK == 0 ? random.pick([0.001, 0.05, 1]) ?? 1 : random.pick([0, 0.2]) ?? 0
            $0.topP = $0.topK > 0 && random.once(in: 2) ? 0.7 : 1
        }
        let logits = (0..<500).map { _ in (Float.random(in: -8...8, using: &random) * 4).rounded() / 4 }
        let wanted = parameters.wantedLogits, last = logits.sorted(by: >)[Int(wanted.count) - 1]
        let limit = last - wanted.reach
        let others = logits.map { $0 >= limit ? $0 : min(limit.nextDown, Float.random(in: limit - 3...limit, using: &random)) }
        #expect(wanted.count > 0 && (others != logits || limit < -7))
        for position in 0..<200 {
            #expect(sample(others, parameters, position: position) == sample(logits, parameters, position: position))
        }
    }

    @Test func topKAndTopPLimitWhatCanBeDrawn() {
        let logits: [Float] = [0, 1, 2, 3, 4]
        func drawn(_ parameters: SamplingParameters) -> Set<Int32> {
            Set((0..<2000).compactMap { sample(logits, parameters, position: $0) })
        }
        #expect(drawn(parameters { $0.topK = 2 }) == [3, 4])
        #expect(drawn(parameters { $0.topK = 1 }) == [4])
        // softmax: 0.012 0.032 0.086 0.234 0.636
        #expect(drawn(parameters { $0.topP = 0.6 }) == [4])
        #expect(drawn(parameters { $0.topP = 0.8 }) == [3, 4])
        #expect(drawn(parameters { $0.topP = 0.9 }) == [2, 3, 4])
        #expect(drawn(parameters { $0.topP = 1 }).count == 5)
        #expect(drawn(parameters { $0.minP = 0.1 }) == [2, 3, 4])
        #expect(drawn(parameters { $0.topK = 100 }).count == 5)
    }

    @Test func drawsFollowTheDistribution() {
        let logits: [Float] = [0, 1, 2]
        var counts = [0, 0, 0]
        for position in 0..<20000 {
            if let token = sample(logits, parameters { $0.seed = 3 }, position: position) { counts[Int(token)] += 1 }
        }
        let expected = [0.0900, 0.2447, 0.6652]
        for (count, share) in zip(counts, expected) { #expect(abs(Double(count) / 20000 - share) < 0.015) }
    }

    @Test func drawsDependOnSeedAndPositionOnly() {
        let logits = (0..<50).map { Float($0 % 7) }
        func run(_ seed: UInt64) -> [Int32?] {
            (0..<30).map { position in sample(logits, parameters { $0.seed = seed }, position: position) }
        }
        #expect(run(1) == run(1))
        #expect(run(1) != run(2))
    }

    /// A row as models give them: a few tokens stand out of many.
    private func row(_ count: Int, _ dice: inout Dice) -> [Float] {
        (0..<count).map { _ in
            let height = Float.random(in: 0...1, using: &dice)
            return height * height * height * 24 - 12
        }
    }

    private func choices(_ dice: inout Dice) -> SamplingParameters {
        parameters {
            $0.temperature = dice.pick([0.3, 0.7, 1, 2])!
            $0.topK = dice.pick([0, 1, 5, 40, 700])!
            $0.topP = dice.pick([1, 0.95, 0.5, 0.01])!
            $0.minP = dice.pick([0, 0.05])!
            $0.repetitionPenalty = dice.pick([1, 1.2])!
            $0.seed = dice.next()
        }
    }

    @Test func everyProcessorChoosesTheSameTokens() {
        var dice = Dice(5)
        let sets = [VLM_ISA_GENERIC, VLM_ISA_AVX2, VLM_ISA_AVX2 | VLM_ISA_AVX512, VLM_ISA_NEON].filter { vlm_cpu_features() & $0 == $0 }
        for round in 0..<300 {
            let logits = row(dice.pick([17, 1000, 20_011])!, &dice), parameters = choices(&dice)
            let tokens = Set(sets.map { sample(logits, parameters, seen: [1, 2, 3], position: round, isa: $0) })
            #expect(tokens.count == 1 && tokens != [nil], "round \(round)")
        }
    }

    /// The rules in their plainest form, on sorted tokens in f64.
    private func likely(_ logits: [Float], _ parameters: SamplingParameters) -> Set<Int32> {
        let top = logits.max()!
        var order = logits.indices.sorted { (logits[$1], $0) < (logits[$0], $1) }
        if parameters.topK > 0, parameters.topK < order.count {
            let least = logits[order[parameters.topK - 1]]
            order = order.filter { logits[$0] >= least }
        }
        let weights = order.map { Float(exp(Double((logits[$0] - top) / parameters.temperature))) }
        let share = Double(parameters.topP) * weights.reduce(0.0) { $0 + Double($1) }
        var (kept, sum): (Set<Int32>, Double) = ([], 0)
        for (token, weight) in zip(order, weights) where kept.isEmpty || sum < share {
            sum += Double(weight)
            if weight >= parameters.minP { kept.insert(Int32(token)) }
        }
        return kept
    }

    @Test func whatIsDrawnIsLikelyEnough() {
        var dice = Dice(9)
        for _ in 0..<40 {
            let logits = row(dice.pick([9, 300, 3000])!, &dice)
            var parameters = choices(&dice)
            parameters.repetitionPenalty = 1
            let allowed = likely(logits, parameters)
            let drawn = Set((0..<300).compactMap { sample(logits, parameters, position: $0) })
            #expect(drawn.isSubset(of: allowed))
            // Few enough that each has come.
            if allowed.count <= 2, parameters.minP == 0.05 { #expect(drawn == allowed) }
        }
    }

    @Test func equallyLikelyTokensComeInTheirOrder() {
        let logits = [Float](repeating: 1, count: 3000)
        let drawn = Set((0..<500).compactMap { sample(logits, parameters { $0.topP = 0.0009 }, position: $0) })
        #expect(drawn == [0, 1, 2])
    }

    @Test func aSamplerForgetsTheRowBefore() {
        var dice = Dice(3)
        let sampler = Sampler()
        for round in 0..<200 {
            var logits = row(dice.pick([30, 5000])!, &dice)
            let parameters = choices(&dice), fresh = sample(logits, parameters, position: round)
            let again = logits.withUnsafeMutableBufferPointer { sampler.sample($0, parameters, position: round) }
            #expect(again == fresh)
        }
    }
}
