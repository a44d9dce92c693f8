package import ArtifactFormat
internal import ChatTemplates
package import Inputs
internal import JSON
package import Plan
package import Serving

/// Why an artifact does not become a session, or a session does not compute what it is asked.
package struct SessionError: Error, Sendable, CustomStringConvertible {
    package let description: String

    /// Runs `body`; what it throws becomes an error with the same message.
    static func wrapping<R>(_ body: () throws -> R) throws(SessionError) -> R {
        do { return try body() } catch { throw SessionError(description: "\(error)") }
    }
}

/// What a model makes inputs of requests with: its description of inputs, its tokenizer and its chat template.
package struct ModelInputs: Sendable {
    package let spec: InputSpec
    package let tokenizer: Tokenizer
    /// Nil where there is none that can be used; then `fault` says why.
    private let template: ChatTemplate?
    private let fault: String?
    /// Tells models apart whose image embeddings differ.
    private let key: String
    /// The compiled tree of the tokens' texts; nil where there is none.
    private var tokenTrie: @Sendable () -> [UInt8]? = { nil }

    /// - Parameter template: the chat template's source; nil for a model without one.
    package init(spec: InputSpec, tokenizer: Tokenizer, template source: String?, key: String = "") {
        self.spec = spec
        self.tokenizer = tokenizer
        self.key = key
        guard let source else {
            template = nil
            fault = "the model has no chat template, so that it answers no chats; add one to its directory and compile it again"
            return
        }
        do throws(ChatTemplateError) {
            template = try ChatTemplate(source: source)
            fault = nil
        } catch {
            template = nil
            fault = "the model's template for chats does not parse, so that it answers none (\(error)); mend it and compile again"
        }
    }

    /// The sections of an artifact; a template that does not parse is a fault of the pipeline, not an error.
    ///
    /// - Parameter template: the source of a chat template in place of the artifact's.
    package init(_ artifact: Artifact, template: String? = nil) throws(SessionError) {
        self = try SessionError.wrapping {
            ModelInputs(
                spec: try artifact.inputSpec(), tokenizer: try artifact.tokenizer(), template: try template ?? artifact.chatTemplate(),
                key: artifact.manifest.weightsKey + artifact.manifest.programKey)
        }
        tokenTrie = { artifact.has(.tokenTrie) ? try? artifact.section(.tokenTrie) : nil }
        let (holdsImages, holdsVideos) = try SessionError.wrapping {
            (try spec.hasPlaceholder(of: tokenizer), try spec.hasVideoPlaceholder(of: tokenizer))
        }
        guard holdsImages, holdsVideos else {
            let (field, token) = holdsImages ? ("video.frames.prompt", spec.video?.frames.prompt.token) : ("image.prompt", spec.image?.prompt.token)
            throw SessionError(
                description: "\(artifact.path): section inputs.json is malformed: \(field).tokenText is not the token "
                    + "\(token ?? 0) of the artifact's tokenizer; rebuild it with vlmc compile MODEL_DIR --force")
        }
    }

    /// The way from requests to prompts. Where there is no template that can be used, its `refusal` says why.
    ///
    /// - Parameters:
    ///   - maxPatches: most patches of one image.
    ///   - maxImagePixels: more pixels than this are refused by an image's header alone.
    ///   - contextLength: tokens; what is certainly longer is refused before it is decoded or tokenized.
    package func pipeline(
        maxPatches: Int = 1 << 20, maxImagePixels: Int = ImageDecoder.defaultMaxPixels, contextLength: Int = .max
    ) -> InputPipeline {
        let (spec, tokenizer, template, fault) = (spec, tokenizer, template, fault)
        @Sendable func rendering(_ template: ChatTemplate) -> InputPipeline.Render {
            { messages, extra, budget in try template.render(spec.templateContext(messages: messages, extra: extra), budget: budget) }
        }
        let refuse: InputPipeline.Render = { _, _, _ in throw SessionError(description: fault ?? "") }
        let newDecoder: @Sendable (TokenShowing) -> any TokenTextDecoder = { showing in
            IncrementalDecoder(tokenizer, skipSpecialTokens: showing.skipsSpecialTokens, spacesAddedTokens: showing.spacesAddedTokens)
        }
        return InputPipeline(
            spec: spec, modelKey: key, maxPatches: maxPatches, maxImagePixels: maxImagePixels, contextLength: contextLength,
            tokenBytesMax: tokenizer.maxTokenBytes, refusal: fault,
            render: template.map { rendering($0) } ?? refuse,
            encode: { text, adds, budget in try tokenizer.encode(text, addSpecialTokens: adds, budget: budget) },
            newDecoder: newDecoder, tokenBytes: { tokenizer.bytes(of: $0) }, isSpecial: { tokenizer.isSpecial($0) },
            tokenTrie: tokenTrie, parse: { source in rendering(try ChatTemplate(source: source)) })
    }
}

extension ModelInputs {
    /// Throws where the source of a chat template does not parse, with the place in it.
    ///
    /// - Parameter name: what a person calls it.
    package static func check(template source: String, named name: String) throws(SessionError) {
        do throws(ChatTemplateError) { _ = try ChatTemplate(source: source) } catch {
            throw SessionError(description: "\(name), \(error.place): \(error.message)")
        }
    }
}

extension Artifact {
    /// The tokenizer, as it was compiled.
    package func tokenizer() throws(SessionError) -> Tokenizer {
        try SessionError.wrapping { try Tokenizer(compiled: section(.tokenizer)) }
    }

    /// The source of the chat template; nil where the model has none.
    package func chatTemplate() throws(ArtifactError) -> String? {
        guard has(.chatTemplate) else { return nil }
        return String(decoding: try section(.chatTemplate), as: UTF8.self)
    }
}
