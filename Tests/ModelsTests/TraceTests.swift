import HuggingFace
import IR
import Models
import Tensors
import Testing

/// What a definition refuses, and what a trace of a sound checkpoint is.
@Suite struct TraceTests {
    static let fixture = Oracle.fixtures + "/qwen2_vl"

    private func trace(_ edit: (inout [String: TensorType]) -> Void) throws -> Module {
        var types = try Checkpoint(directory: Self.fixture).types
        edit(&types)
        let definition = try Architectures.definition(for: ModelConfig(directory: Self.fixture))
        return try definition.trace(CheckpointTypes(location: "model", types: types), image: Oracle.image, bounds: Oracle.bounds)
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
        let definition = try Architectures.definition(for: ModelConfig(directory: directory))
        let types = try Checkpoint(directory: directory).types
        func message(_ name: String, _ type: TensorType?) -> String {
            var types = types
            types[name] = type
            do {
                _ = try definition.trace(CheckpointTypes(location: "model", types: types), image: Oracle.image, bounds: Oracle.bounds)
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
        ("text_config", "hidden_act", .string("relu"), "known activations are"),
        ("text_config", "rms_norm_eps", .double(-1), "rms_norm_eps"),
        ("text_config", "use_sliding_window", .bool(true), "no error"),
        ("text_config", "rope_parameters", ["rope_type": "yarn", "rope_theta": 1e6], "\"yarn\""),
        ("text_config", "rope_parameters", ["rope_type": "default", "rope_theta": 0], "rope_theta"),
        ("text_config", "rope_parameters", ["rope_theta": 1e6, "mrope_section": [2, 3, 4]], "mrope_section is [2, 3, 4]"),
        ("text_config", "rope_parameters", ["rope_theta": 1e6, "mrope_section": [-2, 3, 7]], "mrope_section"),
        ("text_config", "rope_parameters", ["rope_theta": 1e6, "mrope_section": [8]], "mrope_section"),
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
        var top = try JSONValue(contentsOf: Self.fixture + "/config.json").members ?? [:]
        var members = top[section]?.members ?? [:]
        members[key] = value
        top[section] = .object(members)
        var message = "no error"
        do {
            let definition = try Architectures.definition(for: ModelConfig(.object(top)))
            _ = try definition.trace(
                CheckpointTypes(Checkpoint(directory: Self.fixture)), image: Oracle.image, bounds: Oracle.bounds)
        } catch { message = "\(error)" }
        #expect(message.contains(expected), "\(message)")
    }

    @Test func refusesSlidingWindowsOnlyWhereTheyMatter() throws {
        func message(_ edit: (inout [String: JSONValue]) -> Void) throws -> String {
            var top = try JSONValue(contentsOf: Self.fixture + "/config.json").members ?? [:]
            var text = top["text_config"]?.members ?? [:]
            text["use_sliding_window"] = true
            text["sliding_window"] = 128
            text["max_window_layers"] = 1
            edit(&text)
            top["text_config"] = .object(text)
            do {
                _ = try Architectures.definition(for: ModelConfig(.object(top)))
                return "no error"
            } catch { return "\(error)" }
        }
        #expect(try message { _ in }.contains("sliding-window attention is not supported"))
        #expect(try message { $0["use_sliding_window"] = false } == "no error")
        #expect(try message { $0["sliding_window"] = nil; $0["sliding_window"] = .null } == "no error")
        #expect(try message { $0["max_window_layers"] = 3 } == "no error")
        #expect(try message { $0["sliding_window"] = 4096 } == "no error")
    }

    @Test func listsTheKnownArchitectures() throws {
        let config = try ModelConfig(["architectures": ["LlavaForConditionalGeneration"], "model_type": "llava"])
        let error = #expect(throws: CheckpointError.self) { _ = try Architectures.definition(for: config) }
        let message = "\(error, default: "")"
        #expect(message.contains("LlavaForConditionalGeneration is unknown"))
        #expect(message.contains("Qwen2VLForConditionalGeneration"))
    }
}
