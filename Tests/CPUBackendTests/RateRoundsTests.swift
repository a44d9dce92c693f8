import Compiler
import Testing

/// When rates count as measured.
@Suite struct RateRoundsTests {
    private static func measured(_ rounds: [Double]) -> (rounds: RateRounds, count: Int) {
        var result = RateRounds()
        var count = 0
        for rate in rounds where result.wantsMore {
            result.add(["a": rate, "steady": 5])
            count += 1
        }
        return (result, count)
    }

    @Test func twoRoundsThatAgreeSettleARate() {
        let (quiet, count) = Self.measured([200, 203, 190, 201, 1, 1])
        #expect(quiet.rates == ["a": 203, "steady": 5] && quiet.unsettled.isEmpty && count == 4)
    }

    @Test func oneGoodRoundAmongBadOnesIsNotEnough() {
        let (busy, count) = Self.measured([34, 60, 203, 34, 80, 34, 34, 190, 34])
        #expect(busy.rates["a"] == 203 && busy.unsettled.isEmpty && count == 8)
    }

    @Test func ratesThatDecideNothingAreNotWaitedFor() {
        var rounds = RateRounds(informative: ["all"])
        for rate in [50, 100, 80, 20.0] { rounds.add(["all": rate, "one": 7]) }
        #expect(!rounds.wantsMore && rounds.unsettled.isEmpty && rounds.rates["all"] == 100)
        #expect(rounds.spreads == ["all": 0.2, "one": 0])
    }

    @Test func whatNeverAgreesIsMarked() {
        let (busy, count) = Self.measured((1...100).map { (round: Int) -> Double in Double(10 * round * round) })
        #expect(busy.rates == ["a": 2560, "steady": 5] && busy.unsettled == ["a"] && count == 16)
    }
}
