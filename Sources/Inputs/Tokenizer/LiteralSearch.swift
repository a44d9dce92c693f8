/// Finds a text in others in time proportional to both (Knuth, Morris and Pratt).
struct LiteralSearch: Sendable {
    private let pattern: [UInt8]
    /// For each length of a beginning of the pattern: the longest shorter beginning that is also its end.
    private let borders: [Int]

    /// - Parameter pattern: not empty, or nothing is found.
    init(_ pattern: some Sequence<UInt8>) {
        let pattern = Array(pattern)
        var borders = [0]
        borders.reserveCapacity(pattern.count + 1)
        var border = 0
        for (index, byte) in pattern.enumerated() {
            if index > 0 {
                while border > 0, pattern[border] != byte { border = borders[border] }
                if pattern[border] == byte { border += 1 }
            }
            borders.append(border)
        }
        self.pattern = pattern
        self.borders = borders
    }

    /// The places of the pattern in `bytes[range]`, left to right, not overlapping.
    func matches(in bytes: [UInt8], _ range: Range<Int>) -> [Range<Int>] {
        guard let first = pattern.first else { return [] }
        var found: [Range<Int>] = []
        var matched = 0
        for index in range {
            let byte = bytes[index]
            if matched == 0, byte != first { continue }
            while matched > 0, pattern[matched] != byte { matched = borders[matched] }
            if pattern[matched] == byte { matched += 1 }
            if matched == pattern.count {
                found.append(index + 1 - matched..<index + 1)
                matched = 0
            }
        }
        return found
    }

    /// The text with `content` in every place of the pattern.
    func replacing(in bytes: [UInt8], with content: [UInt8]) -> [UInt8] {
        bytes.replacing(matches(in: bytes, 0..<bytes.count), with: content)
    }
}

extension [UInt8] {
    /// The bytes with `content` in place of each of the ranges, which ascend and do not overlap.
    func replacing(_ ranges: [Range<Int>], with content: [UInt8]) -> [UInt8] {
        if ranges.isEmpty { return self }
        var output: [UInt8] = []
        output.reserveCapacity(count - ranges.reduce(0) { $0 + $1.count } + ranges.count * content.count)
        var position = 0
        for range in ranges {
            output += self[position..<range.lowerBound]
            output += content
            position = range.upperBound
        }
        output += self[position...]
        return output
    }
}
