package import HuggingFace

/// Families by the names that `config.json` asks for them.
package struct FamilyTable: Sendable {
    package let families: [any ModelDefinition.Type]

    package init(_ families: [any ModelDefinition.Type]) { self.families = families }

    /// The families of this project.
    package static let standard = FamilyTable(Architectures.all)

    /// The names that `config.json` may give, sorted.
    package var names: [String] { Set(families.flatMap { $0.architectures }).sorted() }

    /// The definition for a model directory; the error for an unknown architecture lists the known ones and its relatives.
    package func definition(for directory: ModelDirectory) throws(CheckpointError) -> any ModelDefinition {
        try family(of: directory.config()).init(directory)
    }

    /// The family that a configuration names.
    package func family(of config: ModelConfig) throws(CheckpointError) -> any ModelDefinition.Type {
        for name in config.architectures {
            if let family = try family(of: config, where: { $0.architectures.contains(name) }) { return family }
        }
        if config.architectures.isEmpty, let type = config.modelType {
            if let family = try family(of: config, where: { $0.modelTypes.contains(type) }) { return family }
        }
        throw unknown(config)
    }

    private func family(
        of config: ModelConfig, where isNamed: (any ModelDefinition.Type) -> Bool
    ) throws(CheckpointError) -> (any ModelDefinition.Type)? {
        for family in families where isNamed(family) {
            if try family.computes(config) { return family }
        }
        return nil
    }

    private func unknown(_ config: ModelConfig) -> CheckpointError {
        let named = config.architectures.isEmpty ? config.modelType ?? "none" : config.architectures.joined(separator: ", ")
        let remarks = Relatives(of: config, among: families).remarks.map { ". \($0)" }.joined()
        return CheckpointError(
            .unsupported, file: config.file,
            "the architecture \(named) is unknown; the known ones are: \(names.joined(separator: ", "))\(remarks)")
    }
}

extension Architectures {
    /// The names that `config.json` may give, sorted.
    package static var names: [String] { FamilyTable.standard.names }

    /// The definition for a model directory among the families of this project.
    package static func definition(for directory: ModelDirectory) throws(CheckpointError) -> any ModelDefinition {
        try FamilyTable.standard.definition(for: directory)
    }
}
