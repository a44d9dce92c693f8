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

    /// How the linear layers are quantized; nil when they are not. Throws `.unsupported` for other methods than AWQ.
    package func quantization() throws(CheckpointError) -> AWQConfig? {
        let top = try section()
        if let section = try top.section("quantization_config") { return try AWQConfig(section) }
        guard let section = try top.section("text_config")?.section("quantization_config") else { return nil }
        return try AWQConfig(section)
    }
}

/// The quantization that AutoAWQ writes: 4-bit weights in groups with a scale and a zero point each.
package struct AWQConfig: Sendable, Hashable {
    /// Inputs that share a scale and a zero point.
    package var groupSize: Int
    /// Module path fragments of layers that stay as they are; information only, the tensors that are present decide.
    package var modulesToNotConvert: [String]

    init(_ section: ConfigSection) throws(CheckpointError) {
        guard let method = try section.string("quant_method") else { throw section.error("quant_method", "is missing") }
        guard method.lowercased() == "awq" else {
            throw section.error(
                "quant_method", "is \"\(method)\", which is not supported; use the unquantized checkpoint or an AWQ one", .unsupported)
        }
        let bits = try section.int("bits", "w_bit") ?? 4
        guard bits == 4 else { throw section.error("bits", "is \(bits); only 4-bit AWQ is supported", .unsupported) }
        try Self.requireGEMM(section)
        guard try section.bool("zero_point") ?? true else {
            throw section.error("zero_point", "is false; only AWQ with zero points is supported", .unsupported)
        }
        let given = try section.int("group_size")
        let groupKey = given == nil && section.members["q_group_size"] != nil ? "q_group_size" : "group_size"
        groupSize = try section.int("group_size", "q_group_size") ?? 128
        guard groupSize != -1 else {
            throw section.error(groupKey, "is -1, one group for each whole column, which is not supported; the known sizes are: \(Self.sizes)", .unsupported)
        }
        guard Self.groupSizes.contains(groupSize) else {
            throw section.error(groupKey, "is \(groupSize); the known sizes are: \(Self.sizes)", .unsupported)
        }
        modulesToNotConvert = try section.strings("modules_to_not_convert") ?? []
    }

    /// The group sizes that int4 kernels know.
    package static let groupSizes = [32, 64, 128]
    private static var sizes: String { groupSizes.map(String.init).joined(separator: ", ") }

    /// Refuses other layouts of the packed weights than AutoAWQ's GEMM, under each of the keys that name one.
    private static func requireGEMM(_ section: ConfigSection) throws(CheckpointError) {
        for key in ["version", "format"] {
            guard let layout = try section.string(key) else { continue }
            guard layout.lowercased() == "gemm" else {
                throw section.error(key, "is \"\(layout)\"; only the AWQ layout \"gemm\" is supported", .unsupported)
            }
            break
        }
        if let backend = try section.string("backend"), backend.lowercased() == "llm-awq" {
            throw section.error("backend", "is \"\(backend)\", whose layout of the weights is not supported; only \"gemm\" of AutoAWQ is", .unsupported)
        }
    }
}
