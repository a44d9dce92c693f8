import Testing

/// Whatever clients do, each ends once, nothing of theirs stays behind, and nobody waits without bound.
@Suite struct ClientSimulationTests {
    static let settings: [ClientSimulation.Setting] = (1...24).map { (seed: UInt64) in
        var setting = ClientSimulation.Setting(seed: seed)
        setting.cachesPrefixes = seed % 3 != 0
        setting.blockCount = [24, 12, 64][Int(seed) % 3]
        setting.maxSequences = [4, 1, 8, 3][Int(seed) % 4]
        setting.maxBatchedTokens = [32, 8, 64][Int(seed / 3) % 3]
        setting.pause = [3, 0, 12][Int(seed / 2) % 3]
        return setting
    }

    @Test(arguments: settings) func everyRequestEndsOnceAndLeavesNothing(setting: ClientSimulation.Setting) {
        let result = ClientSimulation.run(setting)
        #expect(result.faults == [])
        #expect(result == ClientSimulation.run(setting), "the same seed gives another run")
    }

    @Test func everyWayToEndIsTaken() {
        let results = Self.settings.map(ClientSimulation.run)
        let ends = Set(results.flatMap(\.ends).joined())
        #expect(ends == [.answered, .refused, .left, .late])
        #expect(results.contains { $0.preemptions > 0 })
        #expect(Set(results.map(\.trace)).count == results.count)
    }
}
