/// The tokens of a prompt that stand for one image: ranges in order and apart, none of them empty.
package struct TokenRanges: Sendable, Hashable {
    package let ranges: [Range<Int>]
    /// Tokens of all ranges.
    package let count: Int

    /// Empty ranges are left out.
    package init(_ ranges: [Range<Int>]) {
        self.ranges = ranges.filter { !$0.isEmpty }
        count = ranges.reduce(0) { $0 + $1.count }
    }

    /// The index behind the last token; 0 without one.
    package var upperBound: Int { ranges.last?.upperBound ?? 0 }

    package func contains(_ token: Int) -> Bool { ranges.contains { $0.contains(token) } }

    package func overlaps(_ range: Range<Int>) -> Bool { ranges.contains { $0.overlaps(range) } }

    /// The tokens of those numbers among the image's.
    package func part(_ numbers: Range<Int>) -> TokenRanges {
        var before = 0
        return TokenRanges(
            ranges.map { own in
                defer { before += own.count }
                let kept = (before..<before + own.count).clamped(to: numbers)
                return own.lowerBound + kept.lowerBound - before..<own.lowerBound + kept.upperBound - before
            })
    }

    /// What of the ranges lies in `range`, each part with the number of the image's tokens before it.
    package func parts(in range: Range<Int>) -> [(tokens: Range<Int>, first: Int)] {
        var parts: [(tokens: Range<Int>, first: Int)] = []
        var before = 0
        for own in ranges {
            let part = own.clamped(to: range)
            if !part.isEmpty { parts.append((part, before + part.lowerBound - own.lowerBound)) }
            before += own.count
        }
        return parts
    }
}
