import Budgets
import GuidedDecoding
import JSON
import Serving
import Testing

@Suite struct TokenPolicyTests {
    /// The logits of ten tokens, all `height` at first, behind `output`.
    private func logits(
        _ height: Float = 1, prompt: [Int32] = [], output: [Int32] = [], ends: [Int32] = [],
        _ change: (inout SamplingParameters, inout TokenRules) -> Void
    ) -> [Float] {
        var (sampling, rules) = (SamplingParameters(), TokenRules())
        change(&sampling, &rules)
        var policy = TokenPolicy(sampling, rules, ends: ends, prompt: prompt, maxTokens: 20, vocabularySize: 10)
        for token in output { policy.take(token) }
        #expect(policy.position == output.count)
        var logits = [Float](repeating: height, count: 10)
        logits.withUnsafeMutableBufferPointer { policy.apply(to: $0) }
        return logits
    }

    private func possible(_ logits: [Float]) -> [Int] { logits.indices.filter { logits[$0] > -.infinity } }

    @Test func penaltiesCountTheOutput() {
        let row = logits(prompt: [1, 1, 2], output: [3, 4, 3, 3]) { sampling, _ in
            (sampling.presencePenalty, sampling.frequencyPenalty) = (0.5, 0.25)
        }
        #expect(row == [1, 1, 1, 1 - 0.5 - 0.75, 1 - 0.5 - 0.25, 1, 1, 1, 1, 1])
        let negative = logits(output: [9]) { sampling, _ in sampling.presencePenalty = -2 }
        #expect(negative[9] == 3 && negative[8] == 1)
    }

    @Test func aRepetitionPenaltyCountsPromptAndOutputOnce() {
        for (height, penalized) in [(Float(1), Float(0.5)), (-1, -2)] {
            let row = logits(height, prompt: [1, 1], output: [2, 2]) { sampling, _ in sampling.repetitionPenalty = 2 }
            #expect(row == [height, penalized, penalized] + [Float](repeating: height, count: 7))
        }
    }

    @Test func penaltiesComeBehindBiases() {
        let row = logits(output: [4]) { sampling, rules in
            (sampling.repetitionPenalty, sampling.frequencyPenalty) = (2, 0.5)
            rules.biases = [TokenRules.Bias(token: 4, value: 3), TokenRules.Bias(token: 5, value: -100), TokenRules.Bias(token: 77, value: 1)]
        }
        #expect(row[4] == (1 + 3) / 2 - 0.5 && row[5] == -99)
    }

    @Test func onlyAllowedTokensAreLeft() {
        for allowed: [Int32] in [[0], [9], [0, 9], [2, 3, 7], Array(0..<10), [4, 50]] {
            let row = logits { sampling, rules in
                rules.allowed = allowed
                rules.biases = [TokenRules.Bias(token: 1, value: 100)]
            }
            #expect(possible(row) == allowed.filter { $0 < 10 }.map(Int.init))
        }
    }

    @Test func runsOfTokensDoNotCome() {
        func row(_ output: [Int32]) -> [Int] { possible(logits(output: output) { $1.barred = [[1], [2, 3], [2, 2, 4]] }) }
        #expect(row([]) == [0, 2, 3, 4, 5, 6, 7, 8, 9])
        #expect(row([2]) == [0, 2, 4, 5, 6, 7, 8, 9])
        #expect(row([5, 2, 2]) == [0, 2, 5, 6, 7, 8, 9])
        #expect(row([2, 5]) == row([]))
        // The prompt is not part of the output.
        #expect(possible(logits(prompt: [2]) { $1.barred = [[2, 3]] }).count == 10)
    }

    @Test func endsWaitForTheLeastLength() {
        func row(_ output: [Int32]) -> [Int] { possible(logits(output: output, ends: [7, 8]) { $1.minTokens = 2 }) }
        #expect(row([]) == [0, 1, 2, 3, 4, 5, 6, 9] && row([1]) == row([]) && row([1, 2]).count == 10)
    }

    @Test func saysWhichLogitsDecide() {
        func wanted(_ change: (inout SamplingParameters, inout TokenRules) -> Void) -> Int32 {
            var (sampling, rules) = (SamplingParameters(), TokenRules())
            sampling.temperature = 0
            change(&sampling, &rules)
            return TokenPolicy(sampling, rules, maxTokens: 9, vocabularySize: 10).wantedLogits().count
        }
        #expect(wanted { _, _ in } == 1)
        #expect(wanted { sampling, _ in sampling.presencePenalty = 1 } == 0 && wanted { sampling, _ in sampling.frequencyPenalty = 1 } == 0)
        #expect(wanted { $1.biases = [TokenRules.Bias(token: 1, value: 1)] } == 0 && wanted { $1.allowed = [1] } == 0)
        #expect(wanted { $1.barred = [[1]] } == 0 && wanted { $1.minTokens = 1 } == 0)
        var rules = TokenRules()
        rules.minTokens = 1
        var policy = TokenPolicy(SamplingParameters(), rules, ends: [1], maxTokens: 9, vocabularySize: 10)
        policy.take(2)
        #expect(policy.wantedLogits() == SamplingParameters().wantedLogits, "nothing is kept away any more")
    }

    @Test func rulesThatLeaveNothingAreKnown() {
        func leaves(_ change: (inout TokenRules) -> Void) -> Bool {
            var rules = TokenRules()
            change(&rules)
            return rules.leaveAToken(of: 3, ends: [2])
        }
        #expect(leaves { _ in } && leaves { $0.allowed = [2] } && leaves { $0.minTokens = 1 } && leaves { $0.barred = [[0], [1]] })
        #expect(leaves { ($0.allowed, $0.barred) = ([1], [[1, 1]]) })
        #expect(!leaves { ($0.allowed, $0.minTokens) = ([2], 1) } && !leaves { ($0.allowed, $0.barred) = ([1], [[1]]) })
        #expect(!leaves { ($0.barred, $0.minTokens) = ([[0], [1], [5]], 1) })
    }

    /// Tokens 0 to 7 spell letters, 8 ends the text, 9 spells nothing.
    @Test func aGuideLetsOnlyComeWhatLeadsOn() throws {
        let shelf = GuideShelf(vocabularySize: 10) { $0 < 8 ? [UInt8(97 + $0)] : nil }
        let guide = try shelf.guide(.regex("a(bc)?"))
        func row(_ output: [Int32], _ change: (inout TokenRules) -> Void = { _ in }) -> [Int] {
            possible(
                logits(output: output, ends: [8]) { _, rules in
                    rules.guide = guide
                    change(&rules)
                })
        }
        #expect(row([]) == [0] && row([0]) == [1, 8] && row([0, 1]) == [2] && row([0, 1, 2]) == [8])
        #expect(row([0]) { $0.minTokens = 2 } == [1] && row([0]) { $0.barred = [[1]] } == [8])
        #expect(row([0]) { $0.biases = [TokenRules.Bias(token: 3, value: 100)] } == [1, 8])
        // What was taken decides, not how often it is asked.
        var policy = TokenPolicy(SamplingParameters(), { var rules = TokenRules(); rules.guide = guide; return rules }(), ends: [8], maxTokens: 9, vocabularySize: 10)
        for token: Int32 in [0, 1, 2] {
            #expect(!policy.isComplete && policy.wantedLogits().count == 0)
            policy.take(token)
        }
        #expect(policy.isComplete)
        #expect(try shelf.guide(.regex("a(bc)?")) === guide && shelf.guide(.regex("a")) !== guide)
    }
    /// A guide whose request nobody waits for is not compiled, and one of late is there at once.
    @Test func guidesAreGivenUpWithTheirRequest() throws {
        let shelf = GuideShelf(vocabularySize: 4) { [UInt8(97 + $0)] }
        let members = JSONObject((0..<100).map { ("member\($0)", ["type": "integer"]) })
        let guide = Guide.schema(["type": "object", "properties": .object(members)])
        let budget = WorkBudget(cpuLimit: .seconds(600))
        budget.cancel()
        #expect(throws: GuideError.self) { try shelf.guide(guide, budget: budget) }
        #expect(!shelf.has(guide))
        let made = try shelf.guide(guide)
        #expect(shelf.has(guide) && !shelf.has(.object))
        #expect(try shelf.guide(guide, budget: budget) === made)
    }

    /// Several requests with one new guide, of which the first may give up.
    @Test func aGuideThatSeveralWaitForIsCompiledOnce() async throws {
        let shelf = GuideShelf(vocabularySize: 4) { [UInt8(97 + $0)] }
        let members = JSONObject((0..<100).map { ("member\($0)", ["type": "integer"]) })
        let guide = Guide.schema(["type": "object", "properties": .object(members)])
        let hurried = WorkBudget(cpuLimit: .seconds(600))
        let (made, refused) = await withTaskGroup(of: TokenGuide?.self) { group in
            group.addTask { try? shelf.guide(guide, budget: hurried) }
            for _ in 0..<3 { group.addTask { try? shelf.guide(guide) } }
            hurried.cancel()
            var guides: [TokenGuide?] = []
            for await guide in group { guides.append(guide) }
            return (guides.compactMap(\.self), guides.count { $0 == nil })
        }
        #expect(made.count + refused == 4 && refused <= 1)
        #expect(made.allSatisfy { $0 === made.first })
    }

    /// A word is barred as it stands and behind a space, however many tokens either has.
    @Test(arguments: [
        ([1], [2], [[1], [2]]), ([1, 2], [3], [[1, 2], [3]]), ([1, 2], [3, 2], [[1, 2], [3, 2]]), ([1, 2], [9, 1, 2], [[1, 2]]), ([1], [1], [[1]]), ([], [9], []), ([], [], []),
    ] as [([Int32], [Int32], [[Int32]])])
    func wordsAreBarredBehindSpacesToo(_ plain: [Int32], _ spaced: [Int32], _ runs: [[Int32]]) {
        #expect(InputPipeline.barred(plain, behindSpace: spaced) == runs)
    }
}
