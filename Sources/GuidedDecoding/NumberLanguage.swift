internal import JSON

/// A decimal number without exponent: sign, digits before and digits behind the point.
struct Decimal: Sendable, Equatable {
    var isNegative = false
    /// Without zeros at the beginning; of zero none.
    var whole: [UInt8] = []
    /// Without zeros at the end.
    var fraction: [UInt8] = []

    var isZero: Bool { whole.isEmpty && fraction.isEmpty }

    /// Nil for what is no number or has more digits than numbers may have.
    init?(_ value: JSONValue) {
        let text: String
        switch value {
        case .int(let number): text = "\(number)"
        case .wide(let digits): text = digits
        case .double(let number) where number.isFinite: text = "\(number)"
        default: return nil
        }
        var rest = Substring(text.lowercased())
        if rest.first == "-" { (isNegative, rest) = (true, rest.dropFirst()) }
        let parts = rest.split(separator: "e")
        let mantissa = parts[0].split(separator: ".", omittingEmptySubsequences: false)
        var (before, behind) = (mantissa[0].utf8.map { $0 - 48 }, mantissa.count > 1 ? mantissa[1].utf8.map { $0 - 48 } : [])
        let exponent = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
        guard abs(exponent) <= 40 else { return nil }
        for _ in 0..<max(exponent, 0) { before.append(behind.isEmpty ? 0 : behind.removeFirst()) }
        for _ in 0..<max(-exponent, 0) { behind.insert(before.popLast() ?? 0, at: 0) }
        whole = Array(before.drop { $0 == 0 })
        while behind.last == 0 { behind.removeLast() }
        fraction = behind
        guard whole.count <= NumberLanguage.maxDigits, fraction.count <= NumberLanguage.maxDigits else { return nil }
        if isZero { isNegative = false }
    }
}

/// Which numbers a schema lets come.
struct NumberLanguage {
    struct Bound: Sendable {
        var value: Decimal
        var isExclusive: Bool
    }

    var isInteger = false
    var lows: [Bound] = []
    var highs: [Bound] = []
    var multiples: [Decimal] = []

    /// The bounds of OpenAPI's formats of whole numbers; nil for others.
    static func bounds(of format: String) -> (low: Bound, high: Bound)? {
        let isSigned = format.hasPrefix("int")
        guard isSigned || format.hasPrefix("uint"), let width = Int(format.dropFirst(isSigned ? 3 : 4)), [8, 16, 32, 64].contains(width) else { return nil }
        let high: JSONValue = isSigned ? .int(Int.max >> (64 - width)) : width == 64 ? .wide("\(UInt64.max)") : .int(1 << width - 1)
        guard let least = Decimal(.int(isSigned ? Int.min >> (64 - width) : 0)), let most = Decimal(high) else { return nil }
        return (Bound(value: least, isExclusive: false), Bound(value: most, isExclusive: false))
    }

    /// Most digits before the point, and behind it, so that no number goes on for ever.
    static let maxDigits = 20

    private static let digit = Expression.bytes(0x30, 0x39)
    private static let whole = Expression.choice([.text("0"), .sequence([.bytes(0x31, 0x39), .loop(digit, min: 0, max: maxDigits - 1)])])
    private static let fraction = Expression.optional(.sequence([.text("."), .loop(digit, min: 1, max: maxDigits)]))
    private static let exponent = Expression.optional(.sequence([.any(of: "eE"), .optional(.any(of: "+-")), .loop(digit, min: 1, max: 2)]))
    private static let sign = Expression.optional(.text("-"))

    func expression(_ effort: Effort) throws(GuideError) -> Expression {
        guard !lows.isEmpty || !highs.isEmpty || !multiples.isEmpty else {
            return .sequence([Self.sign, Self.whole] + (isInteger ? [] : [Self.fraction, Self.exponent]))
        }
        var plain = try AutomatonBuilder.automaton(.sequence([Self.whole] + (isInteger ? [] : [Self.fraction])), effort)
        for multiple in multiples { plain = try plain.intersection(try Self.multiples(of: multiple), effort) }
        let positive = try restricted(plain, conditions(isNegative: false), effort)
        let negative = try restricted(plain, conditions(isNegative: true), effort)
        return .choice([.automaton(positive), .sequence([.text("-"), .automaton(negative)])])
    }

    /// What a number without its sign is compared with: orders are −1, 0 and 1 for less, equal and greater.
    private struct Condition {
        var value: Decimal
        var orders: Set<Int>
    }

    private func restricted(_ plain: Automaton, _ conditions: [Condition], _ effort: Effort) throws(GuideError) -> Automaton {
        var result = plain
        for condition in conditions { result = try result.intersection(Self.compared(condition), effort) }
        return result
    }

    private func conditions(isNegative: Bool) -> [Condition] {
        func side(_ bounds: [Bound], beyond: Int) -> [Condition] {
            bounds.compactMap { bound in
                let equal: Set<Int> = bound.isExclusive ? [] : [0]
                if bound.value.isZero {
                    // A negative zero is zero; where zero is the least, it is written without its sign.
                    let isBeyond = (beyond > 0) != isNegative
                    return Condition(value: bound.value, orders: isBeyond ? equal.union([1]) : isNegative ? [] : equal)
                }
                guard bound.value.isNegative == isNegative else {
                    let isFree = (beyond > 0) == bound.value.isNegative
                    return isFree ? nil : Condition(value: bound.value, orders: [])
                }
                return Condition(value: bound.value, orders: equal.union([isNegative ? -beyond : beyond]))
            }
        }
        return side(lows, beyond: 1) + side(highs, beyond: -1)
    }

    /// Numbers without a sign that compare so with a value.
    private static func compared(_ condition: Condition) -> Automaton {
        var result = Automaton()
        var numbers: [Progress: Int32] = [Progress(): 0]
        var work = [Progress()]
        func link(_ next: Progress?, _ byte: UInt8, _ from: Int32) {
            guard let next else { return }
            var target = numbers[next]
            if target == nil {
                target = Int32(result.states.count)
                numbers[next] = target
                result.states.append(Automaton.State())
                work.append(next)
            }
            result.states[Int(from)].edges.append(Automaton.Edge(low: byte, high: byte, target: target ?? 0))
        }
        while let place = work.popLast() {
            let number = numbers[place] ?? 0
            result.states[Int(number)].accepts = place.order(condition.value).map { condition.orders.contains($0) } ?? false
            for byte: UInt8 in 0x30...0x39 { link(place.behind(byte - 0x30, condition.value), byte, number) }
            link(place.behindPoint(condition.value), 0x2E, number)
        }
        return result.trimmed()
    }

    /// How the digits so far compare with a value's.
    private struct Progress: Hashable {
        /// Digits of the part, before the point or behind it.
        var digits = 0
        var isBehindPoint = false
        var order = 0

        /// How the number compares if it ends here; nil where it cannot.
        func order(_ value: Decimal) -> Int? {
            guard digits > 0 else { return nil }
            guard isBehindPoint else {
                let order = wholeOrder(value)
                return order == 0 && !value.fraction.isEmpty ? -1 : order
            }
            return order == 0 && digits < value.fraction.count ? -1 : order
        }

        private func wholeOrder(_ value: Decimal) -> Int {
            let count = max(value.whole.count, 1)
            return digits < count ? -1 : digits > count ? 1 : order
        }

        func behind(_ digit: UInt8, _ value: Decimal) -> Progress? {
            guard digits < NumberLanguage.maxDigits else { return nil }
            var next = self
            next.digits += 1
            let others = isBehindPoint ? value.fraction : value.whole.isEmpty ? [0] : value.whole
            let other = digits < others.count ? others[digits] : 0
            if order == 0, isBehindPoint || digits < others.count { next.order = digit < other ? -1 : digit > other ? 1 : 0 }
            return next
        }

        func behindPoint(_ value: Decimal) -> Progress? {
            digits > 0 && !isBehindPoint ? Progress(digits: 0, isBehindPoint: true, order: wholeOrder(value)) : nil
        }
    }

    /// Most remainders that are told apart.
    private static let maxDivisor = 4096

    /// Multiples, without a sign, of a positive number.
    private static func multiples(of value: Decimal) throws(GuideError) -> Automaton {
        let places = value.fraction.count
        let divisor = (value.whole + value.fraction).reduce(0) { min($0 * 10 + Int($1), 1 << 40) }
        guard !value.isNegative, divisor > 0 else { throw GuideError("multipleOf must be above 0") }
        guard divisor <= maxDivisor, places <= 9 else { throw GuideError("multipleOf has too many digits: at most \(maxDivisor), or nine behind the point") }
        // State: whole part or so many digits behind the point, by remainder.
        var result = Automaton()
        result.states = Array(repeating: Automaton.State(), count: (places + 2) * divisor)
        func number(_ part: Int, _ remainder: Int) -> Int32 { Int32(part * divisor + remainder) }
        for part in 0..<places + 2 {
            let digits = max(part - 1, 0)
            let scale = (digits..<places).reduce(1) { scale, _ in scale * 10 % divisor }
            for remainder in 0..<divisor {
                let state = Int(number(part, remainder))
                result.states[state].accepts = part != 1 && remainder * scale % divisor == 0
                guard part == 0 || digits < places else { continue }
                for digit in 0..<10 {
                    let target = number(part == 0 ? 0 : part + 1, (remainder * 10 + digit) % divisor)
                    result.states[state].edges.append(Automaton.Edge(low: UInt8(48 + digit), high: UInt8(48 + digit), target: target))
                }
                if part == 0, places > 0 { result.states[state].edges.append(Automaton.Edge(low: 0x2E, high: 0x2E, target: number(1, remainder))) }
            }
        }
        return result
    }
}
