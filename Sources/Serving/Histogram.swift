/// Counts of observations up to each bound, as Prometheus defines a histogram.
package struct Histogram: Sendable {
    package let bounds: [Double]
    /// Observations in each interval, the last above all bounds.
    private var counts: [Int]
    package private(set) var sum = 0.0

    package init(_ bounds: [Double]) {
        self.bounds = bounds
        counts = Array(repeating: 0, count: bounds.count + 1)
    }

    package mutating func observe(_ value: Double) {
        counts[bounds.firstIndex { value <= $0 } ?? bounds.count] += 1
        sum += value
    }

    package var count: Int { counts.reduce(0, +) }

    /// Appends the samples; `labels` without braces, such as `a="b"`.
    func render(_ name: String, labels: String, into text: inout String) {
        var total = 0
        let comma = labels.isEmpty ? "" : ","
        for (index, count) in counts.enumerated() {
            total += count
            let bound = index < bounds.count ? Self.number(bounds[index]) : "+Inf"
            text += "\(name)_bucket{\(labels)\(comma)le=\"\(bound)\"} \(total)\n"
        }
        let braces = labels.isEmpty ? "" : "{\(labels)}"
        text += "\(name)_sum\(braces) \(Self.number(sum))\n\(name)_count\(braces) \(total)\n"
    }

    static func number(_ value: Double) -> String {
        value == value.rounded() && value.magnitude < 1e15 ? "\(Int(value)).0" : "\(value)"
    }

    static var latency: Histogram {
        Histogram([0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80])
    }

    static var duration: Histogram {
        Histogram([0.05, 0.1, 0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240])
    }

    static var few: Histogram { Histogram([1, 2, 5, 10, 20]) }

    static var size: Histogram {
        Histogram([1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000])
    }
}
