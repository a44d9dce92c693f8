import Foundation
import HuggingFace
import IR
import JSON
import Models
import Plan
import Reference
import Tensors

/// A model directory of any family with what transformers computed for one prompt.
struct FamilyRecord {
    let directory: String
    let name: String
    let config: ModelConfig
    let checkpoint: Checkpoint
    let definition: any ModelDefinition
    let module: Module
    let expected: SafetensorsFile

    /// Where records are looked for; those of the repository lie elsewhere.
    static let folder = ProcessInfo.processInfo.environment["VLM_FAMILIES"] ?? Oracle.repository + "/.build/families"

    /// The names of the records that are there.
    static let names: [String] = {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.filter { FileManager.default.fileExists(atPath: "\(folder)/\($0)/expected.safetensors") }.sorted()
    }()

    static let bounds = TraceBounds(tokens: 1024, rows: 1024, slots: 2048, imageRows: 1024, mergedCells: 1024)

    init(_ name: String) throws {
        self.name = name
        directory = Self.folder + "/" + name
        config = try ModelConfig(directory: directory)
        definition = try Architectures.definition(for: config)
        checkpoint = definition.effective(try Checkpoint(directory: directory))
        expected = try SafetensorsFile(path: directory + "/expected.safetensors")
        module = try definition.trace(CheckpointTypes(checkpoint), image: Self.image(directory, config), bounds: Self.bounds)
    }

    /// `config.json` as it is.
    var json: JSONObject { config.original.objectValue ?? [:] }

    var modelType: String { json["model_type"]?.stringValue ?? "" }

    /// What the image processor's file, or the family where it has none, says of scaling.
    private static func image(_ directory: String, _ config: ModelConfig) throws -> ImageProcessorSpec {
        var json: JSONObject = [:]
        for file in ["preprocessor_config.json", "processor_config.json"] {
            let path = directory + "/" + file
            guard FileManager.default.fileExists(atPath: path), let found = try JSONValue(contentsOf: path).objectValue else { continue }
            json.merge(found["image_processor"]?.objectValue ?? found) { first, _ in first }
        }
        let standard: (mean: [Double], deviation: [Double]) = config.modelType == "internvl_chat"
            ? ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
            : ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])
        func numbers(_ keys: [String], _ standard: [Double]) -> [Double] {
            keys.lazy.compactMap { json[$0]?.arrayValue?.compactMap(\.doubleValue) }.first ?? standard
        }
        let vision = config.original["vision_config"]?.objectValue ?? [:]
        return ImageProcessorSpec(
            sizing: .keep, filter: .bicubic, precision: .torchvision, rescaleFactor: 1 / 255,
            normalization: .init(
                mean: numbers(["image_mean", "norm_mean"], standard.mean), deviation: numbers(["image_std", "norm_std"], standard.deviation)),
            patchSize: vision["patch_size"]?.intValue ?? 14, mergeSize: vision["spatial_merge_size"]?.intValue ?? 1,
            temporalPatchSize: vision["temporal_patch_size"]?.intValue ?? 1)
    }

    var normalization: ImageProcessorSpec.Normalization {
        get throws { try Self.image(directory, config).normalization! }
    }

    func recorded(_ name: String) -> Tensor? {
        expected[name].flatMap { view in
            view.withBytes { Tensor(view.type.element, view.type.shape.fixed ?? [], bytes: $0) }
        }
    }

    func run(_ entry: String, _ inputs: [String: Tensor], states: [String: Tensor] = [:]) throws -> Evaluator.Outcome {
        let sources = Dictionary(uniqueKeysWithValues: module.weights.map { ($0.name, $0.source) })
        let evaluator = Evaluator { name throws(EvaluationError) in
            guard let view = sources[name].flatMap({ checkpoint[$0] }),
                let tensor = view.withBytes({ Tensor(view.type.element, view.type.shape.fixed ?? [], bytes: $0) })
            else { throw EvaluationError("no weight \(name)") }
            return tensor
        }
        guard let graph = module.graph(entry) else { throw EvaluationError("no entry \(entry)") }
        return try evaluator.run(graph, inputs: inputs, states: states)
    }

    /// Features of the recorded pictures by the entry `vision`; nil where pixels are not recorded in full.
    func imageFeatures() throws -> Tensor? {
        guard module.graph("vision") != nil, let inputs = try visionInputs() else { return nil }
        return try run("vision", inputs).results[0]
    }
}
