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
    let passes: [PassReport]
    let record: PassRecord
    /// The IR after each stage.
    private let stages: [(stage: Stage, module: Module)]
    /// Checkpoint tensors by weight name.
    let sources: [String: String]

    init(_ compilation: Compilation, _ kvElement: DType) throws(CompileError) {
        let recorder = PassRecorder()
        let keeper = StageKeeper()
        var observed = compilation
        observed.observers += [recorder, keeper]
        let traced = try compilation.traced()
        keeper.stages.append((.traced, traced))
        let (module, reports) = try observed.lowered()
        passes = reports
        stages = keeper.stages
        record = PassRecord(reports: reports, changes: recorder.changes)
        sources = Dictionary(module.weights.map { ($0.name, $0.source) }) { first, _ in first }
        (program, requests) = try Self.emit(module, compilation, kvElement)
    }

    private static func emit(
        _ module: Module, _ compilation: Compilation, _ kvElement: DType
    ) throws(CompileError) -> (Program, [WeightRequest]) {
        var table = WeightTable()
        var emitters: [PlanEmitter] = []
        for graph in module.graphs {
            guard let entry = Entry(graphName: graph.name) else {
                throw .internalInconsistency("graph @\(graph.name) is no entry")
            }
            let emitter = try PlanEmitter(graph, of: module, as: entry)
            emitter.announce(to: &table)
            emitters.append(emitter)
        }
        var plans: [ExecutionPlan] = []
        for var emitter in emitters { plans.append(try emitter.emit(into: &table)) }
        let geometry = compilation.source.definition.geometry
        let program = Program(
            plans: plans, limits: compilation.limits,
            kv: KVLayout(
                layers: geometry.layers, heads: geometry.kvHeads, headDim: geometry.headDim, element: kvElement),
            vocabularySize: geometry.vocabularySize, hiddenSize: geometry.hiddenSize,
            positionAxes: geometry.positionAxes)
        return (program, table.requests)
    }

    /// Writes every section but the weights.
    func writeSections(to writer: ArtifactWriter, _ source: ModelSource) throws(ArtifactError) {
        for (stage, module) in stages {
            for graph in module.graphs {
                let part = Module(
                    stage: module.stage, symbols: module.symbols, weights: module.weights, graphs: [graph],
                    attributes: module.attributes)
                try writer.writeIR(stage: stage.rawValue, entry: graph.name, text: Printer.print(part))
            }
        }
        try writer.write(.tokenizer, source.tokenizer.compiled)
        if let template = source.template { try writer.write(.chatTemplate, Array(template.utf8)) }
        try writer.write(.inputs, Self.json(source.inputs))
        try writer.write(.passes, Self.json(record))
        try writer.write(.recipes, Self.json(requests.map(StoredRecipe.init)))
    }

    private static func json(_ value: some Encodable) throws(ArtifactError) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do { return Array(try encoder.encode(value)) } catch {
            throw .refused("a section cannot be encoded: \(error)")
        }
    }
}

/// What passes did, as the artifact keeps it.
struct PassRecord: Codable {
    var reports: [PassReport]
    var changes: [PassRecorder.Change]
}

/// A weight's recipe, as the artifact keeps it.
struct StoredRecipe: Codable {
    var origin: String
    var layout: WeightLayout
    var shape: [Int]
    var recipe: String

    init(_ request: WeightRequest) {
        origin = request.origin
        layout = request.layout
        shape = request.shape
        recipe = request.recipe.text
    }
}

/// Keeps the module as it is at each stage reached.
private final class StageKeeper: PassObserver {
    var stages: [(stage: Stage, module: Module)] = []

    func didReach(_ stage: Stage, _ module: Module) { stages.append((stage, module)) }
}
