import Serving
import Testing

@Suite struct SamplerTests {
    private func sample(
        _ logits: [Float], _ parameters: SamplingParameters, seen: [Int32] = [], position: Int = 0
    ) -> Int32? {
        var sampler = Sampler()
        var logits = logits
        var set = SeenTokens(vocabularySize: logits.count)
        for token in seen { set.insert(token) }
        return logits.withUnsafeMutableBufferPointer {
            sampler.sample($0, parameters, seen: set, position: position)
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
}
