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

    /// Of a head that is to guess tokens of another artifact's model, by its tokens those of the model; empty where they are the same.
    ///
    /// Throws where it does not read what the model leaves.
    package func checkedAsHead(of other: Artifact) throws(ConfigurationError) -> [Int32] {
        let (reads, leaves) = (manifest.key.innerStates, other.manifest.key.innerStates)
        guard let leaves else {
            throw .invalid(
                "--speculative-model \(path): \(other.path) gives no hidden states that a head could read; compile its model with vlmc compile MODEL --speculative-model HEAD")
        }
        guard reads == leaves else {
            throw .invalid("--speculative-model \(path): the head reads hidden states \(reads.map(\.description) ?? "of none"), the model gives those \(leaves)")
        }
        guard has(.draftTokens) else {
            guard program.vocabularySize <= other.program.vocabularySize else {
                throw .invalid("--speculative-model \(path): its vocabulary is of \(program.vocabularySize) tokens, that of the model of \(other.program.vocabularySize)")
            }
            return []
        }
        do {
            let bytes = try section(.draftTokens)
            let tokens = stride(from: 0, to: bytes.count - bytes.count % 4, by: 4).map { start in
                Int32(bitPattern: (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[start + $1]) << (8 * UInt32($1)) })
            }
            guard tokens.count == program.vocabularySize, tokens.allSatisfy({ (0..<other.program.vocabularySize).contains(Int($0)) }) else {
                throw SessionError(description: "\(SectionName.draftTokens) is not of the head's \(program.vocabularySize) tokens, or names one that the model does not have")
            }
            return tokens
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
