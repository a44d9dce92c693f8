import Foundation
import HuggingFace
import IR
import JSON
import Models
import Tensors
import Testing

/// What a definition refuses, and what a trace of a sound checkpoint is.
@Suite struct TraceTests {
    static let fixture = Oracle.fixtures + "/qwen2_vl"

    /// The definition for the fixture with another `config.json`.
    private static func definition(_ config: JSONObject) throws -> any ModelDefinition {
        try Architectures.definition(for: ModelDirectory(fixture).replacing("config.json", with: .object(config)))
    }

    private func trace(_ edit: (inout [String: TensorType]) -> Void) throws -> Module {
        var types = try Checkpoint(directory: Self.fixture).types
        edit(&types)
        let definition = try Architectures.definition(for: ModelDirectory(Self.fixture))
        return try definition.trace(CheckpointTypes(location: "model", types: types), bounds: Oracle.bounds)
    }

    private func message(_ edit: (inout [String: TensorType]) -> Void) -> String {
        do {
            _ = try trace(edit)
            return "no error"
        } catch { return "\(error)" }
    }

    @Test func isSound() throws {
        let module = try trace { _ in }
        try Verifier.verify(module)
        #expect(module.graphs.map(\.name) == ["vision", "extend", "decode"])
        #expect(module.weights.contains { $0.name == "model.layers.0.self_attn.q_proj.weight" })
        #expect(try Parser.parse(Printer.print(module)) == module.compacted())
    }

    @Test func namesOfEveryGenerationGiveOneGraph() throws {
        let plain = try trace { _ in }
        let renamed = try trace { types in
            types = Dictionary(
                uniqueKeysWithValues: types.map { name, type in
                    if name.hasPrefix("visual.") { return ("model." + name, type) }
                    return name.hasPrefix("model.") ? ("model.language_model." + name.dropFirst(6), type) : (name, type)
                })
        }
        #expect(plain.graphs == renamed.graphs)
        #expect(Set(plain.weights.map(\.name)) == Set(renamed.weights.map(\.name)))
        #expect(renamed.weights.contains { $0.source == "model.language_model.layers.0.self_attn.q_proj.weight" })
    }

    @Test func refusesTensorsThatDoNotFit() {
        let query = "model.layers.1.self_attn.q_proj.weight"
        #expect(message { $0[query] = nil }.contains("\"\(query)\": is missing; config.json implies [64, 64]"))
        #expect(message { $0[query] = TensorType(.f32, [64, 32]) }.contains("\"\(query)\": is f32[64, 32], but config.json implies the shape [64, 64]"))
        #expect(message { $0[query] = TensorType(.i32, [64, 64]) }.contains("\"\(query)\": is i32[64, 64], expected f32, f16 or bf16"))
        #expect(message { $0["lm_head.weight"] = nil }.contains("\"lm_head.weight\": is missing"))
        #expect(message { $0["model.language_model.norm.weight"] = $0["model.norm.weight"] }.contains("same weight as"))
        #expect(message { $0["visual.blocks.0.norm1.bias"] = nil }.contains("visual.blocks.0.norm1.bias"))
        let quantized = "model.layers.0.mlp.up_proj.qweight"
        #expect(message { $0[quantized] = TensorType(.i32, [64, 12]) }.contains("beside a weight"))
        #expect(
            message {
                $0["model.layers.0.mlp.up_proj.weight"] = nil
                $0[quantized] = TensorType(.i32, [64, 12])
            }.contains("no quantization_config"))
        #expect(message { $0.removeAll() }.contains("is missing"))
    }

    @Test func refusesQuantizedTensorsThatDoNotFit() throws {
        let directory = Oracle.fixtures + "/qwen2_vl_awq"
        let definition = try Architectures.definition(for: ModelDirectory(directory))
        let types = try Checkpoint(directory: directory).types
        func message(_ name: String, _ type: TensorType?) -> String {
            var types = types
            types[name] = type
            do {
                _ = try definition.trace(CheckpointTypes(location: "model", types: types), bounds: Oracle.bounds)
                return "no error"
            } catch { return "\(error)" }
        }
        let layer = "model.layers.0.mlp.down_proj."
        #expect(message(layer + "qzeros", nil).contains("qzeros\": is missing"))
        #expect(message(layer + "scales", TensorType(.f16, [2, 64])).contains("scales\": is f16[2, 64]"))
        #expect(message(layer + "qweight", TensorType(.i32, [12, 64])).contains("qweight\": is i32[12, 64]"))
        #expect(message(layer + "qweight", TensorType(.f32, [96, 8])).contains("expected i32"))
    }

    private static let faults: [(section: String, key: String, value: JSONValue, message: String)] = [
        ("text_config", "hidden_size", JSONValue.int(-64), "text_config.hidden_size is -64"),
        ("text_config", "hidden_size", .int(Int.max), "text_config.hidden_size"),
        ("text_config", "hidden_size", .string("64"), "text_config.hidden_size is a string, expected an integer"),
        ("text_config", "hidden_size", .int(66), "num_attention_heads is 4"),
        ("text_config", "num_hidden_layers", .int(1_000_000_000), "num_hidden_layers"),
        ("text_config", "num_hidden_layers", .int(0), "num_hidden_layers"),
        ("text_config", "num_key_value_heads", .int(3), "num_key_value_heads is 3"),
        ("text_config", "num_key_value_heads", .null, "k_proj.weight\": is f32[32, 64], but config.json implies the shape [64, 64]"),
        ("text_config", "rms_norm_eps", .null, "text_config.rms_norm_eps is missing"),
        ("text_config", "max_window_layers", .int(1), "no error"),
        ("text_config", "hidden_act", .string("relu"), "no error"),
        ("text_config", "hidden_act", .string("mish"), "text_config.hidden_act is \"mish\"; the known activations are: gelu, gelu_accurate,"),
        ("vision_config", "hidden_act", .string("swoosh"), "vision_config.hidden_act is \"swoosh\""),
        ("text_config", "rms_norm_eps", .double(-1), "rms_norm_eps"),
        ("text_config", "rms_norm_eps", .double(0), "no error"),
        ("text_config", "rms_norm_eps", .double(1e308), "text_config.rms_norm_eps is 1e+308, which is beyond what f32 holds"),
        ("text_config", "head_dim", .int(32), "text_config.head_dim is 32, but hidden_size / num_attention_heads is 16"),
        ("text_config", "head_dim", .int(16), "no error"),
        ("text_config", "head_dim", .null, "no error"),
        ("text_config", "use_sliding_window", .bool(true), "no error"),
        ("text_config", "rope_parameters", ["rope_type": "longrope", "rope_theta": 1e6], "\"longrope\""),
        ("text_config", "rope_parameters", ["rope_type": "yarn", "rope_theta": 1e6], "rope_parameters.factor is missing"),
        ("text_config", "rope_parameters", ["rope_type": "linear", "rope_theta": 1e6, "factor": 0], "rope_parameters.factor is 0"),
        ("text_config", "rope_parameters", ["rope_type": "default", "rope_theta": 0], "rope_theta"),
        ("text_config", "rope_parameters", ["rope_type": "default", "rope_theta": 1e300], "text_config.rope_parameters.rope_theta is 1e+300"),
        ("text_config", "rope_parameters", ["rope_type": "default", "rope_theta": 1e6], "rope_parameters.mrope_section is missing"),
        ("text_config", "rope_parameters", ["rope_theta": 1e6, "mrope_section": [2, 3, 4]], "mrope_section is [2, 3, 4]"),
        ("text_config", "rope_parameters", ["rope_theta": 1e6, "mrope_section": [-2, 3, 7]], "mrope_section"),
        ("text_config", "rope_parameters", ["rope_theta": 1e6, "mrope_section": [8]], "no error"),
        ("text_config", "rope_parameters", ["rope_theta": 1e6, "mrope_section": [2, 2, 2, 2]], "no error"),
        ("text_config", "rope_parameters", ["rope_theta": 1e6, "mrope_section": [16, 24, 24]], "mrope_section"),
        ("vision_config", "embed_dim", .int(0), "vision_config.embed_dim is 0"),
        ("vision_config", "num_heads", .int(5), "vision_config.num_heads is 5"),
        ("vision_config", "hidden_size", .int(32), "vision_config.hidden_size is 32"),
        ("vision_config", "mlp_ratio", .double(1e300), "mlp_ratio"),
        ("vision_config", "patch_size", .int(16), "image processor"),
        ("vision_config", "in_channels", .int(1), "in_channels"),
        ("vision_config", "depth", .int(3), "blocks.2"),
    ]

    @Test(arguments: faults.indices)
    func refusesConfiguration(index: Int) throws {
        let (section, key, value, expected) = Self.faults[index]
        var top = try JSONValue(contentsOf: Self.fixture + "/config.json").objectValue ?? [:]
        var members = top[section]?.objectValue ?? [:]
        members[key] = value
        top[section] = .object(members)
        var message = "no error"
        do {
            let definition = try Self.definition(top)
            _ = try definition.trace(
                CheckpointTypes(Checkpoint(directory: Self.fixture)), bounds: Oracle.bounds)
        } catch { message = "\(error)" }
        #expect(message.contains(expected), "\(message)")
    }

    /// Frequencies of `Qwen2VLRotaryEmbedding` in transformers 5.23 for heads of 32.
    @Test(arguments: [
        (
            ["rope_type": "yarn", "rope_theta": 10_000, "factor": 4, "original_max_position_embeddings": 2048, "beta_fast": 16, "beta_slow": 2],
            1.138629436111989,
            [
                1.0, 0.5623413324356079, 0.3162277638912201, 0.17782793939113617, 0.10000000149011612, 0.05623412877321243,
                0.025693506002426147, 0.01111424621194601, 0.0043750000186264515, 0.0014058533124625683, 0.0007905694656074047,
                0.00044456985779106617, 0.0002500000118743628, 0.00014058532542549074, 7.905694656074047e-05, 4.4456985051510856e-05,
            ]
        ),
        (
            [
                "rope_type": "yarn", "rope_theta": 10_000, "factor": nil, "original_max_position_embeddings": 512, "beta_fast": 0,
                "beta_slow": 0, "mscale": 0, "mscale_all_dim": 0,
            ],
            1.138629436111989,
            [
                1.0, 0.5623413324356079, 0.2823462188243866, 0.13972194492816925, 0.06785713881254196, 0.032133787870407104,
                0.014682004228234291, 0.00635099783539772, 0.0024999999441206455, 0.0014058533124625683, 0.0007905694656074047, 0.00044456985779106617,
                0.0002500000118743628, 0.00014058532542549074, 7.905694656074047e-05, 4.4456985051510856e-05,
            ]
        ),
        (
            ["rope_type": "linear", "rope_theta": 10_000, "factor": 4], 1,
            [
                0.25, 0.14058533310890198, 0.07905694097280502, 0.04445698484778404, 0.02500000037252903, 0.014058532193303108,
                0.007905694656074047, 0.004445698577910662, 0.0024999999441206455, 0.0014058533124625683, 0.0007905694656074047,
                0.00044456985779106617, 0.0002500000118743628, 0.00014058532542549074, 7.905694656074047e-05, 4.4456985051510856e-05,
            ]
        ),
    ] as [(JSONObject, Double, [Double])])
    func scalesRotaryFrequencies(rope: JSONObject, magnitude: Double, expected: [Double]) throws {
        let directory = Oracle.fixtures + "/qwen2_vl_wide_head"
        var top = try JSONValue(contentsOf: directory + "/config.json").objectValue ?? [:]
        var text = top["text_config"]?.objectValue ?? [:]
        var rope = rope
        rope["mrope_section"] = [4, 6, 6]
        text["rope_parameters"] = .object(rope)
        top["text_config"] = .object(text)
        let module = try Self.definition(top)
            .trace(CheckpointTypes(Checkpoint(directory: directory)), bounds: Oracle.bounds)
        let nodes = try #require(module.graph("decode")).nodes
        let frequencies = nodes.compactMap { ($0.op as? Constant)?.values }.first { $0.count == 16 && $0[1] != $0[1].rounded() }
        for (ours, theirs) in zip(try #require(frequencies), expected) { #expect(abs(ours - theirs) <= 1e-6 * theirs) }
        let scale = magnitude * magnitude / 32.0.squareRoot()
        #expect(nodes.contains { abs((($0.op as? Literal)?.value ?? 0) - scale) < 1e-9 })
    }

    @Test func refusesSlidingWindowsOnlyWhereTheyMatter() throws {
        func message(_ edit: (inout JSONObject) -> Void) throws -> String {
            var top = try JSONValue(contentsOf: Self.fixture + "/config.json").objectValue ?? [:]
            var text = top["text_config"]?.objectValue ?? [:]
            text["use_sliding_window"] = true
            text["sliding_window"] = 128
            text["max_window_layers"] = 1
            text["layer_types"] = nil
            edit(&text)
            top["text_config"] = .object(text)
            do {
                _ = try Self.definition(top)
                return "no error"
            } catch { return "\(error)" }
        }
        #expect(try message { _ in } == "no error")
        #expect(try message { $0["use_sliding_window"] = false } == "no error")
        #expect(try message { $0["sliding_window"] = nil; $0["sliding_window"] = .null } == "no error")
        #expect(try message { $0["max_window_layers"] = 3 } == "no error")
        #expect(try message { $0["sliding_window"] = 4096 } == "no error")
        let types: [JSONValue] = ["full_attention", "sliding_attention"]
        #expect(try message { $0["layer_types"] = .array([types[0], types[0]]) } == "no error")
        #expect(try message { $0["layer_types"] = .array(types) } == "no error")
        #expect(try message { $0["layer_types"] = .array(types); $0["sliding_window"] = 4096 } == "no error")
        #expect(try message { $0["layer_types"] = .array(types); $0["max_window_layers"] = 9 } == "no error")
        #expect(try message { $0["layer_types"] = .array(types); $0["use_sliding_window"] = false }.contains("there is no sliding_window"))
        #expect(try message { $0["layer_types"] = .array([types[0]]) }.contains("text_config.layer_types has 1 entries"))
        #expect(try message { $0["layer_types"] = ["full_attention", "linear_attention"] }.contains("\"linear_attention\""))
    }

    /// Of tied tables one is enough, equal ones are one, and different ones are two (`tie_weights` of transformers 5).
    @Test func tiesTablesThatAreEqual() throws {
        var top = try JSONValue(contentsOf: Self.fixture + "/config.json").objectValue ?? [:]
        top["tie_word_embeddings"] = true
        let definition = try Self.definition(top)
        func tables(_ types: [String: TensorType]) throws -> [String] {
            let module = try definition.trace(
                CheckpointTypes(location: "model", types: types), bounds: Oracle.bounds)
            let read = module.graphs.flatMap(\.nodes).compactMap { ($0.op as? Weight)?.name }
            return ["lm_head.weight", "model.embed_tokens.weight"].filter(read.contains)
        }
        let types = try Checkpoint(directory: Self.fixture).types
        #expect(try tables(types) == ["lm_head.weight", "model.embed_tokens.weight"])
        #expect(try tables(types.filter { $0.key != "lm_head.weight" }) == ["model.embed_tokens.weight"])
        #expect(try tables(types.filter { $0.key != "model.embed_tokens.weight" }) == ["lm_head.weight"])
    }

    @Test(arguments: [(true, [1, 2], 1), (true, [1, 3], 2), (false, [1, 2], 2)] as [(Bool, [Float], Int)])
    func equalTablesAreOneIfTied(isTied: Bool, head: [Float], count: Int) throws {
        var top = try JSONValue(contentsOf: Self.fixture + "/config.json").objectValue ?? [:]
        top["tie_word_embeddings"] = .bool(isTied)
        let directory = FileManager.default.temporaryDirectory.path + "/vlm-models-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        var writer = SafetensorsWriter()
        writer.add("model.language_model.embed_tokens.weight", .f32, shape: [2], [1, 2] as [Float])
        writer.add("lm_head.weight", .f32, shape: [2], head)
        try writer.write(to: directory + "/model.safetensors")
        let definition = try Self.definition(top)
        #expect(definition.effective(try Checkpoint(directory: directory)).tensors.count == count)
    }

    @Test func theTypeStandsForTheArchitecture() throws {
        var top = try JSONValue(contentsOf: Self.fixture + "/config.json").objectValue ?? [:]
        top["architectures"] = nil
        #expect(try Self.definition(top).geometry.layers == 2)
        top["model_type"] = "qwen9_vl"
        let error = #expect(throws: CheckpointError.self) { _ = try Self.definition(top) }
        #expect("\(error, default: "")".contains("qwen9_vl is unknown"))
    }

    @Test func listsTheKnownArchitectures() throws {
        let error = #expect(throws: CheckpointError.self) {
            _ = try Self.definition(["architectures": ["NoneForConditionalGeneration"], "model_type": "none"])
        }
        let message = "\(error, default: "")"
        #expect(message.contains("NoneForConditionalGeneration is unknown"))
        #expect(message.contains("Qwen2VLForConditionalGeneration"))
    }
}
