import ArgumentParser
import ArtifactFormat
import Budgets
import ChatTemplates
import CPUBackend
import Execution
import Foundation
import Inputs
import JSON
import Plan

/// How a question is computed.
struct ComputeOptions: ParsableArguments {
    @Option(help: "Threads that compute. Default: one per core.")
    var threads: Int?

    func validate() throws {
        let range = CPUBackend.threadRange
        guard let threads, !range.contains(threads) else { return }
        throw ValidationError("--threads \(threads) is not in \(range.lowerBound) … \(range.upperBound)")
    }
}

/// An artifact opened for single questions: its tokenizer, template and model.
struct OpenedModel {
    let artifact: Artifact
    let spec: InputSpec
    let tokenizer: Tokenizer
    /// The source of the chat template, which nothing but messages need.
    private let template: String?
    let model: any LoadedModel

    init(_ path: String, threads: Int?) throws(Failure) {
        artifact = try Failure.wrapping { () throws(ArtifactError) in try Artifact.open(directory: path) }
        let artifact = artifact
        try Failure.wrapping { () throws(ArtifactError) in try artifact.checkWeights() }
        spec = try Failure.wrapping { () throws(ArtifactError) in try artifact.inputSpec() }
        tokenizer = try Failure.wrapping { try Tokenizer(compiled: try artifact.section(.tokenizer)) }
        guard try Failure.wrapping({ [spec, tokenizer] in try spec.hasPlaceholder(of: tokenizer) }) else {
            throw Failure("\(path): the placeholder of pictures in inputs.json is no token of the artifact's tokenizer")
        }
        template = try Failure.wrapping {
            guard artifact.has(.chatTemplate) else { return nil }
            return String(decoding: try artifact.section(.chatTemplate), as: UTF8.self)
        }
        model = try Failure.wrapping { () throws(BackendError) in try CPUBackend(threads: threads).load(artifact) }
    }

    /// Messages with pictures as tokens, patches and positions: what a server makes of them.
    func prepare(_ messages: [JSONValue], pictures: [Image]) throws -> PreparedPrompt {
        guard let template else { throw Failure("the artifact has no chat template") }
        let rendered = try Conversation(messages).rendered(by: ChatTemplate(source: template), spec)
        return try prepare(rendered: rendered, pictures: pictures)
    }

    /// Rendered text with pictures as tokens, patches and positions; what stands for the pictures may be written out in it.
    func prepare(rendered: String, pictures: [Image]) throws -> PreparedPrompt {
        if spec.picture == nil, !pictures.isEmpty { throw Failure("the model takes no pictures") }
        let read = try spec.picture.map { try PictureReader($0).readAll(pictures) } ?? []
        let tokenizer = tokenizer
        let assembler = PromptAssembler(spec: spec) { try tokenizer.boundedIDs(of: $0, addSpecialTokens: $1) }
        return try assembler.prepare(rendered: assembler.collapsed(rendered, read), pictures: read)
    }
}

extension Tokenizer {
    /// The ids of a text that a person gave; throws when they take more than a minute of processor time.
    func boundedIDs(of text: String, addSpecialTokens: Bool = false) throws(TokenizationError) -> [Int32] {
        let budget = WorkBudget(cpuLimit: .seconds(60))
        return try budget.onThisThread { () throws(TokenizationError) in
            try encode(text, addSpecialTokens: addSpecialTokens, budget: budget)
        }
    }
}

extension PreparedPrompt {
    /// What the vision entry reads of the prompt's pictures.
    var vision: [VisionInput] { pictures.map(\.picture.input) }

    /// The prompt as one sequence takes it, pictures replaced by `embeddings`.
    func sequence(_ embeddings: [Float]) -> SingleSequence.Prompt {
        var rows = [Int32](repeating: -1, count: inputIDs.count)
        var next: Int32 = 0
        for picture in pictures {
            for token in picture.tokens.ranges.joined() {
                rows[token] = next
                next += 1
            }
        }
        return SingleSequence.Prompt(ids: tokens, positions: positions.ids, imageRows: rows, embeddings: embeddings, spans: spans)
    }
}
