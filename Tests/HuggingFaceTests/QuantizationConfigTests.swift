import HuggingFace
import JSON
import Testing

/// Which layout a `quantization_config` says, and why others are refused.
@Suite struct QuantizationConfigTests {
    private static func read(_ body: String) throws -> QuantizationConfig? {
        let text = #"{"model_type": "qwen2_vl", "quantization_config": \#(body)}"#
        return try ModelConfig(JSONValue(parsing: text), generation: nil).quantization()
    }

    private static func compressed(_ format: String, _ weights: String, _ inputs: String = "null") -> String {
        #"{"quant_method": "compressed-tensors", "format": "\#(format)", "#
            + #""config_groups": {"group_0": {"weights": \#(weights), "input_activations": \#(inputs)}}}"#
    }

    @Test(arguments: [
        (#"{"quant_method": "awq", "version": "gemv", "group_size": 64}"#, "awq, int4 in groups of 64, layout gemv"),
        (#"{"quant_method": "gptq", "bits": 8, "group_size": -1}"#, "gptq, int8 in a scale for each output"),
        (compressed("pack-quantized", #"{"num_bits": 4, "group_size": 32}"#), "compressed-tensors, int4 (w4a16) in groups of 32"),
        (
            compressed("int-quantized", #"{"num_bits": 8}"#, #"{"dynamic": true, "strategy": "token"}"#),
            "compressed-tensors, int8 weights and inputs (w8a8, smoothquant)"
        ),
        (compressed("int-quantized", #"{"num_bits": 8}"#), "compressed-tensors, int8 weights"),
        (compressed("float-quantized", #"{"num_bits": 8}"#, #"{"dynamic": false}"#), "compressed-tensors, fp8 in rows"),
        (compressed("nvfp4-pack-quantized", #"{"num_bits": 4}"#, #"{"strategy": "tensor_group"}"#), "compressed-tensors, nvfp4"),
        (
            compressed("float-quantized", #"{"num_bits": 8, "strategy": "block", "block_structure": [128, 64]}"#, #"{"strategy": "group"}"#),
            "compressed-tensors, fp8 in blocks of 128x64"
        ),
        (compressed("float-quantized", #"{"num_bits": 8, "strategy": "group", "group_size": 128}"#), "compressed-tensors, fp8 in blocks of 1x128"),
        (#"{"quant_method": "fp8", "weight_block_size": [128, 128]}"#, "fp8, fp8 in blocks of 128x128"),
        (#"{"quant_method": "fp8", "weight_block_size": null, "activation_scheme": "static"}"#, "fp8, fp8 in rows"),
    ])
    func knows(_ body: String, _ summary: String) throws {
        #expect(try Self.read(body)?.summary == summary)
    }

    @Test(arguments: [
        (#"{"quant_method": "gptq", "bits": 3}"#, "cross the borders of words"), (#"{"quant_method": "bitsandbytes"}"#, "while loading"),
        (#"{"quant_method": "gguf"}"#, "another format than safetensors"),
        (#"{"quant_method": "fp8", "weight_block_size": [128]}"#, "not two positive extents"),
        (compressed("int-quantized", #"{"num_bits": 8}"#, #"{"dynamic": false, "strategy": "tensor"}"#), "input_activations.strategy is"),
        (compressed("pack-quantized", #"{"num_bits": 4}"#, #"{"dynamic": true}"#), "with rounded inputs"),
        (compressed("pack-quantized", #"{"num_bits": 2}"#), "num_bits is 2"),
        (compressed("float-quantized", #"{"num_bits": 8, "strategy": "attn_head"}"#), "strategy is"),
        (compressed("float-quantized", #"{"num_bits": 8, "strategy": "group"}"#), "how many inputs share a scale"),
        (compressed("float-quantized", #"{"num_bits": 8, "strategy": "block", "block_structure": [0, 64]}"#), "not two positive extents"),
        (#"{"quant_method": "compressed-tensors", "config_groups": {}}"#, "config_groups is empty"),
    ])
    func refuses(_ body: String, _ reason: String) {
        #expect("\(checkpointError { _ = try Self.read(body) }, default: "no error")".contains(reason))
    }
}
