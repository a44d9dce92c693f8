import ArgumentParser
import ArtifactFormat
import Budgets
import ChatTemplates
import CommandLineSupport
import Compiler
import Foundation
import HuggingFace
import Inputs
import JSON
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

    @Argument(help: "A model directory, or an artifact: its directory, the beginning of its key, or its model's name.")
    var model: String

    @Option(help: "JSON file: a list of messages, or an object with messages and what else the template may see.")
    var messages: String

    @Option(name: .shortAndLong, help: "Safetensors file to write.")
    var output: String

    @OptionGroup var store: StoreOption

    func run() throws {
        let directory = try store.source(model)
        let tokenizer = try Sources.tokenizer(directory)
        let spec = try spec(directory, tokenizer)
        let document = try Sources.json(messages)
        let conversation = try Conversation(document, relativeTo: URL(fileURLWithPath: messages).deletingLastPathComponent())
        let prompt = try Failure.wrapping {
            let pictures = try conversation.pictures(spec)
            let rendered = try conversation.rendered(by: Sources.template(directory), spec)
            let assembler = PromptAssembler(spec: spec) { try tokenizer.boundedIDs(of: $0, addSpecialTokens: $1) }
            return try assembler.prepare(rendered: rendered, pictures: pictures)
        }
        try Failure.wrapping { try write(prompt, spec) }
    }

    private func spec(_ directory: String, _ tokenizer: Tokenizer) throws -> InputSpec {
        guard Sources.isArtifact(directory) else {
            return try Failure.wrapping { () throws(CheckpointError) in try ModelDirectory(directory).inputs(tokenizer) }
        }
        return try Failure.wrapping { () throws(ArtifactError) in try Artifact.open(directory: directory).inputSpec() }
    }

    private func write(_ prompt: PreparedPrompt, _ spec: InputSpec) throws {
        let count = prompt.inputIDs.count
        var writer = SafetensorsWriter()
        writer.add("input_ids", .i64, shape: [1, count], prompt.inputIDs.map(Int64.init))
        let positions = prompt.positions.ids.map(Int64.init)
        writer.add("position_ids", .i64, shape: [prompt.positions.axes, 1, count], positions)
        if !prompt.pictures.isEmpty, let picture = spec.picture {
            let pictures = prompt.pictures.map(\.picture)
            let pixels = picture.pixelValues(of: pictures)
            writer.add("pixel_values", .f32, shape: pixels.shape, pixels.values)
            if [.patches, .rasterPatches].contains(picture.pixels.form) {
                writer.add("image_grid_thw", .i64, shape: [pictures.count, 3], pictures.flatMap { $0.grid.map(Int64.init) })
            } else {
                let sizes = pictures.flatMap { [Int64($0.layout.size.height), Int64($0.layout.size.width)] }
                writer.add("image_sizes", .i64, shape: [pictures.count, 2], sizes)
            }
        }
        try writer.write(to: output)
    }
}

/// Messages with their pictures, and what else a chat template may see.
struct Conversation {
    let messages: [JSONValue]
    private let extra: JSONObject
    private let folder: URL

    init(_ document: JSONValue, relativeTo folder: URL) throws(Failure) {
        var extra = document.objectValue ?? JSONObject()
        guard let messages = (document.arrayValue ?? extra["messages"]?.arrayValue) else {
            throw Failure("the messages are neither a list nor an object with messages")
        }
        extra["messages"] = nil
        self.messages = messages
        self.extra = extra
        self.folder = folder
    }

    init(_ messages: [JSONValue]) { (self.messages, extra, folder) = (messages, JSONObject(), URL(fileURLWithPath: ".")) }

    /// The text that the template makes of the messages.
    func rendered(by template: ChatTemplate, _ spec: InputSpec) throws(ChatTemplateError) -> String {
        func render(_ messages: JSONValue, _ extra: JSONObject) throws(ChatTemplateError) -> String {
            try template.render(spec.templateContext(messages: messages, extra: extra), budget: .generous())
        }
        let forms = MessageForms { try render($0, JSONObject()) }
        return try render(forms.adapted(.array(messages), spec.picture?.prompt), extra)
    }

    /// All pictures in the order of their parts, as the model reads them; an error names the part.
    func pictures(_ spec: InputSpec) throws(Failure) -> [ReadPicture] {
        let references = try Failure.wrapping { () throws(PictureSourceError) in try PictureReference.all(in: messages) }
        guard let picture = spec.picture else {
            guard let first = references.first else { return [] }
            throw Failure("\(first.place): the model takes no pictures")
        }
        var images: [Image] = []
        for reference in references {
            do {
                let image = try ImageDecoder(picture).decode(try bytes(reference.source))
                // Throws for a size that cannot be read.
                _ = try PictureReader(picture).layout(width: image.width, height: image.height)
                images.append(image)
            } catch { throw Failure("\(reference.place): \(error)") }
        }
        return try Failure.wrapping { () throws(ImageError) in try PictureReader(picture).readAll(images) }
    }

    private func bytes(_ source: PictureSource) throws -> [UInt8] {
        switch source {
        case .bytes(let bytes): return bytes
        case .remote(let url): throw Failure("\(shown(url)) is not fetched; give a path or a data: URL")
        case .file(let path):
            let url = path.hasPrefix("/") ? URL(fileURLWithPath: path) : folder.appending(path: path)
            do { return try InputFile.read(url.path) } catch {
                guard path.utf8.count > Self.shownCount else { throw Failure("\(error)") }
                throw Failure("there is no file \(shown(path)); base64 text belongs behind data:image/png;base64,")
            }
        }
    }

    /// More of a path than this is not repeated in messages.
    private static let shownCount = 200

    private func shown(_ path: String) -> String {
        path.utf8.count <= Self.shownCount ? path : "\(path.prefix(40))… of \(path.utf8.count) bytes"
    }
}
