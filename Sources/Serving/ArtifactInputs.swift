package import ArtifactFormat
internal import Budgets
internal import ChatTemplates
internal import Inputs
internal import JSON
internal import Plan

/// A tokenizer or template of an artifact that does not fit its other sections.
package struct ArtifactInputsError: Error, CustomStringConvertible {
    package let description: String

    /// Runs `body`; what it throws becomes an error with the same message.
    static func wrapping<R>(_ body: () throws -> R) throws(ArtifactInputsError) -> R {
        do { return try body() } catch { throw ArtifactInputsError(description: "\(error)") }
    }
}

extension InputPipeline {
    /// The way of requests through an artifact's sections: template, tokenizer, picture processor, `inputs.json`.
    ///
    /// Where there is no template that can be used, `refusal` says why.
    package init(
        _ artifact: Artifact, maxPatches: Int, maxImagePixels: Int, contextLength: Int
    ) throws(ArtifactInputsError) {
        let (spec, tokenizer, template) = try ArtifactInputsError.wrapping {
            (try artifact.inputSpec(), try Tokenizer(compiled: artifact.section(.tokenizer)), try ArtifactTemplate(artifact))
        }
        guard try ArtifactInputsError.wrapping({ try spec.hasPlaceholder(of: tokenizer) }) else {
            throw ArtifactInputsError(
                description: "\(artifact.path): section inputs.json is malformed: picture.prompt.tokenText is not the token "
                    + "\(spec.picture?.prompt.token ?? 0) of the artifact's tokenizer; rebuild it with vlmc compile --force")
        }
        self.init(
            spec: spec, modelKey: artifact.manifest.weightsKey + artifact.manifest.programKey, maxPatches: maxPatches,
            maxImagePixels: maxImagePixels, contextLength: contextLength, tokenBytesMax: tokenizer.maxTokenBytes, refusal: template.fault,
            render: { messages, budget in try template.render(spec.templateContext(messages: messages), budget) },
            encode: { text, adds, budget in try tokenizer.encode(text, addSpecialTokens: adds, budget: budget) },
            newDecoder: { IncrementalDecoder(tokenizer, skipSpecialTokens: true) })
    }
}

/// The chat template of an artifact, or why it has none that can be used.
private struct ArtifactTemplate: Sendable {
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
        guard let template else { throw ArtifactInputsError(description: fault ?? "") }
        return try template.render(context, budget: budget)
    }
}
