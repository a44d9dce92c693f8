package import ArtifactFormat
package import HuggingFace

/// Why a model cannot be compiled.
package enum CompileError: Error, CustomStringConvertible {
    /// The checkpoint cannot be read or is wrong.
    case checkpoint(CheckpointError)
    /// The store or the artifact cannot be written or read.
    case artifact(ArtifactError)
    /// The model or a flag asks for what the compiler does not do.
    case unsupported(String)
    /// A flag's value is wrong.
    case badOption(String)
    /// Nothing is compiled, and the store has no such artifact of the model as it is now, or one that is damaged.
    case notStored(model: String, store: String, damage: ArtifactError?)
    /// The compiler contradicts itself.
    case internalInconsistency(String)

    package var description: String {
        switch self {
        case .checkpoint(let error): "\(error)"
        case .artifact(let error): "\(error)"
        case .unsupported(let what), .badOption(let what): what
        case .notStored(_, _, let damage?): "\(damage.fact)"
        case .notStored(let model, let store, nil): "\(store) has no artifact of \(model) as it is now, compiled with these flags"
        case .internalInconsistency(let what): "this is a defect of vlmc, please report it: \(what)"
        }
    }
}
