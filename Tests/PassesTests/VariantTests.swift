import Foundation
import HuggingFace
import IR
import JSON
import Models
import Passes
import Plan
import Reference
import Tensors
import Testing

/// Every variant of a configuration that is accepted ends in ops that kernels compute, and computes the same on the way.
@Suite struct VariantTests {
    /// What a plan has steps for.
    private static let computable = Set(KernelRegistry.all.filter { !$0.name.isFallback }.compactMap(\.op))

    private static let activationNames = [
        "gelu", "gelu_accurate", "gelu_fast", "gelu_new", "gelu_python", "gelu_python_tanh", "gelu_pytorch_tanh", "quick_gelu",
        "relu", "silu", "swish",
    ]

    @Test(arguments: activationNames)
    func activations(name: String) throws {
        for model in ["qwen2_vl", "qwen2_vl_awq"] {
            try check(
                "\(model) with \(name)",
                TinyModel(model) { model in
                    (model.text["hidden_act"], model.vision["hidden_act"]) = (.string(name), .string(name))
                    model.patches(size: 2, merged: 2, frames: 2)
                })
        }
    }

    /// AWQ layers where the other half of the gated MLP, or the tower's activation, is not quantized alike.
    @Test(arguments: ["gelu", "silu"])
    func mixedQuantization(activation: String) throws {
        for layer in ["gate_proj", "up_proj", "down_proj", "q_proj"] {
            let model = try TinyModel("qwen2_vl_awq") { model in
                model.text["hidden_act"] = .string(activation)
                model.patches(size: 2, merged: 2, frames: 2)
                model.unquantize("model.layers.0.", layer)
            }
            try check("\(layer) as it was, \(activation)", model)
        }
        try check(
            "one int4 layer after another, \(activation)",
            TinyModel("qwen2_vl_awq") { model in
                model.vision["hidden_act"] = .string(activation)
                model.patches(size: 2, merged: 2, frames: 2)
                for layer in ["attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2"] { model.quantize("visual.blocks.0.\(layer).") }
            })
        try check(
            "scales of two types, \(activation)",
            TinyModel("qwen2_vl_awq") { model in
                model.text["hidden_act"] = .string(activation)
                model.patches(size: 2, merged: 2, frames: 2)
                let scales = "model.layers.1.mlp.up_proj.scales"
                model.types[scales] = model.types[scales].map { TensorType(.f32, $0.shape) }
            })
    }

    private static let processorCases: [(String, Double?, PixelSpec.Normalization?)] = [
        ("all", 1 / 255, .init(mean: [0.5, 0.4, 0.3], deviation: [0.2, 0.3, 0.4])),
        ("mean is deviation", 1 / 255, .init(mean: [0.5, 0.5, 0.5], deviation: [0.5, 0.5, 0.5])),
        ("no mean", 1 / 255, .init(mean: [0, 0, 0], deviation: [1, 1, 1])), ("do_normalize false", 1 / 255, nil),
        ("do_rescale false", nil, .init(mean: [0.5, 0.4, 0.3], deviation: [0.2, 0.3, 0.4])), ("neither", nil, nil),
        ("rescale_factor 1", 1, .init(mean: [100, 100, 100], deviation: [1, 1, 1])), ("rescale_factor 1, do_normalize false", 1, nil),
        ("rescale_factor below 0", -0.01, nil),
    ]

    @Test(arguments: processorCases.indices)
    func processors(index: Int) throws {
        let (name, factor, normalization) = Self.processorCases[index]
        for frames in [1, 2] {
            let model = try TinyModel("qwen2_vl") { model in
                model.scaling(factor, normalization)
                model.patches(size: 4, merged: 2, frames: frames)
            }
            try check("\(name), \(frames) frames", model)
        }
    }

    @Test(arguments: [(14, 2, 2), (14, 2, 1), (8, 1, 1), (8, 1, 2), (7, 3, 3), (1, 2, 2), (1, 1, 1), (2, 4, 16)])
    func patches(size: Int, merged: Int, frames: Int) throws {
        try check("\(frames)×\(size) by \(merged)", TinyModel("qwen2_vl") { $0.patches(size: size, merged: merged, frames: frames) })
    }

    /// Runs the pipeline, and the entries before and after what it fuses.
    private func check(_ name: String, _ model: TinyModel) throws {
        let traced = try model.trace()
        let recorder = StageRecorder()
        var module = traced
        _ = try TracedModel.pipeline.run(on: &module, options: .init(verifies: true), observers: [recorder])
        for graph in module.graphs {
            let ops = Set(Storage(graph).runningNodes.map(\.op.mnemonic))
            #expect(ops.isSubset(of: Self.computable), "\(name): \(ops.subtracting(Self.computable)) in @\(graph.name)")
            for case let cast as Cast in Storage(graph).runningNodes.map(\.op) { #expect(cast.to == .f32, "\(name)") }
        }
        let specialized = try #require(recorder.modules.first { $0.stage == .specialized }).module
        for graph in specialized.graphs {
            let expected = try SeededValues(traced).run(graph)
            for (ours, theirs) in zip(try SeededValues(specialized).run(graph), expected) {
                let scale = theirs.floats.reduce(1) { max($0, abs($1)) }
                let difference = zip(ours.floats, theirs.floats).reduce(0) { max($0, abs($1.0 - $1.1)) }
                #expect(difference <= 1e-3 * scale, "\(name): @\(graph.name) differs by \(difference) of \(scale)")
            }
        }
    }
}

/// A fixture's configuration and tensor types, to be changed before they are traced; weights are made up.
private struct TinyModel {
    var text: JSONObject
    var vision: JSONObject
    var types: [String: TensorType]
    private var processor: JSONObject
    private let directory: ModelDirectory
    private var top: JSONObject

    init(_ name: String, _ edit: (inout TinyModel) -> Void) throws {
        let directory = TracedModel.repository + "/Tests/EndToEndTests/Fixtures/" + name
        self.directory = try ModelDirectory(directory)
        top = try self.directory.config().json.objectValue ?? [:]
        processor = try self.directory.imageProcessor().members
        text = top["text_config"]?.objectValue ?? [:]
        vision = top["vision_config"]?.objectValue ?? [:]
        types = try Checkpoint(directory: directory).types
        edit(&self)
    }

    func trace() throws -> Module {
        var top = top
        (top["text_config"], top["vision_config"]) = (.object(text), .object(vision))
        let bounds = TraceBounds(tokens: 8, rows: 4, slots: 8, imageRows: 4, patches: 16, features: 4)
        let changed = directory.replacing("config.json", with: .object(top))
            .replacing("processor_config.json", with: ["image_processor": .object(processor)])
        return try Architectures.definition(for: changed).trace(CheckpointTypes(location: "model", types: types), bounds: bounds)
    }

    /// Has the processor scale bytes so; nil leaves a step out.
    mutating func scaling(_ factor: Double?, _ normalization: PixelSpec.Normalization?) {
        func list(_ numbers: [Double]) -> JSONValue { .array(numbers.map(JSONValue.double)) }
        processor["do_rescale"] = .bool(factor != nil)
        processor["rescale_factor"] = factor.map(JSONValue.double)
        processor["do_normalize"] = .bool(normalization != nil)
        processor["image_mean"] = normalization.map { list($0.mean) }
        processor["image_std"] = normalization.map { list($0.deviation) }
    }

    /// Gives the patches other extents, and the tensors that depend on them.
    mutating func patches(size: Int, merged: Int, frames: Int) {
        (processor["patch_size"], processor["merge_size"], processor["temporal_patch_size"]) = (.int(size), .int(merged), .int(frames))
        (vision["patch_size"], vision["spatial_merge_size"], vision["temporal_patch_size"]) = (.int(size), .int(merged), .int(frames))
        let width = vision["embed_dim"]?.intValue ?? 0
        let (cell, outputs) = (merged * merged * width, vision["hidden_size"]?.intValue ?? 0)
        resize("visual.patch_embed.proj.weight", [width, 3, frames, size, size])
        resize("visual.merger.mlp.0.weight", [cell, cell])
        resize("visual.merger.mlp.0.bias", [cell])
        resize("visual.merger.mlp.2.weight", [outputs, cell])
    }

    private mutating func resize(_ name: String, _ shape: [Int]) {
        types[name] = TensorType(types[name]?.element ?? .f32, Shape(shape.map { .fixed($0) }))
    }

    /// Gives a layer a packed weight instead of a plain one.
    mutating func quantize(_ stem: String) {
        guard let shape = types.removeValue(forKey: stem + "weight")?.shape else { return }
        let (packed, groups) = (shape[0].factor / 8, shape[1].factor / 32)
        types[stem + "qweight"] = TensorType(.i32, [shape[1], .fixed(packed)])
        types[stem + "qzeros"] = TensorType(.i32, [.fixed(groups), .fixed(packed)])
        types[stem + "scales"] = TensorType(.f16, [.fixed(groups), shape[0]])
    }

    /// Gives a layer a plain weight instead of a packed one.
    mutating func unquantize(_ block: String, _ layer: String) {
        for (name, type) in types where name.hasPrefix(block) && name.hasSuffix(".\(layer).qweight") {
            let stem = name.dropLast("qweight".count)
            for leaf in ["qweight", "qzeros", "scales"] { types[stem + leaf] = nil }
            let (inputs, packed) = (type.shape[0].factor, type.shape[1].factor)
            types[stem + "weight"] = TensorType(.f16, [.fixed(packed * 8), .fixed(inputs)])
        }
    }
}
