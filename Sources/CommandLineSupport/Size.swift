import ArgumentParser

/// A whole number of at least 0 with an optional suffix: k, M, G, T for powers of 1000, Ki, Mi, Gi, Ti for powers of 1024; a B behind it is
/// ignored. `1.5G` is one as well, since it is whole.
package struct Size: ExpressibleByArgument, Sendable, Equatable {
    package let value: Int
    /// As it was written.
    private let text: String

    package static let suffixes = "k, M, G, T or Ki, Mi, Gi, Ti"

    package init(_ value: Int) {
        self.value = value
        text = "\(value)"
    }

    package init?(argument: String) {
        var rest = argument[...]
        if rest.last == "B", rest.dropLast().last?.isLetter == true { rest.removeLast() }
        let isBinary = rest.last == "i"
        if isBinary { rest.removeLast() }
        // A large K is 1000 to some and 1024 to others.
        let power = rest.last.flatMap { letter in ["k": 1, "m": 2, "g": 3, "t": 4][letter == "K" && !isBinary ? "?" : letter.lowercased()] }
        guard power != nil || !isBinary else { return nil }
        if power != nil { rest.removeLast() }
        var factor = 1
        for _ in 0..<(power ?? 0) { factor *= isBinary ? 1024 : 1000 }
        guard let value = Self.product(rest, factor) else { return nil }
        self.value = value
        text = argument
    }

    /// Digits, with or without a point between them, times a factor and rounded down; nil where a point has no factor, or what comes is too large.
    private static func product(_ digits: Substring, _ factor: Int) -> Int? {
        let parts = digits.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count <= 2, parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }),
            let whole = Int(parts[0])
        else { return nil }
        let (product, overflow) = whole.multipliedReportingOverflow(by: factor)
        guard !overflow else { return nil }
        guard parts.count == 2 else { return product }
        guard factor > 1, parts[1].utf8.count <= 6, let fraction = Int(parts[1]) else { return nil }
        var scale = 1
        for _ in parts[1].utf8 { scale *= 10 }
        let (numerator, tooLarge) = fraction.multipliedReportingOverflow(by: factor)
        guard !tooLarge else { return nil }
        let (sum, isTooLarge) = product.addingReportingOverflow(numerator / scale)
        return isTooLarge ? nil : sum
    }

    package var defaultValueDescription: String { text }
}
