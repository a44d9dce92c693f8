import Serving
import Testing

@Suite struct FairQueueTests {
    @Test func peersTakeTurnsAndEachOnesOrderStays() {
        var queue = FairQueue<Int>()
        for element in 1...4 { queue.append(element, peer: "many") }
        queue.append(10, peer: "few")
        queue.append(20, peer: "other")
        queue.append(11, peer: "few")
        var order: [Int] = []
        while let element = queue.popFirst() { order.append(element) }
        #expect(order == [1, 10, 20, 2, 11, 3, 4])
    }

    @Test func whoLeavesIsTakenOutAlone() {
        var queue = FairQueue<Int>()
        queue.append(1, peer: "a")
        queue.append(2, peer: "b")
        #expect(queue.remove { $0 == 1 } == 1 && queue.remove { $0 == 7 } == nil)
        #expect(queue.first == 2 && queue.popFirst() == 2 && queue.isEmpty && queue.popFirst() == nil)
    }
}
