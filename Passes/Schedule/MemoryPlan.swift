/// Places values in one arena so that no two that live at the same time overlap.
///
/// Largest first, each at the lowest offset that is free for its whole life: within a few percent of the lower bound on
/// transformer graphs, and the same result for the same input.
package struct MemoryPlan: Sendable, Equatable {
    /// A value's life: the step that writes it, the last step that reads it, and its size at the largest batch.
    package struct Value: Sendable, Equatable {
        package var byteCount: Int
        package var first: Int
        package var last: Int

        package init(byteCount: Int, first: Int, last: Int) {
            self.byteCount = byteCount
            self.first = first
            self.last = last
        }
    }

    /// Offset of each value, in the order they were given.
    package private(set) var offsets: [Int]
    /// Bytes of the arena.
    package private(set) var peakBytes: Int
    /// Bytes if every value had memory of its own.
    package private(set) var unsharedBytes: Int

    /// Every offset is a multiple of this, so that vector loads are aligned.
    package static let alignment = 64

    package init(_ values: [Value]) {
        let sizes = values.map { Self.aligned($0.byteCount) }
        offsets = Array(repeating: 0, count: values.count)
        peakBytes = 0
        unsharedBytes = sizes.reduce(0, +)
        var placed: [Int] = []
        for index in values.indices.sorted(by: { (sizes[$0], values[$1].first, $1) > (sizes[$1], values[$0].first, $0) }) {
            let value = values[index]
            var offset = 0
            for other in placed where values[other].first <= value.last && value.first <= values[other].last {
                if offset + sizes[index] <= offsets[other] { break }
                offset = max(offset, offsets[other] + sizes[other])
            }
            offsets[index] = offset
            peakBytes = max(peakBytes, offset + sizes[index])
            let place = placed.firstIndex { offsets[$0] > offset } ?? placed.count
            placed.insert(index, at: place)
        }
    }

    private static func aligned(_ byteCount: Int) -> Int {
        (max(byteCount, 1) + alignment - 1) / alignment * alignment
    }
}
