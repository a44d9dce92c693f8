package import ArtifactFormat
internal import ChatTemplates
import Crypto
import Foundation
package import HuggingFace
package import Inputs
internal import JSON
package import Models
package import Plan

/// A model directory that was read and understood, before anything is traced.
package struct ModelSource {
    /// Where the files are.
    package let directory: String
    /// The name by which people know the model.
    package let name: String
    package let checkpoint: Checkpoint
    package let config: ModelConfig
    package let definition: any ModelDefinition
    package let tokenizer: Tokenizer
    package let inputs: InputSpec
    /// The chat template; nil where the directory has none.
    package let template: FoundTemplate?
    /// The sections that an artifact takes from the directory as they are written, by name.
    let sections: [SectionName: [UInt8]]
    let digests: ArtifactKey.ConfigDigests

    /// - Parameters:
    ///   - directory: the model's own, or its folder in HuggingFace's cache.
    ///   - store: remembers the digests of weights.
    package init(directory: String, store: Store) throws(CompileError) {
        do throws(CheckpointError) {
            let place = try ModelDirectory(directory)
            let directory = place.path
            (self.directory, name) = (directory, place.name)
            config = try ModelConfig(directory: directory)
            definition = try Architectures.definition(for: config)
            let cache = DigestCache(directory: store.recordsPath(.digests))
            checkpoint = definition.effective(try Checkpoint(directory: directory, cache: cache))
        } catch { throw .checkpoint(error) }
        let files = try ModelFiles(directory: self.directory)
        tokenizer = try files.tokenizer()
        template = try files.chatTemplate()
        inputs = try files.inputSpec(tokenizer)
        do throws(ArtifactError) {
            var sections = [SectionName.tokenizer: tokenizer.compiled, .inputs: try JSONCoding.encode(inputs)]
            if let template { sections[.chatTemplate] = Array(template.source.utf8) }
            self.sections = sections
        } catch { throw .artifact(error) }
        digests = files.digests(of: sections)
    }

    /// Digest of all tensors' names, types and shapes.
    var tensorDigest: String {
        var hash = SHA256()
        for tensor in checkpoint.tensors { hash.update(data: Data("\(tensor.name) \(tensor.type)\n".utf8)) }
        return hash.finalize().hexadecimal
    }

    /// Most patches of a vision call: what the processor allows, and not more than fill the context.
    func maxPatches(modelLength: Int) -> Int {
        let cell = definition.geometry.mergeSize * definition.geometry.mergeSize
        let fitting = max(modelLength, 0) * cell
        return min(inputs.visionLimits?.maxPatchesPerImage ?? fitting, fitting)
    }
}

/// The source of a chat template, and the file of the model directory in which it stands.
package struct FoundTemplate: Sendable {
    package let source: String
    package let file: String
}

extension ModelSource {
    /// What does not keep the model from compiling and will be missed, each with its place and the next step.
    package var warnings: [String] {
        templateWarnings + tokenizerWarnings
    }

    private var tokenizerWarnings: [String] {
        guard let fault = tokenizer.fault else { return [] }
        return ["\(directory)/tokenizer.json was tried on \(fault). Requests with such texts will be refused; mend it and compile again"]
    }

    private var templateWarnings: [String] {
        let refused = "requests for chats will be refused"
        guard let template else {
            let names = ModelFiles.templateNames.joined(separator: ", ")
            return ["\(directory) has no chat template (looked in \(names)): \(refused). Add chat_template.jinja"]
        }
        do throws(ChatTemplateError) { _ = try ChatTemplate(source: template.source) } catch {
            return ["\(directory)/\(template.file): \(error): \(refused). Mend the template and compile again"]
        }
        return []
    }
}

/// The small files of a model directory: tokenizer, template, processor. None of them needs the weights.
package struct ModelFiles {
    package let directory: String
    private let contents: [String: [UInt8]]

    private static let names = [
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "added_tokens.json",
        "preprocessor_config.json", "processor_config.json", "special_tokens_map.json", "chat_template.jinja", "chat_template.json",
        "chat_templates/default.jinja",
    ]

    /// - Parameter directory: the model's own, or its folder in HuggingFace's cache.
    package init(directory: String) throws(CompileError) {
        do throws(CheckpointError) { self.directory = try ModelDirectory(directory).path } catch { throw .checkpoint(error) }
        let directory = self.directory
        var contents: [String: [UInt8]] = [:]
        let present = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        for name in Self.names + present.filter(TokenizerSource.reads) where contents[name] == nil {
            let path = "\(directory)/\(name)"
            guard FileManager.default.fileExists(atPath: path) else { continue }
            guard let data = FileManager.default.contents(atPath: path) else {
                throw .unsupported("\(path) cannot be read; may you read it?")
            }
            if LargeFilePointer.isPointer(data) { throw .checkpoint(LargeFilePointer.error(path)) }
            contents[name] = Array(data)
        }
        self.contents = contents
    }

    /// The files that make the tokenizer, the one that it cannot do without first.
    private static let tokenizerNames = ["tokenizer.json", "tokenizer_config.json", "added_tokens.json", "special_tokens_map.json"]

    /// The tokenizer of `tokenizer.json`, `tokenizer.model` or `*.tiktoken`, with the tokens that the files beside it declare.
    package func tokenizer() throws(CompileError) -> Tokenizer {
        do throws(TokenizerError) {
            return try TokenizerSource(names: contents.keys) { contents[$0] }.tokenizer()
        } catch {
            throw .unsupported("\(directory): \(error)")
        }
    }

    /// The template of processor_config.json, else chat_template.json, else chat_template.jinja, else chat_templates/default.jinja:
    /// the order of transformers 5's processors. Else that of tokenizer_config.json; nil where there is none.
    package func chatTemplate() throws(CompileError) -> FoundTemplate? {
        for name in Self.templateNames {
            guard let bytes = contents[name] else { continue }
            if name.hasSuffix(".jinja") { return FoundTemplate(source: String(decoding: bytes, as: UTF8.self), file: name) }
            guard let template = try json(name)?["chat_template"], let source = Self.source(template) else { continue }
            return FoundTemplate(source: source, file: name)
        }
        return nil
    }

    /// Where templates stand, the one that counts first.
    fileprivate static let templateNames = [
        "processor_config.json", "chat_template.json", "chat_template.jinja", "chat_templates/default.jinja", "tokenizer_config.json",
    ]

    /// A text, or of several named ones that called default, else the first.
    private static func source(_ template: JSONValue) -> String? {
        if let source = template.stringValue { return source }
        if let members = template.objectValue { return (members["default"] ?? members.values.first)?.stringValue }
        let named = template.arrayValue?.first { $0["name"]?.stringValue == "default" } ?? template.arrayValue?.first
        return named?["template"]?.stringValue
    }

    /// How requests become tokens and patches; throws where the tokenizer does not know the token that stands for a picture.
    package func inputSpec(_ tokenizer: Tokenizer) throws(CompileError) -> InputSpec {
        let spec: InputSpec
        do throws(InputSpecError) {
            spec = try InputSpec(modelDirectory: directory) { tokenizer.token($0) }
        } catch { throw .unsupported("\(directory)/\(error)") }
        do throws(TokenizationError) {
            guard try !spec.hasPlaceholder(of: tokenizer) else { return spec }
        } catch { throw .unsupported("\(directory): the placeholder of pictures has no tokens: \(error)") }
        guard let placeholder = spec.imagePlaceholder else { return spec }
        let looked = Self.tokenizerNames.map { contents[$0] == nil ? "\($0) (not there)" : $0 }.joined(separator: ", ")
        throw .unsupported(
            "\(directory): no tokenizer file makes \(placeholder.text) the added token \(placeholder.tokenID), which stands for a picture "
                + "by config.json; looked in \(looked). Save the tokenizer again with transformers' save_pretrained")
    }

    /// - Parameter sections: what becomes of tokenizer, image processor and template, each digested as it is stored.
    func digests(of sections: [SectionName: [UInt8]]) -> ArtifactKey.ConfigDigests {
        func section(_ name: SectionName) -> String { sections[name].map(ArtifactFormat.Digest.of) ?? "" }
        return ArtifactKey.ConfigDigests(
            config: digest(["config.json"]), generation: digest(["generation_config.json"]), tokenizer: section(.tokenizer),
            processor: section(.inputs), template: section(.chatTemplate))
    }

    /// One digest over the files that are there; empty when none is.
    private func digest(_ names: [String]) -> String {
        let present = names.filter { contents[$0] != nil }
        guard !present.isEmpty else { return "" }
        var hash = SHA256()
        for name in present {
            hash.update(data: Data("\(name) \(contents[name]?.count ?? 0)\n".utf8))
            hash.update(data: contents[name] ?? [])
        }
        return hash.finalize().hexadecimal
    }

    /// The parsed file; nil where there is none.
    private func json(_ name: String) throws(CompileError) -> JSONValue? {
        guard let bytes = contents[name] else { return nil }
        do throws(JSONError) { return try JSONValue(parsing: bytes, dialect: .python) } catch {
            throw .unsupported("\(directory)/\(name): \(error)")
        }
    }
}

extension Crypto.Digest {
    /// The bytes as lower-case hexadecimal digits.
    var hexadecimal: String { map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }
}
