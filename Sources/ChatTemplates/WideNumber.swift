internal import Foundation
internal import JSON

/// Whole numbers beyond 64 bits: templates may print and compare them, but not calculate with them.
enum WideNumber {
    enum Order { case less, same, greater }

    /// How two numbers stand to each other, one of them at least beyond 64 bits; nil where one of them is no number.
    static func order(_ left: JinjaValue, _ right: JinjaValue) -> Order? {
        guard let a = digits(left), let b = digits(right) else { return nil }
        let isNegative = a.hasPrefix("-")
        guard isNegative == b.hasPrefix("-") else { return isNegative ? .less : .greater }
        let (low, high) = isNegative ? (b, a) : (a, b)
        let (lowCount, highCount) = (low.utf8.count, high.utf8.count)
        if lowCount != highCount { return lowCount < highCount ? .less : .greater }
        if low == high { return .same }
        return low.precedesExactly(high) ? .less : .greater
    }

    /// Every digit in front of the decimal point; infinity has more of them than any whole number that JSON holds.
    private static func digits(_ value: JinjaValue) -> String? {
        switch value {
        case .wide(let digits): digits
        case .float(let number): Self.digits(number)
        default: value.wholeNumber.map { String($0) }
        }
    }

    /// The digits of a decimal, rounded to a whole number; nil where it is no number.
    static func digits(_ number: Double) -> String? {
        if number.isNaN { return nil }
        if number.isInfinite { return (number < 0 ? "-" : "") + String(repeating: "9", count: 400) }
        return String(format: "%.0f", number)
    }
}

extension JinjaValue {
    /// Whether this is a whole number beyond 64 bits.
    var isWide: Bool {
        if case .wide = self { true } else { false }
    }

    /// Whether Python counts this as a number.
    var isNumber: Bool { isWide || number != nil }
}

extension TemplateEvaluator {
    /// Throws when a value is a whole number with which templates cannot calculate.
    func refuseWide(_ values: JinjaValue...) throws(ChatTemplateError) {
        if values.contains(where: \.isWide) { throw exceeded("a whole number grows beyond 64 bits") }
    }
}
