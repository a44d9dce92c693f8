/// Why a tokenizer cannot be loaded: the fact, the place in the file, and what to do.
package struct TokenizerError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Reason: Equatable, Sendable {
        /// The file contradicts its own format.
        case malformed
        /// The file asks for a component or an option that this tokenizer does not have.
        case unsupported
        /// The compiled form was written by another version.
        case version
        /// There is no file that describes a tokenizer.
        case missing
    }

    package var reason: Reason
    /// Where, as a path of keys such as `pre_tokenizer.pretokenizers[0].pattern`.
    package var place: String
    package var message: String

    package var description: String {
        switch reason {
        case .malformed: "tokenizer is damaged at \(place): \(message); download or export it again"
        case .unsupported: "tokenizer needs what is not supported at \(place): \(message)"
        case .version: "compiled tokenizer cannot be read: \(message); compile the model again"
        case .missing: message
        }
    }

    static func malformed(_ place: String, _ message: String) -> TokenizerError {
        TokenizerError(reason: .malformed, place: place, message: message)
    }

    static func unsupported(_ place: String, _ message: String) -> TokenizerError {
        TokenizerError(reason: .unsupported, place: place, message: message)
    }
}
