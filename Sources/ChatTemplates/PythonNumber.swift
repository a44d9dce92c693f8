internal import Foundation

/// Numbers as Python prints and divides them.
enum PythonNumber {
    /// `repr` of a float: the shortest digits that read back the same.
    static func text(_ number: Double) -> String {
        if number.isNaN { return "nan" }
        if number.isInfinite { return number < 0 ? "-inf" : "inf" }
        let (digits, exponent) = shortestDigits(number.magnitude)
        let sign = number.sign == .minus ? "-" : ""
        if exponent < -4 || exponent >= 16 {
            let point = digits.count > 1 ? "." : ""
            let mark = exponent < 0 ? "e-" : "e+"
            let tail = abs(exponent) < 10 ? "0\(abs(exponent))" : "\(abs(exponent))"
            return "\(sign)\(digits.prefix(1))\(point)\(digits.dropFirst())\(mark)\(tail)"
        }
        if exponent < 0 { return sign + "0." + String(repeating: "0", count: -exponent - 1) + digits }
        let whole = digits.prefix(exponent + 1)
        let fraction = digits.dropFirst(exponent + 1)
        let zeros = String(repeating: "0", count: exponent + 1 - whole.count)
        return "\(sign)\(whole)\(zeros).\(fraction.isEmpty ? "0" : fraction)"
    }

    /// The significant digits without trailing zeros, and the power of ten of the first.
    private static func shortestDigits(_ number: Double) -> (String, Int) {
        if number == 0 { return ("0", 0) }
        let parts = number.description.split(separator: "e")
        var exponent = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
        let halves = parts[0].split(separator: ".", omittingEmptySubsequences: false)
        var digits = halves.joined()
        exponent += (halves.first?.count ?? 1) - 1
        let leadingZeros = digits.prefix { $0 == "0" }.count
        digits = String(digits.dropFirst(leadingZeros))
        exponent -= leadingZeros
        while digits.count > 1, digits.hasSuffix("0") { digits.removeLast() }
        return (digits, exponent)
    }

    /// Division that rounds towards minus infinity; nil on overflow or a zero divisor.
    static func floorDivided(_ a: Int, _ b: Int) -> Int? {
        guard b != 0 else { return nil }
        let (quotient, overflow) = a.dividedReportingOverflow(by: b)
        if overflow { return nil }
        return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient
    }

    /// The remainder with the sign of the divisor; nil for a zero divisor.
    static func modulo(_ a: Int, _ b: Int) -> Int? {
        guard b != 0 else { return nil }
        if b == -1 { return 0 }
        let remainder = a % b
        return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder
    }

    static func modulo(_ a: Double, _ b: Double) -> Double {
        let remainder = fmod(a, b)
        if remainder == 0 { return b < 0 ? -0.0 : 0.0 }
        return (remainder < 0) != (b < 0) ? remainder + b : remainder
    }

    /// Whole power; nil on overflow.
    static func power(_ base: Int, _ exponent: Int) -> Int? {
        if base == 1 || exponent == 0 { return 1 }
        if base == 0 { return 0 }
        if base == -1 { return exponent.isMultiple(of: 2) ? 1 : -1 }
        var result = 1
        for _ in 0..<exponent {
            let (product, overflow) = result.multipliedReportingOverflow(by: base)
            if overflow { return nil }
            result = product
        }
        return result
    }

    static func power(_ base: Double, _ exponent: Double) -> Double { pow(base, exponent) }

    /// With a fixed count of decimals, or in C's `e` or `g` notation; at most 200 decimals.
    static func formatted(_ number: Double, _ conversion: Character, precision: Int) -> String {
        if !number.isFinite { return text(number) }
        return String(format: "%.\(max(0, min(precision, 200)))\(conversion)", number)
    }

    /// Rounded to a multiple of ten to the power of `-places`, halves to even; the number itself when that overflows.
    static func rounded(_ number: Int, places: Int) -> Int {
        guard places < 0 else { return number }
        guard places > -19, let unit = power(10, -places), let remainder = modulo(number, unit) else { return 0 }
        let (down, underflow) = number.subtractingReportingOverflow(remainder)
        let isUp = remainder > unit / 2 || (remainder == unit / 2 && !(down / unit).isMultiple(of: 2))
        let (up, overflow) = down.addingReportingOverflow(isUp ? unit : 0)
        return underflow || overflow ? number : up
    }

    /// A power of ten scaled rounding, halves to even as Python's `round` of the exact value.
    static func rounded(_ number: Double, places: Int) -> Double {
        if places >= 0 { return Double(formatted(number, "f", precision: min(places, 200))) ?? number }
        let scale = pow(10, Double(min(-places, 400)))
        return (number / scale).rounded(.toNearestOrEven) * scale
    }
}
