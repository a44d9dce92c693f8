internal import ArtifactFormat
internal import Budgets
internal import ModelRuntime
internal import Serving

/// Why a model is not loaded, or does not answer.
public enum ModelError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The artifact cannot be read, or its weights are not those that were compiled.
    case artifact(String)
    /// The options ask for more than the artifact was compiled for or the machine has.
    case options(String)
    /// A prompt or an image that the model does not take.
    case input(String)
    /// Parameters outside what they may be.
    case parameters(String)
    /// More requests wait than `ModelOptions.maxQueued`; a later one may be taken.
    case busy(String)
    /// The model's computation failed.
    case failed(String)
    /// The task was cancelled, or the model was stopped, before the answer was whole.
    case cancelled

    /// What is wrong, for people.
    public var description: String {
        switch self {
        case .artifact(let what), .options(let what), .input(let what), .parameters(let what), .busy(let what), .failed(let what): what
        case .cancelled: "cancelled"
        }
    }

    init(_ error: any Error) {
        switch error {
        case let error as ModelError: self = error
        case is CancellationError: self = .cancelled
        case let error as ArtifactError: self = .artifact("\(error)")
        case let error as SessionError: self = .artifact("\(error)")
        case let error as ConfigurationError: self = .options("\(error)")
        case WorkLimitError.cancelled: self = .cancelled
        case InputError.stopped(.cancelled): self = .cancelled
        case let error as InputError: self = .input("\(error)")
        case AdmissionError.queueFull: self = .busy("\(error)")
        case AdmissionError.notServing(.draining), AdmissionError.notServing(.stopped): self = .cancelled
        case AdmissionError.notServing: self = .failed("\(error)")
        case let error as AdmissionError: self = .input("\(error)")
        case let error as GenerationFailure where error.isOfRequest: self = .input("\(error)")
        default: self = .failed("\(error)")
        }
    }

    /// Runs `body`; what it throws becomes an error of this kind.
    static func wrapping<R>(_ body: () async throws -> R) async throws(ModelError) -> R {
        do { return try await body() } catch { throw ModelError(error) }
    }
}
