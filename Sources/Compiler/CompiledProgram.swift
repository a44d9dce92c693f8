import ArtifactFormat
import Foundation
import IR
import Inputs
import Models
import Passes
import Plan
import Tensors

/// Plans, weight requests and the record of how they came about.
struct CompiledProgram {
    let program: Program
    let requests: [WeightRequest]
    let log: PassLog
    /// The text of each entry after each stage, as the artifact keeps it.
    private let texts: [(stage: String, entry: String, text: String)]
    /// Checkpoint tensors by weight name.
    let sources: [String: String]
    /// Whose tensors recipes read beside the checkpoint's; nil without a calibration.
    let calibrated: CalibrationRecord?

    /// Traces the model and runs the passes.
    init(_ compilation: Compilation, _ kvElement: DType) throws(CompileError) {
        let recorder = PassRecorder()
        let keeper = StageKeeper()
        var observed = compilation
        observed.observers += [recorder, keeper]
        let (module, reports, calibrated) = try observed.lowered()
        self.calibrated = calibrated
        log = PassLog(reports: reports, changes: recorder.changes.map { .init(pass: $0.pass, lines: $0.lines) })
        texts = Self.texts(keeper.modules)
        (program, requests, sources) = try Self.emit(module, compilation, kvElement)
    }

    /// Takes over what the passes made of a model that differs in the values of its weights alone.
    ///
    /// - Throws: when the earlier artifact is damaged; then the passes have to run.
    init(reusing earlier: Artifact, _ compilation: Compilation, _ kvElement: DType) throws {
        log = try earlier.passLog()
        calibrated = nil
        let kept = try earlier.irSections.map { ($0.stage, $0.entry, try earlier.ir(stage: $0.stage, entry: $0.entry)) }
        let planned = kept.filter { $0.0 == Stage.planned.rawValue }
        let parts: [Module] = try earlier.program.plans.map { plan in
            try Parser.parse(planned.first { Entry(graphName: $0.1) == plan.entry }?.2 ?? "")
        }
        guard let first = parts.first else { throw CompileError.internalInconsistency("\(earlier.path) has no plans") }
        texts = kept
        var module = first
        module.graphs = parts.flatMap(\.graphs)
        module.weights = parts.flatMap(\.weights)
        (program, requests, sources) = try Self.emit(module, compilation, kvElement)
    }

    /// Each graph at each stage as text; printing takes all cores, since large models have many.
    private static func texts(_ modules: [Module]) -> [(stage: String, entry: String, text: String)] {
        let graphs = modules.flatMap { module in module.graphs.map { (module, $0) } }
        var texts = graphs.map { (stage: $0.stage.rawValue, entry: $1.name, text: "") }
        texts.withUnsafeMutableBufferPointer { texts in
            nonisolated(unsafe) let texts = texts
            DispatchQueue.concurrentPerform(iterations: graphs.count) { index in
                texts[index].text = Printer.print(graphs[index].0.with(graphs[index].1))
            }
        }
        return texts
    }

    private static func emit(
        _ module: Module, _ compilation: Compilation, _ kvElement: DType
    ) throws(CompileError) -> (Program, [WeightRequest], sources: [String: String]) {
        var table = WeightTable()
        var plans: [ExecutionPlan] = []
        for graph in module.graphs {
            guard let entry = Entry(graphName: graph.name) else {
                throw .internalInconsistency("graph @\(graph.name) is no entry")
            }
            var emitter = PlanEmitter(graph, of: module, as: entry)
            plans.append(try emitter.emit(into: &table))
        }
        let geometry = compilation.source.definition.geometry
        let program = Program(
            plans: plans, limits: compilation.limits,
            kv: KVLayout(layers: try cacheLayers(module), element: kvElement),
            vocabularySize: geometry.vocabularySize, hiddenSize: geometry.hiddenSize,
            positionAxes: geometry.positionAxes)
        let sources = Dictionary(module.weights.map { ($0.name, $0.source) }) { first, _ in first }
        return (program, table.requests, sources)
    }

    /// What the layers of the decoder keep of a token, by the states of its keys.
    private static func cacheLayers(_ module: Module) throws(CompileError) -> [KVLayout.Layer] {
        var layers: [Int: KVLayout.Layer] = [:]
        for graph in module.graphs {
            for state in graph.states {
                let extents = graph.type(of: state.value).shape.dims.map(\.fixedValue)
                guard case .keys(let layer)? = state.role, extents.count == 3, let heads = extents[1], let headDim = extents[2]
                else { continue }
                layers[layer] = KVLayout.Layer(heads: heads, headDim: headDim)
            }
        }
        var ordered: [KVLayout.Layer] = []
        for index in 0..<layers.count {
            guard let layer = layers[index] else { throw .internalInconsistency("layer \(index) has no cache, but a later one has") }
            ordered.append(layer)
        }
        return ordered
    }

    /// Writes every section but the weights.
    func writeSections(to writer: ArtifactWriter, _ source: ModelSource) throws(ArtifactError) {
        for (stage, entry, text) in texts { try writer.writeIR(stage: stage, entry: entry, text: text) }
        for (name, bytes) in source.sections.sorted(by: { $0.key < $1.key }) { try writer.write(name, bytes) }
        if source.sections[.tokenizer] != nil { try writer.write(.tokenTrie, source.tokenTrie) }
        try writer.write(.passes, JSONCoding.encode(log))
    }
}

extension PassRecord {
    /// What a pass did, as artifact and compile report keep it.
    init(_ report: PassReport, of pass: Pass) {
        self.init(
            pass: pass.name, version: pass.version, stage: pass.stage.rawValue, matches: report.matches,
            nodesBefore: report.nodesBefore, nodesAfter: report.nodesAfter)
        rewrites = report.rewrites.map { Rewrite(rule: $0.rule, at: $0.at) }
        misses = report.misses.map { Miss(rule: $0.rule, reason: $0.reason, at: $0.at) }
        missCount = report.missCount
    }
}

/// Keeps the module as it is at each stage.
private final class StageKeeper: PassObserver {
    var modules: [Module] = []

    func didReach(_ stage: Stage, _ module: Module) { modules.append(module) }
}

extension Module {
    /// One graph alone, with the weights that it names.
    fileprivate func with(_ graph: Graph) -> Module {
        let names = Set(graph.nodes.compactMap { $0.op(as: Weight.self)?.name })
        return Module(
            stage: stage, symbols: symbols, weights: weights.filter { names.contains($0.name) }, graphs: [graph], attributes: attributes)
    }
}
