import Compiler
import Foundation
import HuggingFace
import IR
import Inputs
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
    /// How requests become inputs.
    let spec: Result<InputSpec, CheckpointError>
    let expected: SafetensorsFile

    /// Where records are looked for.
    private static let folders =
        [Oracle.repository + "/Tests/Families/Fixtures", Oracle.repository + "/.build/families"]
        + [ProcessInfo.processInfo.environment["VLM_FAMILIES"]].compactMap(\.self)

    /// By their names, the records that are there.
    private static let paths: [String: String] = {
        var paths: [String: String] = [:]
        for folder in folders {
            for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
                let path = "\(folder)/\(name)"
                if FileManager.default.fileExists(atPath: path + "/expected.safetensors") { paths[name] = path }
            }
        }
        return paths
    }()

    static let names = paths.keys.sorted()

    static func path(of name: String) -> String { paths[name] ?? name }

    static let bounds = TraceBounds(tokens: 1024, rows: 1024, slots: 2048, imageRows: 1024, patches: 4096, features: 1024)

    /// - Parameters:
    ///   - name: a record's name, or a directory.
    ///   - families: those that are known.
    init(_ name: String, families: FamilyTable = .standard) throws {
        self.name = name
        directory = Self.path(of: name)
        let files = try ModelDirectory(directory)
        config = try files.config()
        definition = try families.definition(for: files)
        checkpoint = definition.effective(try Checkpoint(directory: directory))
        expected = try SafetensorsFile(path: directory + "/expected.safetensors")
        module = try definition.trace(CheckpointTypes(checkpoint), bounds: Self.bounds)
        let tokenizer = try? files.tokenizer()
        let names = TokenNames(text: { tokenizer?.token($0) }, token: { tokenizer?.id(of: $0) })
        do { spec = .success(try definition.inputs(names)) } catch { spec = .failure(error) }
    }

    /// `config.json` as it is.
    var json: JSONObject { config.original.objectValue ?? [:] }

    var modelType: String { json["model_type"]?.stringValue ?? "" }

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

    /// The recorded image as the family reads it; nil where it does not read images.
    func image() throws -> (spec: ImageSpec, image: ReadImage)? {
        guard case .success(let inputs) = spec, let spec = inputs.image else { return nil }
        let file = try Data(contentsOf: URL(fileURLWithPath: directory + "/image.png"))
        return (spec, try ImageReader(spec).read(ImageDecoder().decode(Array(file)), keepsPixels: true))
    }

    /// Features of an image by the entry `vision`.
    func features(of image: ReadImage) throws -> Tensor {
        guard let graph = module.graph("vision") else { throw EvaluationError("no entry vision") }
        var inputs = try MaskedCall(bounds: image.input.segments.mapValues { $0.map(Int.init) }).matrices(of: graph)
        for input in graph.inputs where input.mask == nil {
            guard let tensor = image.input[input.name] else { throw EvaluationError("no tensor \(input.name)") }
            let rows = image.input.count(of: tensor.row)
            let columns = tensor.values.count / max(rows * tensor.lines, 1)
            let type = graph.type(of: input.value)
            let shape = (tensor.lines > 1 ? [tensor.lines] : []) + [rows] + (type.shape.rank > (tensor.lines > 1 ? 2 : 1) ? [columns] : [])
            switch tensor.values {
            case .bytes(let bytes): inputs[input.name] = Tensor(ints: bytes.map(Int32.init), shape, .u8)
            case .integers(let values): inputs[input.name] = Tensor(ints: values, shape)
            case .floats(let values): inputs[input.name] = Tensor(values, shape)
            }
        }
        return try run("vision", inputs).results[0]
    }
}
