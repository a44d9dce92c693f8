import CommandLineSupport
import Foundation
import JSON

extension ArtifactChoice {
    /// A model and the EAGLE head that guesses its tokens, each compiled for the other; nil where `draft` is no head by its config.json.
    ///
    /// - Parameter isHead: whether it is one whatever that says.
    func with(head draft: ArtifactChoice, isHead: Bool) throws -> (model: ArtifactChoice, head: ArtifactChoice)? {
        guard let head = try draft.folder() else { return nil }
        guard try draft.isHead(head) || isHead else { return nil }
        guard let model = try folder() else {
            throw LaunchError(
                "--speculative-model \(draft.name) is the directory of a head, and \(name) an artifact: give the model's directory as well, or artifacts of vlmc compile MODEL --speculative-model HEAD and vlmc compile HEAD --head-of MODEL")
        }
        return (adding(["--speculative-model", head]), draft.adding(["--head-of", model]))
    }

    /// Whether a folder's config.json is that of an EAGLE head; throws for others that guess tokens from another model's hidden states.
    private func isHead(_ folder: String) throws(LaunchError) -> Bool {
        guard let data = FileManager.default.contents(atPath: "\(folder)/config.json"), let config = try? JSONValue(parsing: Array(data)) else { return false }
        let names = (config["architectures"]?.arrayValue ?? []).compactMap(\.stringValue) + [config["model_type"]?.stringValue].compactMap(\.self)
        let heads = ["medusa", "mlpspeculator", "mlp_speculator", "mtp"]
        if let head = names.first(where: { name in heads.contains { name.lowercased().contains($0) } }) {
            throw LaunchError(
                "--speculative-model \(name): \(head) guesses from another model's hidden states, which is not served; give an EAGLE head, a whole model of the same tokens, or '[ngram]'")
        }
        return config["draft_vocab_size"] != nil || names.contains { $0.lowercased().contains("eagle") }
    }
}
