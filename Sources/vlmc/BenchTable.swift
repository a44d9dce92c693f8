import CommandLineSupport
import Foundation

/// All that was measured.
struct BenchReport: Encodable {
    var figures: [BenchFigure]
    var kernels: [KernelTime]?
}

/// Something measured, in the order of its values.
struct BenchFigure: Encodable {
    var name: String
    var unit: String
    var values: [Double]
    /// The best that the machine could do, in the same unit; nil where it was not measured.
    var floor: Double?

    var median: Double { values[values.count / 2] }
    /// The part of what is possible that was reached; rates grow, times shrink.
    var share: Double? { floor.map { unit == Self.rate ? median / $0 : $0 / median } }

    static let seconds = "s"
    static let rate = "tokens/s"
    /// Of a token, for each 1 000 tokens of context.
    static let growth = "ms"
}

/// Figures as people read them.
struct BenchTable {
    private let figures: [BenchFigure]
    private let heading: String

    init(_ figures: [BenchFigure], heading: String) {
        self.figures = figures
        self.heading = heading
    }

    var text: String {
        var table = TextTable(["", "median", "least … most", "", "possible", "share"].map { ($0, .left) })
        for figure in figures {
            table.add([
                figure.name, Self.number(figure.median),
                "\(Self.number(figure.values.first ?? 0)) … \(Self.number(figure.values.last ?? 0))", figure.unit,
                figure.floor.map(Self.number) ?? "", figure.share.map { String(format: "%.0f %%", 100 * $0) } ?? "",
            ])
        }
        return ([heading] + table.lines).joined(separator: "\n") + "\n"
    }

    private static func number(_ value: Double) -> String { String(format: value < 10 ? "%.3f" : "%.1f", value) }
}
