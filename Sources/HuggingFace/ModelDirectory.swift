import Foundation
package import JSON

/// The small files of a HuggingFace model directory: configuration, processor, tokenizer, templates. Each is opened and parsed once.
///
/// A file that breaks the rules of its format is an error for whoever asks for it, and for nobody else. None of them needs the weights.
package struct ModelDirectory: Sendable {
    /// Where the files are.
    package let path: String
    /// The name by which people know the model.
    package let name: String
    private let contents: [String: [UInt8]]
    private let documents: [String: Result<JSONValue, CheckpointError>]

    /// The files that are looked for, besides weights.
    private static let looked = [
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "added_tokens.json",
        "preprocessor_config.json", "processor_config.json", "special_tokens_map.json", "chat_template.jinja", "chat_template.json",
        "chat_templates/default.jinja",
    ]
    /// JSON with a parser of its own.
    private static let tokenizerFile = "tokenizer.json"

    /// - Parameter given: the model's own directory, or its folder in HuggingFace's cache.
    package init(_ given: String) throws(CheckpointError) {
        let (directory, faults) = try Self.examined(given)
        if let first = faults.first { throw first }
        self = directory
    }

    /// The directory with those of its files that can be read, and why the others cannot: pointers of Git LFS, links that lead nowhere, pipes.
    package static func examined(_ given: String) throws(CheckpointError) -> (directory: ModelDirectory, faults: [CheckpointError]) {
        let location = try ModelLocation(given)
        var contents: [String: [UInt8]] = [:]
        var faults = location.unusableFiles
        let unusable = Set(faults.map(\.file))
        let ranks = ((try? FileManager.default.contentsOfDirectory(atPath: location.path)) ?? []).filter { $0.hasSuffix(".tiktoken") }
        for name in Self.looked + ranks.sorted() where !unusable.contains("\(location.path)/\(name)") {
            do throws(CheckpointError) { contents[name] = try read("\(location.path)/\(name)") } catch { faults.append(error) }
        }
        var documents: [String: Result<JSONValue, CheckpointError>] = [:]
        for (name, bytes) in contents where name.hasSuffix(".json") && name != Self.tokenizerFile {
            documents[name] = Result { () throws(CheckpointError) in try JSONValue(bytes, of: "\(location.path)/\(name)") }
        }
        return (ModelDirectory(path: location.path, name: location.name, contents: contents, documents: documents), faults)
    }

    /// The bytes of a file; nil where there is none.
    private static func read(_ path: String) throws(CheckpointError) -> [UInt8]? {
        guard FileManager.default.fileExists(atPath: path) else {
            if isDangling(path) { throw danglingLink(path) }
            return nil
        }
        if let fault = ModelLocation.fault(of: path) { throw fault }
        guard let data = FileManager.default.contents(atPath: path) else {
            throw CheckpointError(.io, file: path, "cannot be read; may you read it?")
        }
        if LargeFilePointer.isPointer(data) { throw LargeFilePointer.error(path) }
        return Array(data)
    }

    /// What is wrong with JSON files that are there, by the order of their names.
    package var documentFaults: [(name: String, error: CheckpointError)] {
        documents.sorted { $0.key < $1.key }.compactMap { name, document in
            guard case .failure(let error) = document else { return nil }
            return (name, error)
        }
    }

    /// The same directory with another file of that name.
    package func replacing(_ name: String, with document: JSONValue) -> ModelDirectory {
        var (contents, documents) = (contents, documents)
        contents[name] = Array(document.canonicalText.utf8)
        documents[name] = .success(document)
        return ModelDirectory(path: path, name: self.name, contents: contents, documents: documents)
    }

    private init(path: String, name: String, contents: [String: [UInt8]], documents: [String: Result<JSONValue, CheckpointError>]) {
        self.path = path
        self.name = name
        self.contents = contents
        self.documents = documents
    }

    /// The names of the files that are there.
    package var names: some Collection<String> { contents.keys }

    /// The path of a file, for messages.
    package func file(_ name: String) -> String { "\(path)/\(name)" }

    /// The file as it is; nil where there is none.
    package func bytes(_ name: String) -> [UInt8]? { contents[name] }

    /// The parsed file, any of the JSON files but tokenizer.json; nil where there is none.
    package func json(_ name: String) throws(CheckpointError) -> JSONValue? { try documents[name]?.get() }

    /// The parsed file, which must be an object; nil where there is none.
    package func document(_ name: String) throws(CheckpointError) -> ConfigSection? {
        guard let value = try json(name) else { return nil }
        return try ConfigSection(value, file: file(name))
    }

    /// `config.json` and `generation_config.json`.
    package func config() throws(CheckpointError) -> ModelConfig {
        guard let raw = try json("config.json") else {
            guard try !Checkpoint.list(path).contains("adapter_config.json") else {
                throw CheckpointError(
                    .unsupported, file: path, "is an adapter, not a model; give the model that it was trained on, and vlm-serve --enable-lora --lora-modules NAME=\(path)")
            }
            if let artifact = Checkpoint.artifact(path, Set(names)) { throw artifact }
            throw CheckpointError(.missing, file: path, "has no config.json; give the directory of a HuggingFace model")
        }
        return try ModelConfig(
            raw, file: file("config.json"), generation: json("generation_config.json"), generationFile: file("generation_config.json"))
    }
}

extension ModelDirectory {
    /// What the processor says of images: processor_config.json where it holds an image processor, as older directories do not;
    /// else preprocessor_config.json.
    package func imageProcessor() throws(CheckpointError) -> ConfigSection {
        if let config = try document("processor_config.json"), config.members["image_processor"]?.objectValue != nil {
            return try config.required("image_processor")
        }
        guard let config = try document("preprocessor_config.json") else {
            throw CheckpointError(
                .missing, file: file("preprocessor_config.json"),
                "is missing, and processor_config.json holds no image_processor; copy it from the model's repository")
        }
        return try config.section("image_processor") ?? config
    }

    /// How the directory's videos are processed: the first of the files in which transformers looks; nil where there is none.
    package func videoProcessor() throws(CheckpointError) -> ConfigSection? {
        if let config = try document("processor_config.json"), config.members["video_processor"]?.objectValue != nil {
            return try config.required("video_processor")
        }
        if let config = try document("video_preprocessor_config.json") { return config }
        return try document("preprocessor_config.json")
    }

    /// The `…_token` entries of tokenizer_config.json and special_tokens_map.json, by their names.
    package func specialTokens() throws(CheckpointError) -> [String: String] {
        var tokens: [String: String] = [:]
        for name in ["special_tokens_map.json", "tokenizer_config.json"] {
            for (key, value) in try document(name)?.members ?? JSONObject() where key.hasSuffix("_token") {
                tokens[key] = value.stringValue ?? value["content"]?.stringValue
            }
        }
        return tokens
    }

    /// Where chat templates stand, the file that counts first: the order of transformers 5's processors, then the tokenizer's.
    package static let templateNames = [
        "processor_config.json", "chat_template.json", "chat_template.jinja", "chat_templates/default.jinja", "tokenizer_config.json",
    ]

    /// The chat template; nil where there is none.
    package func chatTemplate() throws(CheckpointError) -> FoundTemplate? {
        for name in Self.templateNames {
            guard let bytes = bytes(name) else { continue }
            if name.hasSuffix(".jinja") { return FoundTemplate(source: String(decoding: bytes, as: UTF8.self), file: name) }
            guard let template = try json(name)?["chat_template"], let source = Self.source(template) else { continue }
            return FoundTemplate(source: source, file: name)
        }
        return nil
    }

    /// A text, or of several named ones that called default, else the first.
    private static func source(_ template: JSONValue) -> String? {
        if let source = template.stringValue { return source }
        if let members = template.objectValue { return (members["default"] ?? members.values.first)?.stringValue }
        let named = template.arrayValue?.first { $0["name"]?.stringValue == "default" } ?? template.arrayValue?.first
        return named?["template"]?.stringValue
    }
}

/// The source of a chat template, and the file of the model directory in which it stands.
package struct FoundTemplate: Sendable {
    package let source: String
    package let file: String

    package init(source: String, file: String) {
        self.source = source
        self.file = file
    }
}

extension JSONValue {
    /// - Parameter file: what errors call the file that has these bytes.
    init(_ bytes: [UInt8], of file: String) throws(CheckpointError) {
        do throws(JSONError) { self = try JSONValue(parsing: bytes, dialect: .python) } catch {
            throw CheckpointError(.malformed, file: file, "is \(error)")
        }
    }
}
