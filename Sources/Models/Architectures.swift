package import HuggingFace

/// The model families that can be compiled: one line each.
package enum Architectures {
    package static let all: [any ModelDefinition.Type] = [
        Llava.self,
        InternVL.self,
        MiniCPMV.self,
        Phi3V.self,
        QwenVL.self,
        Qwen2VL.self,
        Qwen25VL.self,
        Qwen3VL.self,
        Gemma3.self,
        PaliGemma.self,
        Idefics3.self,
        Pixtral.self,
        PaddleOCRVL.self,
        LightOnOCR.self,
        GLMOCR.self,
        Gemma4.self,
        TextDecoder.self,
    ]

    /// The names that `config.json` may give, sorted.
    package static var names: [String] { Set(all.flatMap { $0.architectures }).sorted() }

    /// The definition for a model directory; the error for an unknown architecture lists the known ones.
    package static func definition(for directory: ModelDirectory) throws(CheckpointError) -> any ModelDefinition {
        let config = try directory.config()
        for name in config.architectures {
            if let family = try family(of: config, where: { $0.architectures.contains(name) }) { return try family.init(directory) }
        }
        if config.architectures.isEmpty, let type = config.modelType {
            if let family = try family(of: config, where: { $0.modelTypes.contains(type) }) { return try family.init(directory) }
        }
        let named = config.architectures.isEmpty ? config.modelType ?? "none" : config.architectures.joined(separator: ", ")
        throw CheckpointError(
            .unsupported, file: config.file, "the architecture \(named) is unknown; the known ones are: \(names.joined(separator: ", "))")
    }

    private static func family(
        of config: ModelConfig, where isNamed: (any ModelDefinition.Type) -> Bool
    ) throws(CheckpointError) -> (any ModelDefinition.Type)? {
        for family in all where isNamed(family) {
            if try family.computes(config) { return family }
        }
        return nil
    }
}
