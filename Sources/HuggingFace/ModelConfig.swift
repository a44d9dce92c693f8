package import JSON

/// `config.json` and `generation_config.json` of a HuggingFace model directory, in one layout whatever wrote them.
package struct ModelConfig: Sendable, Equatable {
    /// The path of `config.json`.
    package let file: String
    /// The classes that the checkpoint names, the one to use first.
    package let architectures: [String]
    /// The family, such as `qwen2_vl`.
    package let modelType: String?
    /// `config.json` in the layout of transformers 5: `text_config`, `vision_config`, `rope_parameters`, `dtype`, class
    /// defaults filled in.
    package let json: JSONValue
    /// `config.json` as it is.
    package let original: JSONValue
    package let generation: GenerationConfig

    /// The canonical document as text; equal configurations have equal text.
    package var canonicalText: String { json.canonicalText }

    /// Reads documents that are in memory; `file` and `generationFile` are what errors call them.
    package init(
        _ raw: JSONValue, file: String = "config.json", generation: JSONValue? = nil,
        generationFile: String = "generation_config.json"
    ) throws(CheckpointError) {
        let top = try ConfigSection(raw, file: file)
        self.file = file
        architectures = try top.strings("architectures") ?? []
        modelType = try top.string("model_type")
        guard !architectures.isEmpty || modelType != nil else {
            throw CheckpointError(.malformed, file: file, "names neither architectures nor model_type, so this is no model's configuration")
        }
        json = try ConfigLayout.canonical(raw, file: file)
        original = raw
        self.generation = try GenerationConfig(generation, file: generationFile, config: ConfigSection(json, file: file))
    }

    /// The canonical document with getters whose errors name the file and the key's path.
    package func section() throws(CheckpointError) -> ConfigSection { try ConfigSection(json, file: file) }

    /// The document as it is, with such getters.
    package func originalSection() throws(CheckpointError) -> ConfigSection { try ConfigSection(original, file: file) }

    /// How the linear layers are quantized; nil when they are not. Throws `.unsupported` for unknown methods.
    package func quantization() throws(CheckpointError) -> QuantizationConfig? {
        let top = try section()
        if let section = try top.section("quantization_config") { return try QuantizationConfig(section) }
        guard let section = try top.section("text_config")?.section("quantization_config") else { return nil }
        return try QuantizationConfig(section)
    }
}
