import Foundation
import HuggingFace
import JSON
import Tensors
import Testing

/// Directories of adapters, by small files: what is read, and what every refusal names.
@Suite struct AdapterDirectoryTests {
    private static let layer = "base_model.model.model.layers.0.self_attn.q_proj"
    private static let config = #""peft_type": "LORA", "r": 2, "lora_alpha": 6, "target_modules": ["q_proj"]"#

    /// A directory with the fields, and tensors of ones by name and shape.
    private func directory(
        _ config: String = Self.config, _ tensors: [(String, [Int])] = [(Self.layer + ".lora_A.weight", [2, 3]), (Self.layer + ".lora_B.weight", [4, 2])],
        element: DType = .f32, value: Float = 1
    ) throws -> TemporaryDirectory {
        let directory = try TemporaryDirectory()
        try directory.write("adapter_config.json", "{\(config)}")
        var writer = SafetensorsWriter()
        for (name, shape) in tensors { writer.add(name, element, shape: shape, Array(repeating: value, count: shape.reduce(1, *))) }
        try writer.write(to: directory.path + "/adapter_model.safetensors")
        return directory
    }

    private func message(_ directory: TemporaryDirectory) -> String? {
        let error = checkpointError { _ = try AdapterDirectory(directory.path) }
        return error.map { "\($0)".replacing(directory.path + "/", with: "") }
    }

    @Test func readsPairsWithTheirScales() throws {
        let plain = try directory()
        let pair = try #require(try AdapterDirectory(plain.path).pairs.first)
        #expect(pair.module == "layers.0.self_attn.q_proj" && pair.rank == 2 && pair.scale == 3)
        #expect(pair.a.type.shape == [2, 3] && pair.b.type.shape == [4, 2])
        let root = try directory(Self.config + #", "use_rslora": true"#)
        #expect(try AdapterDirectory(root.path).pairs[0].scale == 6 / 2.0.squareRoot())
        let start = "base_model.model.model.language_model.layers.1."
        let several = try directory(
            Self.config + #", "rank_pattern": {"mlp.up_proj": 1}, "alpha_pattern": {"^model.language_model.layers.1.mlp.up_proj": 5, "self_attn.v_proj": 4}"#,
            ["self_attn.v_proj", "mlp.up_proj"].flatMap { name in
                let rank = name == "mlp.up_proj" ? 1 : 2
                return [("\(start)\(name).lora_A.weight", [rank, 3]), ("\(start)\(name).lora_B.weight", [4, rank])]
            })
        let pairs = try AdapterDirectory(several.path).pairs
        #expect(pairs.map(\.module) == ["layers.1.mlp.up_proj", "layers.1.self_attn.v_proj"])
        #expect(pairs.map(\.rank) == [1, 2] && pairs.map(\.scale) == [5, 2])
    }

    /// Fields beside those of `config`, or instead of them where they say their own kind; and what is said of them.
    private static let refused: [(String, String)] = [
        (#""peft_type": "LOHA", "r": 2"#, "peft_type is LOHA"), (#""peft_type": null, "r": 2"#, "peft_type is not given"),
        (#""use_dora": true"#, "use_dora asks for DoRA"), (#""modules_to_save": ["lm_head"]"#, "modules_to_save asks for"),
        (#""bias": "all""#, "bias is not none"), (#""fan_in_fan_out": true"#, "fan_in_fan_out asks for"),
        (#""lora_bias": true"#, "lora_bias asks for"), (#""layer_replication": [[0, 2]]"#, "layer_replication asks for"),
        (#""trainable_token_indices": [1]"#, "trainable_token_indices asks for"), (#""target_parameters": ["x"]"#, "target_parameters asks for"),
        (#""init_lora_weights": "pissa_niter_4""#, "init_lora_weights is pissa_niter_4"), (#""new_kind": 3"#, "new_kind is not known"),
        (#""peft_type": "LORA", "r": 2, "lora_alpha": 6, "target_modules": ["q_proj", "embed_tokens"]"#, "target_modules holds embed_tokens"),
        (#""peft_type": "LORA", "r": 2, "lora_alpha": 6, "target_modules": ["visual.blocks.0.mlp.fc1"]"#, "target_modules holds visual.blocks.0.mlp.fc1"),
        (#""peft_type": "LORA", "r": 0, "lora_alpha": 6"#, "r is not a whole number above 0"),
        (#""peft_type": "LORA", "r": 2"#, "lora_alpha is not a number"),
        (#""use_rslora": 1"#, "use_rslora is neither"), (#""rank_pattern": {"q.*": 2}"#, "rank_pattern: q.* is an expression"),
        (#""rank_pattern": {"q_proj": 0}"#, "rank_pattern: 0.0 is not a whole number"),
        (#""rank_pattern": [1]"#, "rank_pattern is not an object"), (#""alpha_pattern": {"q_proj": "x"}"#, "alpha_pattern: q_proj has a string"),
        (#""r"#, "is "),
    ]

    @Test(arguments: refused) func fieldsThatAreNotSupportedAreNamed(fields: String, reason: String) throws {
        let config = fields.hasPrefix(#""peft_type""#) ? fields : "\(Self.config), \(fields)"
        let message = try #require(message(try directory(config)))
        #expect(message.hasPrefix("adapter_config.json: \(reason)"), "\(message)")
    }

    /// What tools write where nothing is asked for.
    @Test func emptyFieldsAskForNothing() throws {
        let empty = #", "bias": "none", "use_dora": false, "modules_to_save": null, "layer_replication": [], "loftq_config": {}, "megatron_config": null, "megatron_core": "megatron.core", "eva_config": null, "lora_dropout": 0.1, "new_kind": false"#
        #expect(try message(directory(Self.config + empty)) == nil)
    }

    /// Tensors, where `@` is the layer's name, and what is said of them.
    private static let unfitting: [([(String, [Int])], String)] = [
        ([("@.lora_A.weight", [2, 3])], "lora_B.weight\": is missing beside"),
        ([("@.lora_B.weight", [4, 2])], "lora_A.weight\": is missing beside"),
        ([("@.lora_A.weight", [3, 3]), ("@.lora_B.weight", [4, 3])], "lora_A.weight\": is f32[3, 3], but r of adapter_config.json makes its rank 2"),
        ([("@.lora_A.weight", [2, 3]), ("@.lora_B.weight", [4, 3])], "lora_B.weight\": is f32[4, 3], but r of adapter_config.json makes its rank 2"),
        ([("@.lora_A.weight", [2]), ("@.lora_B.weight", [4, 2])], "lora_A.weight\": is f32[2], not a matrix"),
        ([("@.lora_magnitude_vector", [4])], "is of DoRA"),
        ([("base_model.model.model.embed_tokens.lora_embedding_A", [2, 3])], "is of embeddings"),
        ([("base_model.model.lm_head.weight", [4, 3])], "is neither lora_A.weight nor lora_B.weight"),
        ([], "changes no layer"),
        ([("base_model.model.model.visual.blocks.0.attn.qkv.lora_A.weight", [2, 3])], "is not of a layer that can be adapted"),
        ([("base_model.model.vision_tower.encoder.layers.0.self_attn.q_proj.lora_A.weight", [2, 3])], "is not of a layer that can be adapted"),
        ([("base_model.model.lm_head.lora_A.weight", [2, 3])], "is not of a layer that can be adapted"),
        ([("@.lora_A.weight", [2, 3]), ("model.layers.0.self_attn.q_proj.lora_A.weight", [2, 3])], "is of the same layer as"),
    ]

    @Test(arguments: unfitting) func tensorsThatDoNotFitAreNamed(tensors: [(String, [Int])], reason: String) throws {
        let named = tensors.map { ($0.0.replacing("@", with: Self.layer), $0.1) }
        let message = try #require(message(try directory(Self.config, named)))
        #expect(message.hasPrefix("adapter_model.safetensors: ") && message.contains(reason), "\(message)")
    }

    @Test func numbersThatAreNoneAndFilesThatAreMissingAreNamed() throws {
        #expect(try #require(message(try directory(value: .nan))).contains("lora_A.weight\": holds a number that is not finite"))
        let gone = try directory()
        try FileManager.default.removeItem(atPath: gone.path + "/adapter_model.safetensors")
        #expect(message(gone) == "adapter_model.safetensors: no such file")
        try gone.write("adapter_model.bin", "x")
        #expect(message(gone)?.contains("is a pickle") == true)
        try FileManager.default.removeItem(atPath: gone.path + "/adapter_config.json")
        #expect(message(gone) == "adapter_config.json: no such file")
    }
}
