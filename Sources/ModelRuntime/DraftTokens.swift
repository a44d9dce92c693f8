package import ArtifactFormat
internal import Inputs
package import Plan
package import Serving

extension Artifact {
    /// The description of inputs of an artifact whose model is to guess tokens of another one's.
    ///
    /// Throws where the two mean different tokens by one id. Ids that only one of them has a token for, such as rows that fill a vocabulary, are no
    /// difference; where one has no tokenizer, the vocabularies must be of one size.
    package func checkedAsDraft(of other: Artifact) throws(ConfigurationError) -> InputSpec {
        do {
            if let difference = try difference(fromTokensOf: other) {
                throw SessionError(description: "\(difference); a draft model must have the tokens of the model that it guesses for")
            }
            return try inputSpec()
        } catch {
            throw .invalid("--speculative-model \(path): \(error)")
        }
    }

    private func difference(fromTokensOf other: Artifact) throws -> String? {
        let (size, otherSize) = (program.vocabularySize, other.program.vocabularySize)
        guard has(.tokenizer), other.has(.tokenizer) else {
            return size == otherSize ? nil : "its vocabulary is of \(size) tokens, that of the model of \(otherSize), and there are no two tokenizers to compare"
        }
        let (bytes, otherBytes) = (try section(.tokenizer), try other.section(.tokenizer))
        guard bytes != otherBytes else { return nil }
        let (own, others) = (try Tokenizer(compiled: bytes), try Tokenizer(compiled: otherBytes))
        let limit = min(size, otherSize, own.idLimit, others.idLimit)
        for id in 0..<Int32(limit) {
            if let token = own.token(id), let otherToken = others.token(id), token != otherToken {
                return "its token \(id) is \(quoted(token)), that of the model \(quoted(otherToken))"
            }
        }
        return nil
    }

    private func quoted(_ token: String) -> String { "\"\(token.prefix(40))\"" }
}
