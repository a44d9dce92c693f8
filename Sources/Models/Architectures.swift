package import HuggingFace

/// The model families that can be compiled: one line each.
package enum Architectures {
    package static let all: [any ModelDefinition.Type] = [
        Qwen2VL.self
    ]

    /// The names that `config.json` may give, sorted.
    package static var names: [String] { all.flatMap { $0.architectures }.sorted() }

    /// The definition for a model directory; the error for an unknown architecture lists the known ones.
    package static func definition(for directory: ModelDirectory) throws(CheckpointError) -> any ModelDefinition {
        let config = try directory.config()
        for name in config.architectures {
            for family in all where family.architectures.contains(name) { return try family.init(directory) }
        }
        if config.architectures.isEmpty, let type = config.modelType {
            for family in all where family.modelTypes.contains(type) { return try family.init(directory) }
        }
        let named = config.architectures.isEmpty ? config.modelType ?? "none" : config.architectures.joined(separator: ", ")
        throw CheckpointError(
            .unsupported, file: config.file, "the architecture \(named) is unknown; the known ones are: \(names.joined(separator: ", "))")
    }
}
