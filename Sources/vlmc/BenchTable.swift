import CommandLineSupport
import Compiler
import Foundation
import Plan

/// All that was measured.
struct BenchReport: Encodable {
    /// The most that the threads can do in a nanosecond, of one kind.
    struct Peak: Encodable {
        var arithmetic: Arithmetic
        var gigaOperations: Double
    }

    var heading: String
    var figures: [BenchFigure]
    var kernels: [KernelTime]?
    var layers: [LayerTime]?
    /// As they were beside the figures, in the median.
    var peaks: [Peak]
    var memory: Double?

    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    /// A page that loads nothing and draws the report in the browser.
    func page() throws -> String {
        // Nothing in it ends the script that it stands in, or begins another.
        let data = try json().replacing("<", with: "\\u003c")
        return String(decoding: PackageResources.bench_html, as: UTF8.self).replacing("REPORT", with: data, maxReplacements: 1)
    }
}

/// Something measured once.
struct BenchSample {
    var name: String
    var unit: String
    var value: Double
    /// The best that a machine could do, in the same unit; nil where its rates do not tell.
    var floor: (SpeedFloors) -> Double? = { _ in nil }
}

/// Something measured in each round, with the best that the machine could do in the same minute.
struct BenchFigure: Encodable {
    let name: String
    let unit: String
    private(set) var values: [Double] = []
    /// In the same unit and order; nil where it is not known.
    private(set) var floors: [Double?] = []

    init(_ sample: BenchSample) { (name, unit) = (sample.name, sample.unit) }

    mutating func add(_ sample: BenchSample, on machine: SpeedFloors) {
        values.append(sample.value)
        floors.append(sample.floor(machine))
    }

    var median: Double { Self.median(values) ?? 0 }
    var floor: Double? { Self.median(floors.compactMap(\.self)) }
    /// The part of what was possible that was reached, in the median; rates grow, times shrink.
    var share: Double? {
        Self.median(zip(values, floors).compactMap { value, floor in floor.map { unit == Self.rate ? value / $0 : $0 / value } })
    }

    static let seconds = "s"
    static let rate = "tokens/s"
    static let bandwidth = "GB/s"
    /// Of a token, for each 1 000 tokens of context.
    static let growth = "ms"

    private static func median(_ values: [Double]) -> Double? { values.isEmpty ? nil : values.sorted()[values.count / 2] }

    private enum Key: CodingKey { case name, unit, values, floors, share }

    func encode(to encoder: any Encoder) throws {
        var figure = encoder.container(keyedBy: Key.self)
        try figure.encode(name, forKey: .name)
        try figure.encode(unit, forKey: .unit)
        try figure.encode(values, forKey: .values)
        try figure.encode(floors, forKey: .floors)
        try figure.encodeIfPresent(share, forKey: .share)
    }
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
                "\(Self.number(figure.values.min() ?? 0)) … \(Self.number(figure.values.max() ?? 0))", figure.unit,
                figure.floor.map(Self.number) ?? "", figure.share.map { String(format: "%.0f %%", 100 * $0) } ?? "",
            ])
        }
        return ([heading] + table.lines).joined(separator: "\n") + "\n"
    }

    private static func number(_ value: Double) -> String { String(format: value < 10 ? "%.3f" : "%.1f", value) }
}
