import HuggingFace
import JSON
import Testing

@Suite struct ModelConfigTests {
    private func config(_ text: String, generation: String? = nil) throws -> ModelConfig {
        try ModelConfig(JSONValue(parsing: text), generation: generation.map { try JSONValue(parsing: $0) })
    }

    @Test func flatAndNestedLayoutsAreOne() throws {
        let flat = try config(
            #"""
            {"architectures": ["Qwen2VLForConditionalGeneration"], "model_type": "qwen2_vl", "torch_dtype": "bfloat16",
             "hidden_size": 1536, "num_hidden_layers": 28, "vocab_size": 151936, "rms_norm_eps": 1e-06, "tie_word_embeddings": true,
             "rope_theta": 1000000.0, "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]},
             "vision_config": {"depth": 32, "embed_dim": 1280, "in_chans": 3, "hidden_size": 1536, "spatial_patch_size": 14}}
            """#)
        let nested = try config(
            #"""
            {"architectures": ["Qwen2VLForConditionalGeneration"], "model_type": "qwen2_vl", "dtype": "bfloat16",
             "text_config": {"hidden_size": 1536, "num_hidden_layers": 28, "vocab_size": 151936, "rms_norm_eps": 1e-06,
               "tie_word_embeddings": true,
               "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0, "mrope_section": [16, 24, 24]}},
             "vision_config": {"depth": 32, "embed_dim": 1280, "in_channels": 3, "hidden_size": 1536, "spatial_patch_size": 14}}
            """#)
        #expect(flat.canonicalText == nested.canonicalText)
        #expect(flat.json["tie_word_embeddings"] == true)
        #expect(flat.json["text_config"]?["num_key_value_heads"] == 8)
        #expect(flat.json["vision_config"]?["patch_size"] == 14)
        #expect(flat.json["image_token_id"] == 151_655)
        #expect(flat.json["text_config"]?["rope_parameters"]?["mrope_section"] == [16, 24, 24])
    }

    @Test func ropeThetaHasTheDefaultOfItsClass() throws {
        let theta = try config(#"{"model_type": "qwen2_vl", "text_config": {"rope_scaling": {"type": "mrope"}, "rope_theta": null}}"#)
            .json["text_config"]?["rope_parameters"]?["rope_theta"]
        #expect(theta == 1_000_000.0)
    }

    @Test func readsGenerationDefaults() throws {
        let list = try config(
            #"{"model_type": "qwen2_vl"}"#,
            generation: #"{"eos_token_id": [3, 4], "bos_token_id": 5, "repetition_penalty": 1.05, "temperature": 0.1, "top_k": 1, "do_sample": true, "top_p": 0.001}"#
        ).generation
        #expect(list.eosTokenIDs == [3, 4])
        #expect(list.repetitionPenalty == 1.05)
        #expect(list.doSample == true)
        #expect(try config(#"{"model_type": "qwen2_vl"}"#, generation: #"{"eos_token_id": 9}"#).generation.eosTokenIDs == [9])
        #expect(try config(#"{"model_type": "qwen2_vl", "eos_token_id": 7}"#).generation.eosTokenIDs == [7])
        #expect(try config(#"{"model_type": "qwen2_vl"}"#).generation.eosTokenIDs == [151_645])
    }

    @Test func readsQuantization() throws {
        func awq(_ body: String) throws -> QuantizationConfig? { try config(#"{"model_type": "qwen2_vl", "quantization_config": \#(body)}"#).quantization() }
        #expect(try config(#"{"model_type": "qwen2_vl"}"#).quantization() == nil)
        let parsed = try awq(#"{"quant_method": "awq", "bits": 4, "group_size": 64, "version": "GEMM", "zero_point": true, "modules_to_not_convert": ["visual"]}"#)
        #expect(parsed?.groupSize == 64)
        #expect(parsed?.modulesToNotConvert == ["visual"])
        #expect(try awq(#"{"quant_method": "awq", "version": "gemm", "format": "gemv", "backend": "auto"}"#)?.groupSize == 128)
        for (body, culprit) in [
            (#"{"quant_method": "gptq", "bits": 3}"#, "cross the borders of words"), (#"{"quant_method": "bitsandbytes"}"#, "while loading"), (#"{"bits": 4}"#, "quant_method"),
            (#"{"quant_method": "awq", "bits": 3}"#, "bits"), (#"{"quant_method": "awq", "group_size": 0}"#, "group_size"),
            (#"{"quant_method": "awq", "version": "marlin"}"#, "marlin"), (#"{"quant_method": "awq", "zero_point": false}"#, "zero_point"),
            (#"{"quant_method": "awq", "group_size": 48}"#, "quantization_config.group_size is 48; the known sizes are: 32, 64, 128"),
            (#"{"quant_method": "awq", "q_group_size": 16}"#, "quantization_config.q_group_size is 16"),
            (#"{"quant_method": "awq", "group_size": -1}"#, "quantization_config.group_size is -1, one group for each whole column"),
            (#"{"quant_method": "awq", "format": "gemv_fast"}"#, "quantization_config.format is \"gemv_fast\""),
            (#"{"quant_method": "awq", "backend": "llm-awq"}"#, "quantization_config.backend is \"llm-awq\""),
        ] {
            #expect("\(checkpointError { _ = try awq(body) }, default: "no error")".contains(culprit))
        }
    }

    @Test(arguments: [
        ("[]", "expected an object"), ("{}", "model_type"), (#"{"model_type": 3}"#, "model_type is an integer"),
        (#"{"architectures": "X"}"#, "architectures is a string"),
        (#"{"model_type": "qwen2_vl", "text_config": []}"#, "text_config is a list"),
        (#"{"model_type": "qwen2_vl", "text_config": {"rope_parameters": 1}}"#, "text_config.rope_parameters is an integer"),
        (#"{"model_type": "qwen2_vl", "text_config": {"rope_scaling": {"type": 1}}}"#, "rope_type is an integer"),
        (#"{"model_type": "qwen2_vl", "tie_word_embeddings": "yes"}"#, "tie_word_embeddings is a string"),
        (#"{"model_type": "qwen2_vl", "eos_token_id": -1}"#, "eos_token_id is -1"),
        (#"{"model_type": "qwen2_vl", "eos_token_id": "x"}"#, "eos_token_id is a string"),
    ])
    func refuses(text: String, message: String) {
        #expect("\(checkpointError { _ = try config(text) }, default: "no error")".contains(message))
    }

    /// `original_max_position_embeddings` beside the rotary parameters wins, but is no key of a flat text model.
    @Test func findsTheOriginalContext() throws {
        func original(_ body: String) throws -> JSONValue? {
            try config(#"{"model_type": "qwen2_vl", \#(body)}"#).json["text_config"]?["rope_parameters"]?["original_max_position_embeddings"]
        }
        let yarn = #"{"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 512}"#
        #expect(try original(#""text_config": {"original_max_position_embeddings": 64, "rope_parameters": \#(yarn)}"#) == 64)
        #expect(try original(#""text_config": {"original_max_position_embeddings": null, "rope_parameters": \#(yarn)}"#) == 512)
        #expect(try original(#""original_max_position_embeddings": 64, "rope_scaling": \#(yarn)"#) == 512)
    }

    @Test func knowsTheOtherNamesOfTheVisionTower() throws {
        let vision = try config(
            #"{"model_type": "qwen2_vl", "vision_config": {"num_hidden_layers": 3, "num_attention_heads": 5, "depth": 9}}"#
        ).json["vision_config"]
        #expect(vision?["depth"] == 3)
        #expect(vision?["num_heads"] == 5)
    }

    @Test func needsNoGenerationConfig() throws {
        let directory = try TemporaryDirectory()
        try directory.write("config.json", #"{"model_type": "qwen2_vl", "eos_token_id": [3, 4]}"#)
        #expect(try ModelDirectory(directory.path).config().generation.eosTokenIDs == [3, 4])
        try directory.write("generation_config.json", "null")
        #expect("\(checkpointError { _ = try ModelDirectory(directory.path).config() }, default: "")".contains("generation_config.json"))
    }

    @Test func namesWhatADirectoryLacks() throws {
        let directory = try TemporaryDirectory()
        #expect("\(checkpointError { _ = try ModelDirectory(directory.path).config() }, default: "")".contains("empty"))
        try directory.write("model.safetensors", "x")
        #expect("\(checkpointError { _ = try ModelDirectory(directory.path).config() }, default: "")".contains("config.json"))
        try directory.write("config.json", "{nonsense")
        #expect("\(checkpointError { _ = try ModelDirectory(directory.path).config() }, default: "")".contains("valid JSON"))
    }
}
