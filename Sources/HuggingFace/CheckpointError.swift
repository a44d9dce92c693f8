/// Why a model directory, or a file in it, cannot be used: the fact, the file and the tensor or key, and what to do.
package struct CheckpointError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of fault, for callers that react differently to some.
    package enum Reason: Sendable, Hashable {
        /// A file or directory is absent.
        case missing
        /// The system refused to open, map or write a file.
        case io
        /// A file breaks the rules of its format.
        case malformed
        /// A tensor's shape, type or presence contradicts the rest of the checkpoint.
        case inconsistent
        /// A weight is NaN or infinite.
        case notFinite
        /// Valid, but outside what is supported.
        case unsupported
    }

    package var reason: Reason
    /// The file or directory at fault.
    package var file: String
    /// The tensor at fault, by its name in the file.
    package var tensor: String?
    package var message: String

    package init(_ reason: Reason, file: String, tensor: String? = nil, _ message: String) {
        self.reason = reason
        self.file = file
        self.tensor = tensor
        self.message = message
    }

    package var description: String {
        if let tensor { return "\(file): tensor \"\(tensor)\": \(message)" }
        return "\(file): \(message)"
    }
}
