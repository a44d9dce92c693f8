import Foundation

/// One line of the table.
struct ParityRow {
    private(set) var text: String
    private(set) var passes: Bool
    /// Between the numbers; nil for integers.
    private var cosine: Double?

    /// Digests that must be the same.
    init(same name: String, _ found: String, _ expected: String) {
        passes = found == expected
        let title = name.padding(toLength: 16, withPad: " ", startingAt: 0)
        text = "\(title) -              -           equal      \(passes ? "ok, by digest" : "MISSED: another digest")"
    }

    /// Integers that must be the same.
    init(equal name: String, _ found: [Int32], _ expected: [Int32]) {
        let first = zip(found, expected).enumerated().first { $0.element.0 != $0.element.1 }
        passes = found == expected
        let title = name.padding(toLength: 16, withPad: " ", startingAt: 0)
        let verdict: String
        if passes {
            verdict = "ok, \(expected.count) equal"
        } else if let first {
            verdict = "MISSED: first at \(first.offset), \(first.element.0) instead of \(first.element.1)"
        } else {
            verdict = "MISSED: \(found.count) instead of \(expected.count)"
        }
        text = "\(title) -              -           equal      \(verdict)"
    }

    /// Numbers that must be near; `cosine` is the least that passes.
    init(close name: String, _ found: [Float], _ expected: [Float], within bar: Float = 1e-3, cosine least: Double? = 0.99999) {
        var (worst, place) = (Float(0), -1)
        var (dot, own, other) = (0.0, 0.0, 0.0)
        for (index, (a, b)) in zip(found, expected).enumerated() {
            let difference = abs(a - b)
            if !(difference <= bar), place < 0 { place = index }
            worst = difference.isNaN ? .infinity : max(worst, difference)
            dot += Double(a) * Double(b)
            own += Double(a) * Double(a)
            other += Double(b) * Double(b)
        }
        let cosine = own > 0 && other > 0 ? dot / (own * other).squareRoot() : 1
        self.cosine = found.count == expected.count ? cosine : nil
        passes = found.count == expected.count && worst <= bar && cosine >= (least ?? -1)
        let verdict =
            passes
            ? "ok, \(expected.count) values"
            : found.count != expected.count
                ? "MISSED: \(found.count) values instead of \(expected.count)"
                : "MISSED" + (place >= 0 ? ": first at element \(place)" : "")
        let title = name.padding(toLength: 16, withPad: " ", startingAt: 0)
        text = title + String(format: " %-14.3g %-11.7f %-10.0e ", Double(worst), cosine, Double(bar)) + verdict
    }
}

extension ParityRow {
    /// The row of layers that round what they read: a number between two steps goes either way, and all that follows with it, so that
    /// logits are told by their direction.
    var byDirection: ParityRow {
        guard !passes, text.hasPrefix("prefill logits") || text.hasPrefix("step logits"), let cosine, cosine >= 0.9995 else { return self }
        var row = self
        row.passes = true
        row.text = text.replacing(/MISSED.*/, with: "ok by direction: layers round what they read")
        return row
    }
}

extension Recording {
    /// Whether the recorded layers round what they read.
    var roundsInputs: Bool { floats("weight_only_step_logits") != nil }
}
