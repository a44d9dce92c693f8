import ArtifactFormat
import Inputs
import JSON

/// The chat template of an artifact, or why it has none that can be used.
struct ServedTemplate: Sendable {
    private let template: ChatTemplate?
    /// What operators and clients are told; nil where the template can be used.
    let fault: String?

    /// Throws where the artifact is damaged; a template that does not parse is a fault.
    init(_ artifact: Artifact) throws(ArtifactError) {
        guard artifact.has(.chatTemplate) else {
            template = nil
            fault = "the model has no chat template, so that it answers no chats; add one to its directory and compile it again"
            return
        }
        let source = String(decoding: try artifact.section(.chatTemplate), as: UTF8.self)
        do throws(ChatTemplateError) {
            template = try ChatTemplate(source: source)
            fault = nil
        } catch {
            template = nil
            fault = "the model's template for chats does not parse, so that it answers none (\(error)); mend it and compile again"
        }
    }

    /// Messages as the model reads them; throws where there is a fault.
    func render(_ context: JSONObject, _ budget: WorkBudget) throws -> String {
        guard let template else { throw LaunchError(fault ?? "") }
        return try template.render(context, budget: budget)
    }
}
