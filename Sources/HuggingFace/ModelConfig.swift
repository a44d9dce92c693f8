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

    package init(directory: String) throws(CheckpointError) {
        let names = try Checkpoint.list(directory)
        let file = directory + "/config.json"
        guard names.contains("config.json") else {
            throw CheckpointError(.missing, file: directory, "has no config.json; give the directory of a HuggingFace model")
        }
        let raw = try JSONValue(contentsOf: file)
        let generationFile = directory + "/generation_config.json"
        var generation: JSONValue?
        if names.contains("generation_config.json") { generation = try JSONValue(contentsOf: generationFile) }
        try self.init(raw, file: file, generation: generation, generationFile: generationFile)
    }

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

/// What `generation_config.json` says about decoding; where it is silent, `config.json`.
package struct GenerationConfig: Sendable, Hashable {
    /// Tokens that end an answer.
    package var eosTokenIDs: [Int] = []
    package var bosTokenID: Int?
    package var padTokenID: Int?
    /// Whether sampling is the default; if not, decoding is greedy whatever the temperature.
    package var doSample = false
    package var temperature: Double?
    package var topP: Double?
    /// 0 and -1 mean all tokens.
    package var topK: Int?
    package var repetitionPenalty: Double?

    init(_ json: JSONValue?, file: String, config: ConfigSection) throws(CheckpointError) {
        let generation = try ConfigSection(json ?? [:], file: file)
        let text = try config.section("text_config") ?? config
        eosTokenIDs = try Self.tokens("eos_token_id", [generation, text, config])
        bosTokenID = try Self.tokens("bos_token_id", [generation, text, config]).first
        padTokenID = try Self.tokens("pad_token_id", [generation, text, config]).first
        doSample = try generation.bool("do_sample") ?? false
        temperature = try Self.number("temperature", generation) { $0 >= 0 }
        topP = try Self.number("top_p", generation) { $0 > 0 && $0 <= 1 }
        repetitionPenalty = try Self.number("repetition_penalty", generation) { $0 > 0 }
        topK = try generation.int("top_k")
        if let topK, topK < -1 { throw generation.error("top_k", "is \(topK), which cannot be") }
    }

    /// The token ids under a key of the first section that has it.
    private static func tokens(_ key: String, _ sections: [ConfigSection]) throws(CheckpointError) -> [Int] {
        for section in sections {
            guard let ids = try section.ints(key) else { continue }
            for id in ids where id < 0 || id > Int(Int32.max) { throw section.error(key, "is \(id), which is no token id") }
            return ids
        }
        return []
    }

    private static func number(_ key: String, _ section: ConfigSection, _ valid: (Double) -> Bool) throws(CheckpointError) -> Double? {
        guard let number = try section.double(key) else { return nil }
        guard number.isFinite, valid(number) else { throw section.error(key, "is \(number), which cannot be") }
        return number
    }
}
