import HTTPAPI
import Testing

@Suite struct BodyLedgerTests {
    private static let megabyte = 1 << 20
    private var ledger = BodyLedger(limit: MemoryLimit(bytes: 80 * megabyte))

    @Test mutating func bytesAreBoundedAndComeBack() {
        let first = ledger.open(peer: "a", at: .zero)
        let second = ledger.open(peer: "a", at: .zero)
        #expect(ledger.grow(first, by: 60 * Self.megabyte, at: .zero) == .granted(gaveWay: []))
        #expect(ledger.grow(second, by: 20 * Self.megabyte, at: .zero) == .refused)
        #expect(ledger.grow(second, by: 4 * Self.megabyte, at: .zero) == .granted(gaveWay: []))
        ledger.close(first)
        ledger.close(second)
        ledger.close(second)
        #expect(ledger.used == 0)
    }

    @Test mutating func theLargestSlowBodyGivesWay() {
        let small = ledger.open(peer: "a", at: .zero)
        let large = ledger.open(peer: "a", at: .zero)
        let fast = ledger.open(peer: "a", at: .zero)
        _ = ledger.grow(small, by: 10 * Self.megabyte, at: .zero)
        _ = ledger.grow(large, by: 30 * Self.megabyte, at: .zero)
        for tick in 0..<200 { _ = ledger.grow(fast, by: Self.megabyte / 10, at: .milliseconds(500 * tick)) }
        // A byte now and then is slow all the same.
        for tick in 0..<200 { _ = ledger.grow(large, by: 1, at: .milliseconds(500 * tick)) }
        let other = ledger.open(peer: "a", at: .seconds(100))
        #expect(ledger.grow(other, by: 20 * Self.megabyte, at: .seconds(100)) == .granted(gaveWay: [large]))
        #expect(ledger.grow(large, by: 1, at: .seconds(100)) == .refused)
        #expect(ledger.used <= 51 * Self.megabyte)
    }

    @Test mutating func theLargestSlowBodyDrivesNobodyOut() {
        let small = ledger.open(peer: "a", at: .zero)
        let large = ledger.open(peer: "b", at: .zero)
        _ = ledger.grow(small, by: 10 * Self.megabyte, at: .zero)
        _ = ledger.grow(large, by: 50 * Self.megabyte, at: .zero)
        #expect(ledger.grow(large, by: 15 * Self.megabyte, at: .seconds(10)) == .refused)
        #expect(ledger.grow(small, by: 15 * Self.megabyte, at: .seconds(10)) == .granted(gaveWay: [large]))
    }

    @Test mutating func nobodyGivesWayInVain() {
        let slow = ledger.open(peer: "a", at: .zero)
        let whole = ledger.open(peer: "a", at: .zero)
        _ = ledger.grow(slow, by: 10 * Self.megabyte, at: .zero)
        _ = ledger.grow(whole, by: 50 * Self.megabyte, at: .zero)
        ledger.complete(whole)
        let other = ledger.open(peer: "a", at: .seconds(100))
        #expect(ledger.grow(other, by: 30 * Self.megabyte, at: .seconds(100)) == .refused)
        #expect(ledger.used == 60 * Self.megabyte)
        #expect(ledger.grow(other, by: 15 * Self.megabyte, at: .seconds(100)) == .granted(gaveWay: [slow]))
    }

    @Test mutating func aPeerThatHoldsLessGetsRoomUntilSharesAreEqual() {
        for _ in 0..<7 { _ = ledger.grow(ledger.open(peer: "a", at: .zero), by: 10 * Self.megabyte, at: .zero) }
        var gaveWay = 0
        var granted = 0
        for _ in 0..<7 {
            let body = ledger.open(peer: "b", at: .zero)
            if case .granted(let losers) = ledger.grow(body, by: 10 * Self.megabyte, at: .zero) {
                granted += 1
                gaveWay += losers.count
            }
        }
        #expect(granted == 3 && gaveWay == 3)
        #expect(ledger.grow(ledger.open(peer: "a", at: .zero), by: 10 * Self.megabyte, at: .zero) == .refused)
    }

    @Test func peersAreAddressesAndNetworks() {
        #expect(peerName(of: "10.0.0.1") == "10.0.0.1")
        #expect(peerName(of: "::ffff:10.0.0.1") == "10.0.0.1" && peerName(of: "::ffff:10.0.0.2") == "10.0.0.2")
        #expect(peerName(of: "2001:db8::1") == peerName(of: "2001:db8::2"))
        #expect(peerName(of: "2001:db8::1") != peerName(of: "2001:db8:0:1::1"))
    }
}
