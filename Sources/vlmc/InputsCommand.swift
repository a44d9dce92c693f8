import ArgumentParser
import ArtifactFormat
import Compiler
import Foundation
import HuggingFace
import Inputs
import Plan
import Tensors

struct InputsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inputs",
        abstract: "Write what the model would be given for a conversation, as HuggingFace names and shapes it.",
        discussion: """
            Writes input_ids i64[1, T], pixel_values f32[P, D], image_grid_thw i64[N, 3] and position_ids i64[3, 1, T] to a \
            safetensors file: the same code that serves requests. A picture is {"type": "image", "image": "PATH"} or \
            OpenAI's {"type": "image_url", "image_url": {"url": "data:…"}}; paths are relative to the messages' file. \
            Needs no weights.
            """)

    @Argument(help: "Model directory or artifact.")
    var directory: String

    @Option(help: "JSON file: a list of messages, or an object with messages and what else the template may see.")
    var messages: String

    @Option(name: .shortAndLong, help: "Safetensors file to write.")
    var output: String

    func run() throws {
        let tokenizer = try Sources.tokenizer(directory)
        let spec = try spec(tokenizer)
        let document = try Sources.json(messages)
        let conversation = try Conversation(document, relativeTo: URL(fileURLWithPath: messages).deletingLastPathComponent())
        let prompt = try Failure.wrapping {
            let pictures = try conversation.pictures()
            let patches = try pictures.map { picture in
                guard let processor = spec.imageProcessor else { throw Failure("the model takes no pictures") }
                return try ImageProcessor(processor).patches(from: picture)
            }
            let rendered = try Sources.template(directory).render(conversation.context(spec))
            let assembler = PromptAssembler(spec: spec) { tokenizer.encode($0, addSpecialTokens: false) }
            return try assembler.prepare(rendered: rendered, pictures: patches)
        }
        try Failure.wrapping { try write(prompt, spec) }
    }

    private func spec(_ tokenizer: Tokenizer) throws -> InputSpec {
        guard Sources.isArtifact(directory) else {
            return try Failure.wrapping { () throws(CompileError) in
                try ModelFiles(directory: directory).inputSpec(tokenizer)
            }
        }
        return try Failure.wrapping { () throws(ArtifactError) in try Artifact.open(directory: directory).inputSpec() }
    }

    private func write(_ prompt: PreparedPrompt, _ spec: InputSpec) throws {
        let count = prompt.inputIDs.count
        var writer = SafetensorsWriter()
        writer.add("input_ids", .i64, shape: [1, count], prompt.inputIDs.map(Int64.init))
        let positions = prompt.positions.ids.map(Int64.init)
        writer.add("position_ids", .i64, shape: [prompt.positions.axes, 1, count], positions)
        if !prompt.pictures.isEmpty, let processor = spec.imageProcessor {
            let values = prompt.pictures.flatMap { ImageProcessor(processor).pixelValues(of: $0.patches) }
            let shape = [values.count / processor.patchDimension, processor.patchDimension]
            writer.add("pixel_values", .f32, shape: shape, values)
            let grids = prompt.pictures.flatMap { $0.patches.grid.map(Int64.init) }
            writer.add("image_grid_thw", .i64, shape: [prompt.pictures.count, 3], grids)
        }
        try writer.write(to: output)
    }
}

/// Messages with their pictures, and what else a chat template may see.
struct Conversation {
    let messages: [Inputs.JSONValue]
    private let extra: JSONObject
    private let folder: URL

    init(_ document: Inputs.JSONValue, relativeTo folder: URL) throws(Failure) {
        let extra = document.objectValue ?? JSONObject()
        guard let messages = (document.arrayValue ?? extra["messages"]?.arrayValue) else {
            throw Failure("the messages are neither a list nor an object with messages")
        }
        self.messages = messages
        self.extra = extra
        self.folder = folder
    }

    /// What the template sees.
    func context(_ spec: InputSpec) -> JSONObject {
        spec.templateContext(messages: .array(messages), extra: extra)
    }

    /// The decoded pictures in the order of their parts.
    func pictures() throws -> [Image] {
        try PictureReference.all(in: messages).map { reference in
            let bytes: [UInt8]
            switch reference.source {
            case .bytes(let data): bytes = data
            case .file(let path):
                let url = path.hasPrefix("/") ? URL(fileURLWithPath: path) : folder.appending(path: path)
                guard let data = FileManager.default.contents(atPath: url.path) else {
                    throw Failure("message \(reference.message), part \(reference.part): there is no file \(path)")
                }
                bytes = Array(data)
            case .remote(let url):
                throw Failure("message \(reference.message), part \(reference.part): \(url) is not fetched; give a path or a data: URL")
            }
            do { return try ImageDecoder().decode(bytes) } catch {
                throw Failure("message \(reference.message), part \(reference.part): \(error)")
            }
        }
    }
}
