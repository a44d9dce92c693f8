import Foundation
import IR
import Passes
import Plan
import Reference
import Seeded
import Tensors
import Testing

/// A file of cases for one pass: what it finds, what it makes of it, and what it leaves with the reason.
///
///     // === title of the case
///     (module)
///     // --- after
///     (module, then rewrites and misses as comments)
struct PassFixture: CustomTestStringConvertible {
    struct Case {
        var title: String
        var before: String
        var after: String
    }

    /// Such as `fusion/fuse-rms-norm`.
    let name: String
    private let file: URL

    static let directory = URL(filePath: TracedModel.repository).appending(path: "Passes/Fixtures")
    static let all: [PassFixture] = {
        let paths = FileManager.default.enumerator(atPath: directory.path)?.compactMap { $0 as? String } ?? []
        return paths.filter { $0.hasSuffix(".vir") }.sorted().map {
            PassFixture(name: String($0.dropLast(4)), file: directory.appending(path: $0))
        }
    }()
    static let blesses = ProcessInfo.processInfo.environment["VLM_BLESS"] == "1"

    var testDescription: String { name }
    var pass: String { name.split(separator: "/").last.map(String.init) ?? name }

    func cases() throws -> [Case] {
        let text = try String(contentsOf: file, encoding: .utf8)
        return text.components(separatedBy: "// === ").dropFirst().map { part in
            let (title, rest) = Self.cut(part, at: "\n")
            let (before, after) = Self.cut(rest, at: "// --- after\n")
            return Case(title: title, before: Self.trimmed(before), after: Self.trimmed(after))
        }
    }

    func write(_ cases: [Case]) throws {
        let parts = cases.map { "// === \($0.title)\n\($0.before)// --- after\n\($0.after)" }
        try parts.joined(separator: "\n").write(to: file, atomically: true, encoding: .utf8)
    }

    private static func trimmed(_ text: String) -> String { text.trimmingCharacters(in: .newlines) + "\n" }

    private static func cut(_ text: String, at separator: String) -> (String, String) {
        guard let range = text.range(of: separator) else { return (text, "") }
        return (String(text[..<range.lowerBound]), String(text[range.upperBound...]))
    }
}

extension PassFixture.Case {
    /// The pass with this name under the flags that the title ends with: `· exact`, `· blas` (exact too), `· bf16`, `· int16`, `· int8`, `· int4`, `· int8-vision`.
    func pass(_ name: String) -> Pass? {
        let hasBF16 = title.hasSuffix("· bf16"), hasCodes = title.hasSuffix("· int16"), hasBLAS = title.hasSuffix("· blas"), isExact = hasBLAS || title.hasSuffix("· exact"), rounding = LayerRounding.allCases.first { title.hasSuffix("· \($0.rawValue)") }
        var policy = KernelPolicy(
            isExact: isExact, features: rounding != nil ? [.avx2] : hasCodes ? [.avx2, .fma] : hasBF16 ? [.avx512f, .avx512bf16] : [],
            arithmetic: hasBLAS ? .blas : hasCodes ? .int16 : hasBF16 ? .bf16 : .f32)
        policy.screenedBytes = 64
        policy.rounding = rounding
        return pipeline(gears: [1, 4], policy: policy) { recipe, _ in
            recipe.nodes.contains { $0.op(as: Weight.self)?.name == "rough" } ? 0.0425 : 0.0091
        }.pass(named: name)
    }

    /// What the pass makes of the case, as text, and the modules on both sides; nil after a failure.
    func run(_ pass: Pass) throws -> (text: String, modules: (before: Module, after: Module)?) {
        let before = try Parser.parse(self.before)
        var after = before
        do throws(PassError) {
            let report = try PassPipeline([pass]).run(on: &after, options: .init(verifies: true))[0]
            return (Printer.print(after) + Self.remarks(report), (before, after))
        } catch {
            return ("// error: \(error.reason.replacing("\n", with: "\n// "))\n", nil)
        }
    }

    private static func remarks(_ report: PassReport) -> String {
        let rewrites = report.rewriteCounts.sorted { $0.key < $1.key }.map { "// \($0.key): \($0.value) rewritten" }
        let misses = report.misses.map { "// \($0.rule) refused: \($0.reason) · \($0.at)" }
        return (rewrites + misses).map { $0 + "\n" }.joined()
    }
}

/// Values for the inputs, states and weights of small graphs, the same for the same seed and name.
struct SeededValues {
    let module: Module
    private let bindings: [String: Int]

    init(_ module: Module) {
        self.module = module
        bindings = Dictionary(uniqueKeysWithValues: module.symbols.map { ($0.name, Self.extents[$0.name] ?? 2) })
    }

    private static let extents = ["T": 3, "S": 5, "B": 4, "I": 2, "M": 2]

    /// Runs the graph that stands for `entry`: itself, or before gears were made the one that they come from.
    func run(_ entry: Graph) throws -> [Tensor] {
        let name = entry.name
        var bindings = bindings
        if let gear = name.split(separator: ".").dropFirst().first.flatMap({ Int($0) }) { bindings["B"] = gear }
        guard let graph = module.graph(name) ?? module.graph(String(name.prefix { $0 != "." })) else {
            throw EvaluationError("no graph @\(name)")
        }
        let inputs = graph.inputs.map { ($0.name, Self.tensor($0.name, graph.type(of: $0.value), bindings)) }
        let states = graph.states.map { ($0.name, Self.tensor($0.name, graph.type(of: $0.value), bindings)) }
        let evaluator = Evaluator { [module] name throws(EvaluationError) in
            guard let weight = module.weight(name) else { throw EvaluationError("no weight @\(name)") }
            return Self.tensor(name, weight.type, [:])
        }
        let outcome = try evaluator.run(
            graph, inputs: Dictionary(uniqueKeysWithValues: inputs), states: Dictionary(uniqueKeysWithValues: states),
            bindings: bindings)
        return outcome.results + outcome.states.sorted { $0.key < $1.key }.map(\.value)
    }

    private static func tensor(_ name: String, _ type: TensorType, _ bindings: [String: Int]) -> Tensor {
        var random = Dice(name.utf8.reduce(7) { $0 &* 31 &+ UInt64($1) })
        let shape = type.shape.values(bindings) ?? []
        let count = shape.reduce(1, *)
        if type.element.isFloat {
            return Tensor((0..<count).map { _ in Float.random(in: -2...2, using: &random) }, shape, type.element)
        }
        let range: ClosedRange<Int32> = name.hasSuffix("qweight") || name.hasSuffix("qzeros") ? .min ... .max : 0...1
        return Tensor(ints: (0..<count).map { _ in Int32.random(in: range, using: &random) }, shape, type.element)
    }
}
