/// A language of bytes; one that calls rules may be recursive.
indirect enum Expression: Sendable {
    case bytes(UInt8, UInt8)
    case sequence([Expression])
    /// Of none, the language without any text.
    case choice([Expression])
    case loop(Expression, min: Int, max: Int?)
    /// The language of a rule.
    case rule(Int)
    case automaton(Automaton)
    case network(Network)

    /// Places with languages between them; the first is where a text begins, the last where it ends.
    struct Network: Sendable {
        var placeCount: Int
        var links: [(from: Int, to: Int, text: Expression)] = []
    }

    static let empty = Expression.sequence([])
    static let never = Expression.choice([])

    static func text(_ text: String) -> Expression { .sequence(text.utf8.map { .bytes($0, $0) }) }

    static func optional(_ inner: Expression) -> Expression { .loop(inner, min: 0, max: 1) }

    static func any(of characters: String) -> Expression { .choice(characters.utf8.map { .bytes($0, $0) }) }

    /// The UTF-8 of one of these scalars.
    static func scalars(_ set: ScalarSet) -> Expression {
        .choice(set.ranges.flatMap { UTF8Ranges.sequences($0) }.map { .sequence($0.map { .bytes($0.low, $0.high) }) })
    }

    static let anyScalar = scalars(.all)
}

/// Unicode scalars, as ascending ranges that do not touch.
struct ScalarSet: Sendable, Equatable {
    private(set) var ranges: [ClosedRange<UInt32>] = []

    static let all = ScalarSet([0...0xD7FF, 0xE000...0x10FFFF])

    init(_ given: [ClosedRange<UInt32>]) {
        for range in given.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = ranges.last, range.lowerBound <= last.upperBound + 1 {
                ranges[ranges.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                ranges.append(range)
            }
        }
    }

    /// All other scalars.
    var inverted: ScalarSet {
        var rest: [ClosedRange<UInt32>] = []
        var next: UInt32 = 0
        for range in ranges {
            if range.lowerBound > next { rest.append(next...range.lowerBound - 1) }
            next = range.upperBound + 1
        }
        if next <= 0x10FFFF { rest.append(next...0x10FFFF) }
        return ScalarSet(rest).withoutSurrogates
    }

    var withoutSurrogates: ScalarSet {
        var rest: [ClosedRange<UInt32>] = []
        for range in ranges {
            if range.lowerBound < 0xD800 { rest.append(range.lowerBound...min(range.upperBound, 0xD7FF)) }
            if range.upperBound > 0xDFFF { rest.append(max(range.lowerBound, 0xE000)...range.upperBound) }
        }
        var set = ScalarSet([])
        set.ranges = rest
        return set
    }

    func union(_ other: ScalarSet) -> ScalarSet { ScalarSet(ranges + other.ranges) }
}

/// Ranges of scalars as runs of ranges of bytes.
enum UTF8Ranges {
    struct Bytes: Sendable {
        var low: UInt8
        var high: UInt8
    }

    /// Disjoint runs whose bytes spell exactly the scalars of `range`, which holds no surrogate.
    static func sequences(_ range: ClosedRange<UInt32>) -> [[Bytes]] {
        var result: [[Bytes]] = []
        for (first, last) in [(0, 0x7F), (0x80, 0x7FF), (0x800, 0xFFFF), (0x10000, 0x10FFFF)] as [(UInt32, UInt32)] {
            let (low, high) = (max(first, range.lowerBound), min(last, range.upperBound))
            if low <= high { split(low, high, into: &result) }
        }
        return result
    }

    /// Of scalars with equally many bytes.
    private static func split(_ low: UInt32, _ high: UInt32, into result: inout [[Bytes]]) {
        let (first, last) = (bytes(low), bytes(high))
        for tail in 1..<4 where tail < first.count {
            let mask = (UInt32(1) << (6 * UInt32(tail))) - 1
            guard low & ~mask != high & ~mask else { continue }
            if low & mask != 0 {
                split(low, low | mask, into: &result)
                return split((low | mask) + 1, high, into: &result)
            }
            if high & mask != mask {
                split(low, (high & ~mask) - 1, into: &result)
                return split(high & ~mask, high, into: &result)
            }
        }
        result.append(zip(first, last).map { Bytes(low: $0, high: $1) })
    }

    private static func bytes(_ scalar: UInt32) -> [UInt8] { Unicode.Scalar(scalar).map { Array(String(Character($0)).utf8) } ?? [] }
}
