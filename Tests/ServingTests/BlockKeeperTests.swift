import Seeded
import Serving
import Testing

/// Which blocks of a folder go first.
@Suite struct BlockKeeperTests {
    private func name(_ key: Int, kind: Int32 = 0) -> BlockKeeper.Name { BlockKeeper.Name(kind: kind, key: digest(key)) }
    private func digest(_ key: Int) -> ContentDigest { ContentDigest { $0.update(key) } }

    /// A chain of blocks, each of ten bytes.
    private func insert(_ keys: [Int], into keeper: inout BlockKeeper) {
        for (place, key) in keys.enumerated() { keeper.insert(name(key), behind: place == 0 ? nil : digest(keys[place - 1]), bytes: 10) }
    }

    @Test func theEndOfTheChainThatWasUsedLeastGoesFirst() {
        var keeper = BlockKeeper(bytesMax: 60)
        insert([1, 2, 3], into: &keeper)
        insert([4, 5, 6], into: &keeper)
        #expect(keeper.byteCount == 60 && keeper.count == 6)
        // The first block alone is of no use to those behind it.
        keeper.use(name(1))
        #expect(keeper.makeRoom(for: 20).gone.map(\.name) == [name(3), name(2)])
        keeper.use(name(6))
        #expect(keeper.makeRoom(for: 30).gone.map(\.name) == [name(1)])
        #expect(keeper.makeRoom(for: 60).gone.map(\.name) == [name(6), name(5), name(4)])
        #expect(keeper.count == 0 && keeper.byteCount == 0 && keeper.violation == nil)
        #expect(!keeper.makeRoom(for: 61).isEnough)
    }

    @Test func theBlockBeforeANewOneStays() {
        var keeper = BlockKeeper(bytesMax: 20)
        insert([1], into: &keeper)
        insert([2], into: &keeper)
        #expect(keeper.makeRoom(for: 10, behind: name(1)).gone.map(\.name) == [name(2)])
        keeper.insert(name(3), behind: digest(1), bytes: 10)
        #expect(keeper.parent(of: name(3)) == digest(1) && keeper.holds(name(1)))
        // What leads to it is not given up for it.
        let room = keeper.makeRoom(for: 10, behind: name(3))
        #expect(!room.isEnough && room.gone.isEmpty && keeper.holds(name(3)))
        #expect(keeper.makeRoom(for: 10).gone.map(\.name) == [name(3)])
    }

    @Test func blocksOfOtherKindsGoByTheSameRule() {
        var keeper = BlockKeeper(bytesMax: 30, countMax: 2)
        keeper.insert(name(1, kind: 1), behind: nil, bytes: 10)
        keeper.insert(name(1), behind: nil, bytes: 10)
        #expect(keeper.makeRoom(for: 10).gone.map(\.name) == [name(1, kind: 1)], "there may be two")
        #expect(keeper.holds(name(1)) && !keeper.use(name(7)))
        keeper.use(name(1))
        #expect(keeper.takeUsedUnseen().map(\.name) == [name(1)])
        keeper.use(name(1), isSeen: true)
        #expect(keeper.takeUsedUnseen().isEmpty)
    }

    /// Keys that lead to each other in a ring, as only a forger makes them.
    @Test func aRingIsNotStuckIn() {
        var keeper = BlockKeeper(bytesMax: 20)
        keeper.insert(name(1), behind: digest(2), bytes: 10)
        keeper.insert(name(2), behind: digest(1), bytes: 10)
        #expect(keeper.makeRoom(for: 20).gone.count == 2)
    }

    /// Beside a list that is searched from its beginning each time.
    @Test func doesWhatASlowOneDoes() {
        for seed in 0..<300 as Range<UInt64> {
            var dice = Dice(seed)
            let most = 10 * (1 + dice.below(12))
            var keeper = BlockKeeper(bytesMax: most)
            var list: [(key: Int, parent: Int?)] = []
            for _ in 0..<120 {
                let key = 1 + dice.below(30)
                switch dice.below(4) {
                case 0:
                    keeper.use(name(key))
                    if let place = list.firstIndex(where: { $0.key == key }) { list.append(list.remove(at: place)) }
                case 1 where dice.once(in: 3):
                    keeper.remove(name(key))
                    list.removeAll { $0.key == key }
                default:
                    guard !list.contains(where: { $0.key == key }) else { continue }
                    // The key of a block says which one is before it.
                    let parent = key % 5 == 1 ? nil : key - 1
                    if let parent, let place = list.firstIndex(where: { $0.key == parent }) { list.append(list.remove(at: place)) }
                    var gone: [Int] = []
                    while 10 * (list.count + 1) > most,
                        let place = list.firstIndex(where: { one in !list.contains { $0.parent == one.key } }), list[place].key != parent {
                        gone.append(list.remove(at: place).key)
                    }
                    let found = keeper.makeRoom(for: 10, behind: parent.map { name($0) })
                    let isEnough = 10 * (list.count + 1) <= most
                    #expect(found.gone.map(\.name) == gone.map { name($0) } && found.isEnough == isEnough, "seed \(seed)")
                    guard isEnough else { continue }
                    keeper.insert(name(key), behind: parent.map(digest), bytes: 10)
                    list.append((key, parent))
                }
                #expect(keeper.violation == nil && keeper.count == list.count && keeper.byteCount <= most)
            }
        }
    }
}
