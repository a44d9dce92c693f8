package import HuggingFace
package import IR
package import Plan

/// Causal language models that read text only: Llama, Mistral, Qwen, Gemma, Phi-3, InternLM2, LFM2.
package struct TextDecoder: ModelDefinition {
    package static let title = "text alone"
    package static let architectures = [
        "LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM", "GemmaForCausalLM", "Gemma2ForCausalLM",
        "Gemma3ForCausalLM", "Phi3ForCausalLM", "InternLM2ForCausalLM", "QWenLMHeadModel", "Qwen3_5ForCausalLM", "Lfm2ForCausalLM",
    ]
    package static let modelTypes = [
        "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "phi3", "internlm2", "qwen",
        "qwen3_5_text", "lfm2",
    ]

    private let text: DecoderConfiguration
    private let quantization: QuantizationConfig?
    private let spec: InputSpec

    /// The first Qwen with a `visual` part is another family.
    package static func computes(_ config: ModelConfig) throws(CheckpointError) -> Bool {
        try config.originalSection().section("visual") == nil
    }

    package init(_ directory: ModelDirectory) throws(CheckpointError) {
        let config = try directory.config()
        text = try DecoderConfiguration(config.originalSection())
        quantization = try config.quantization()
        spec = try directory.inputs(vocabulary: text.vocabulary, positions: text.positions, config)
    }

    package func inputs(_ tokens: TokenNames) -> InputSpec { spec }

    package var geometry: ModelGeometry { ModelGeometry(text, patchSize: 1, mergeSize: 1) }

    package func effective(_ checkpoint: Checkpoint) -> Checkpoint { text.effective(checkpoint, Self.rewrites) }

    private static let rewrites = [
        NameRewrite("transformer.", "model.", NameTables.qwen), NameRewrite("output.", "lm_head."),
        NameRewrite("model.", "model.", NameTables.internLM2 + NameTables.lfm2),
    ]

    package func trace(_ checkpoint: CheckpointTypes, bounds: TraceBounds) throws(CheckpointError) -> Module {
        try TraceEntries(decoder: text, rewrites: Self.rewrites, quantization: quantization).module(checkpoint, bounds)
    }
}
