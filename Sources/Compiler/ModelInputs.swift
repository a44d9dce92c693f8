internal import ArtifactFormat
import Crypto
import Foundation
package import HuggingFace
package import Inputs
internal import Models
package import Plan

extension ModelDirectory {
    /// The files that make the tokenizer, the one that it cannot do without first.
    private static let tokenizerNames = ["tokenizer.json", "tokenizer_config.json", "added_tokens.json", "special_tokens_map.json"]

    /// The tokenizer of `tokenizer.json`, `tokenizer.model` or `*.tiktoken`, with the tokens that the files beside it declare.
    package func tokenizer() throws(CheckpointError) -> Tokenizer {
        do throws(TokenizerError) {
            return try TokenizerSource(names: names, rankSpecials: RankSpecials.all) { bytes($0) }.tokenizer()
        } catch { throw CheckpointError(.unsupported, file: path, "\(error)") }
    }

    /// The file that the tokenizer is made of, if there is one.
    var tokenizerFile: String {
        ["tokenizer.json", "tokenizer.model"].first { bytes($0) != nil } ?? names.filter { $0.hasSuffix(".tiktoken") }.min() ?? ""
    }

    /// How requests become tokens and patches, by the family that `config.json` names; needs no weights.
    package func inputs(_ tokenizer: Tokenizer) throws(CheckpointError) -> InputSpec {
        try inputs(of: Architectures.definition(for: self), tokenizer)
    }

    /// The chat template of the directory, else that of its family.
    package func foundTemplate() throws(CheckpointError) -> FoundTemplate? {
        if let template = try chatTemplate() { return template }
        return FoundTemplate(family: try inputs(try tokenizer()))
    }

    /// Throws where the tokenizer does not know the token that stands for an image.
    func inputs(of definition: any ModelDefinition, _ tokenizer: Tokenizer) throws(CheckpointError) -> InputSpec {
        var spec = try definition.inputs(TokenNames(text: { tokenizer.token($0) }, token: { tokenizer.id(of: $0) }))
        do throws(TokenizationError) {
            if let prompt = spec.video?.frames.prompt, try !spec.hasVideoPlaceholder(of: tokenizer) {
                spec.video = nil
                spec.videoFault = "no tokenizer file makes \(prompt.tokenText) the added token \(prompt.token), which stands for a video by config.json"
            }
            guard try !spec.hasPlaceholder(of: tokenizer) else { return spec }
        } catch { throw CheckpointError(.unsupported, file: path, "the placeholder of images has no tokens: \(error)") }
        guard let prompt = spec.image?.prompt else { return spec }
        let looked = Self.tokenizerNames.map { bytes($0) == nil ? "\($0) (not there)" : $0 }.joined(separator: ", ")
        throw CheckpointError(
            .inconsistent, file: path,
            "no tokenizer file makes \(prompt.tokenText) the added token \(prompt.token), which stands for an image by config.json; "
                + "looked in \(looked). Save the tokenizer again with transformers' save_pretrained")
    }

    /// - Parameter sections: what becomes of tokenizer, image processor and template, each digested as it is stored.
    func digests(of sections: [SectionName: [UInt8]]) -> ArtifactKey.ConfigDigests {
        func section(_ name: SectionName) -> String { sections[name].map(ArtifactFormat.Digest.of) ?? "" }
        return ArtifactKey.ConfigDigests(
            config: digest("config.json"), generation: digest("generation_config.json"), tokenizer: section(.tokenizer),
            processor: section(.inputs), template: section(.chatTemplate))
    }

    /// The digest of a file; empty where there is none.
    private func digest(_ name: String) -> String {
        guard let bytes = bytes(name) else { return "" }
        var hash = SHA256()
        hash.update(data: Data("\(name) \(bytes.count)\n".utf8))
        hash.update(data: bytes)
        return hash.finalize().hexadecimal
    }
}
