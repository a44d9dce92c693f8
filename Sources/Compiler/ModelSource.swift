package import ArtifactFormat
internal import ChatTemplates
import Crypto
import Foundation
import GuidedDecoding
package import HuggingFace
package import Inputs
package import Models
package import Plan

extension Store {
    /// What the store remembers of checkpoints' weights.
    var digestCache: DigestCache {
        DigestCache(read: { record(.digests, $0) }, write: { try setRecord(.digests, $0, $1) })
    }
}

/// A model directory that was read and understood, before anything is traced.
package struct ModelSource {
    /// Where the files are.
    package let directory: String
    /// The name by which people know the model.
    package let name: String
    package let checkpoint: Checkpoint
    /// The class that `config.json` names, the one to use first; empty where it names none.
    let architecture: String
    package let definition: any ModelDefinition
    /// How the checkpoint is quantized; nil where it is not.
    let quantization: QuantizationConfig?
    package let tokenizer: Tokenizer
    package let inputs: InputSpec
    /// The chat template; nil where the directory has none.
    package let template: FoundTemplate?
    /// The sections that an artifact takes from the directory as they are written, by name.
    let sections: [SectionName: [UInt8]]
    let digests: ArtifactKey.ConfigDigests
    /// Which hidden states of another model it guesses tokens from; nil for a model of its own.
    package let innerStatesRead: InnerStates?

    /// - Parameters:
    ///   - directory: the model's own, or its folder in HuggingFace's cache.
    ///   - store: remembers the digests of weights.
    ///   - families: those that are known.
    package init(directory: String, store: Store, families: FamilyTable = .standard) throws(CompileError) {
        let files: ModelDirectory
        do throws(CheckpointError) {
            files = try ModelDirectory(directory)
            try EagleHead.refuse(files)
            (self.directory, name) = (files.path, files.name)
            architecture = try files.config().architectures.first ?? ""
            definition = try families.definition(for: files)
            quantization = try files.config().quantization()
            let cache = store.digestCache
            checkpoint = definition.effective(try Checkpoint(directory: files.path, cache: cache))
            tokenizer = try files.tokenizer()
            let inputs = try files.inputs(of: definition, tokenizer)
            template = try files.chatTemplate() ?? FoundTemplate(family: inputs)
            self.inputs = inputs.tried(with: template)
        } catch { throw .checkpoint(error) }
        do throws(ArtifactError) {
            var sections = [SectionName.tokenizer: tokenizer.compiled, .inputs: try JSONCoding.encode(inputs)]
            if let template { sections[.chatTemplate] = Array(template.source.utf8) }
            self.sections = sections
        } catch { throw .artifact(error) }
        digests = files.digests(of: sections)
        innerStatesRead = nil
    }

    init(
        _ files: ModelDirectory, _ checkpoint: Checkpoint, _ definition: any ModelDefinition, head inner: InnerStates, of model: ModelSource,
        _ sections: [SectionName: [UInt8]]
    ) throws(CheckpointError) {
        (directory, name, architecture) = (files.path, files.name, try files.config().architectures.first ?? "")
        (self.checkpoint, self.definition, quantization) = (checkpoint, definition, try files.config().quantization())
        (tokenizer, inputs, template) = (model.tokenizer, try definition.inputs(TokenNames(text: { _ in nil }, token: { _ in nil })), nil)
        (self.sections, digests, innerStatesRead) = (sections, files.digests(of: sections), inner)
    }

    /// What was examined, of which plans can be made and nothing stored.
    init(
        _ files: ModelDirectory, _ checkpoint: Checkpoint, _ definition: any ModelDefinition, _ tokenizer: Tokenizer, _ inputs: InputSpec,
        _ template: FoundTemplate?, _ quantization: QuantizationConfig?
    ) {
        (directory, name, architecture) = (files.path, files.name, "")
        (self.checkpoint, self.definition, self.tokenizer, self.inputs) = (checkpoint, definition, tokenizer, inputs)
        self.template = template
        sections = [:]
        digests = ArtifactKey.ConfigDigests(config: "")
        self.quantization = quantization
        innerStatesRead = nil
    }

    /// What speaks against the checkpoint being quantized as `name` says; nil where it is.
    package func quantizationMismatch(_ name: String) -> String? {
        guard let quantization else { return name.lowercased() == "none" ? nil : "the checkpoint is not quantized" }
        return quantization.isCalled(name) ? nil : "the checkpoint is quantized by \(quantization.summary)"
    }

    /// The section of the texts of tokens that an answer may spell.
    var tokenTrie: [UInt8] {
        let (tokenizer, unspelled) = (tokenizer, inputs.unspelledTokens)
        return TokenTrie(vocabularySize: inputs.vocabularySize) {
            unspelled.contains($0) || tokenizer.isSpecial($0) ? nil : tokenizer.bytes(of: $0)
        }.compiled
    }

    /// Tokens of the longest context.
    package var contextLength: Int { definition.geometry.maxPositions }

    /// Digest of what a trace depends on: all tensors' names, types and shapes, and which lists of groups are the same.
    var tensorDigest: String {
        var hash = SHA256()
        for tensor in checkpoint.tensors { hash.update(data: Data("\(tensor.name) \(tensor.type)\n".utf8)) }
        for (name, list) in GroupList.lists(of: checkpoint).sorted(by: { $0.key < $1.key }) {
            hash.update(data: Data("\(name) \(list.first) \(list.span ?? 0)\n".utf8))
        }
        return hash.finalize().hexadecimal
    }

    /// Most patches of a vision call: what the processor allows, and not more than fill the context.
    func maxPatches(modelLength: Int) -> Int {
        guard let image = inputs.image else { return 0 }
        let cell = image.pixels.order.cellSide * image.pixels.order.cellSide
        let fitting = max(modelLength, 0) * cell
        // A call takes one slice of a video at least.
        guard let most = image.maxRows, let slice = inputs.video.map(\.frames.maxRows) ?? 0 else { return fitting }
        // Where features are other than cells, rows tell nothing of tokens.
        guard case .cells = image.features, image.pixels.classRows == 0 else { return max(most, slice) }
        return min(max(most, slice), fitting)
    }
}

extension ModelSource {
    /// What does not keep the model from compiling and will be missed, each with its place and the next step.
    package var warnings: [String] {
        guard innerStatesRead == nil else { return [] }
        return Self.warnings(of: template, in: directory) + Self.warnings(of: tokenizer, in: directory) + Self.warnings(of: inputs, in: directory)
            + quantizationWarnings
    }

    static func warnings(of inputs: InputSpec, in directory: String) -> [String] {
        let videos = inputs.videoFault.map {
            "\(directory) takes no videos: \($0). Requests with videos will be refused; mend it and compile again"
        }
        let ends = inputs.endTokenIDs.isEmpty
            ? "\(directory) names no token that ends an answer: each will be as long as it may be. Add eos_token_id to generation_config.json and compile again" : nil
        return [videos, ends].compactMap(\.self)
    }

    /// Names of tensors that only quantized layers have.
    private static let quantizedParts = ["qweight", "weight_packed", "weight_scale", "weight_scale_inv"]

    private var quantizationWarnings: [String] {
        guard let quantization else { return [] }
        let isThere = checkpoint.tensors.contains { tensor in Self.quantizedParts.contains { tensor.name.hasSuffix(".\($0)") } }
        return isThere ? [] : ["\(directory)/config.json says that weights are quantized (\(quantization.summary)), but no tensor is: they are compiled as they are"]
    }

    static func warnings(of tokenizer: Tokenizer, in directory: String) -> [String] {
        guard let fault = tokenizer.fault else { return [] }
        return ["\(directory)/tokenizer.json was tried on \(fault). Requests with such texts will be refused; mend it and compile again"]
    }

    static func warnings(of template: FoundTemplate?, in directory: String) -> [String] {
        let refused = "requests for chats will be refused"
        guard let template else {
            let names = ModelDirectory.templateNames.joined(separator: ", ")
            return ["\(directory) has no chat template (looked in \(names)): \(refused). Add chat_template.jinja"]
        }
        do throws(ChatTemplateError) { _ = try ChatTemplate(source: template.source) } catch {
            return ["\(directory)/\(template.file): \(error): \(refused). Mend the template and compile again"]
        }
        return []
    }
}

extension FoundTemplate {
    /// The template that a family has for directories without one.
    init?(family inputs: InputSpec) {
        guard let source = inputs.chatTemplate else { return nil }
        self.init(source: source, file: "the family's own template")
    }
}

extension Crypto.Digest {
    /// The bytes as lower-case hexadecimal digits.
    var hexadecimal: String { map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }
}
