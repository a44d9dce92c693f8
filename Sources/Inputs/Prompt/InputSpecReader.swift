internal import Foundation
internal import JSON
package import Plan

extension InputSpec {
    /// The model families whose inputs are known; each of them prepares pictures with `Qwen2VLImageProcessor`.
    private static let modelTypes = ["qwen2_vl", "qwen2_5_vl"]

    /// Reads what a HuggingFace directory says about inputs: config.json, generation_config.json and the image
    /// processor's file. Needs no weights and no tokenizer.json.
    ///
    /// `tokenText` gives the text of a token id, usually the tokenizer's; where it knows nothing the family's usual
    /// placeholder stands in. `visionLimits` holds the processor's own bound; the compiler may lower it.
    package init(
        modelDirectory: String, tokenText: (Int32) -> String? = { _ in nil }
    ) throws(InputSpecError) {
        let folder = ModelFolder(path: modelDirectory)
        let config = ConfigReader(try folder.json("config.json"), file: "config.json")
        let nested = try config.nested("text_config")
        let text = nested ?? config
        guard let vocabulary = try text.integer("vocab_size", in: 1...Int(Int32.max)) else {
            throw text.error("vocab_size", "is missing")
        }
        guard let type = config.value("model_type") else {
            throw config.error("model_type", "is missing; the known types are: \(Self.modelTypes.joined(separator: ", "))")
        }
        guard let family = type.stringValue, Self.modelTypes.contains(family) else {
            throw config.error(
                "model_type", "is \(type.stringValue ?? "no string"); the known types are: \(Self.modelTypes.joined(separator: ", "))")
        }
        let processor = try folder.imageProcessor()
        let vision = try config.nested("vision_config")
        let merge = try vision?.integer("spatial_merge_size", in: 1...64) ?? 2
        guard processor.mergeSize == merge else {
            throw config.error(
                "vision_config.spatial_merge_size", "is \(merge), but the image processor merges \(processor.mergeSize)")
        }
        let identifier = try config.imageToken(vocabulary: vocabulary)
        let generation = try folder.optionalJSON("generation_config.json")
            .map { ConfigReader($0, file: "generation_config.json") }
        let endTokens = [
            try generation?.tokenIDs("eos_token_id"), try config.tokenIDs("eos_token_id"),
            try text.tokenIDs("eos_token_id"),
        ]
        self.init(
            imageProcessor: processor,
            imagePlaceholder: .init(
                text: tokenText(Int32(identifier)) ?? "<|image_pad|>", tokenID: Int32(identifier),
                expansion: .mergedGrid(mergeSize: merge)),
            positions: .mrope(mergeSize: merge),
            visionLimits: processor.maxPatches.map { VisionLimits(maxPatchesPerImage: $0) },
            vocabularySize: vocabulary,
            endTokenIDs: endTokens.compactMap(\.self).first ?? [],
            generation: try generation?.generationDefaults() ?? GenerationDefaults(),
            specialTokens: try folder.specialTokens())
    }
}

/// The JSON files of a model directory.
private struct ModelFolder {
    let path: String

    /// The parsed file; nil where there is none.
    func optionalJSON(_ name: String) throws(InputSpecError) -> JSONValue? {
        let file = URL(fileURLWithPath: path).appending(path: name)
        guard FileManager.default.fileExists(atPath: file.path) else { return nil }
        let data: Data
        do {
            data = try Data(contentsOf: file)
        } catch {
            throw InputSpecError(file: name, "cannot be read: \(error.localizedDescription)")
        }
        do throws(JSONError) {
            let value = try JSONValue(parsing: Array(data), dialect: .python)
            guard value.objectValue != nil else { throw JSONError(line: 1, column: 1, message: "not an object") }
            return value
        } catch {
            throw InputSpecError(file: name, error.description)
        }
    }

    func json(_ name: String) throws(InputSpecError) -> JSONValue {
        guard let value = try optionalJSON(name) else {
            throw InputSpecError(file: name, "is missing in \(path); give a HuggingFace model directory")
        }
        return value
    }

    /// The `…_token` entries of tokenizer_config.json and special_tokens_map.json: texts, or objects with `content`.
    func specialTokens() throws(InputSpecError) -> [String: String] {
        var tokens: [String: String] = [:]
        for name in ["special_tokens_map.json", "tokenizer_config.json"] {
            for (key, value) in try optionalJSON(name)?.objectValue ?? JSONObject() where key.hasSuffix("_token") {
                tokens[key] = value.stringValue ?? value["content"]?.stringValue
            }
        }
        return tokens
    }

    /// processor_config.json counts only where it holds an image processor; older directories have one without. A file that
    /// names no class of processors is that of the model's family.
    func imageProcessor() throws(InputSpecError) -> ImageProcessorSpec {
        if let config = try optionalJSON("processor_config.json"), config["image_processor"]?.objectValue != nil {
            return try ImageProcessorSpec(config: config, file: "processor_config.json", family: ImageProcessorSpec.knownTypes[0])
        }
        guard let config = try optionalJSON("preprocessor_config.json") else {
            throw InputSpecError(
                file: "preprocessor_config.json",
                "is missing, and processor_config.json holds no image_processor; copy it from the model's repository")
        }
        return try ImageProcessorSpec(config: config, file: "preprocessor_config.json", family: ImageProcessorSpec.knownTypes[0])
    }
}

extension ConfigReader {
    /// The token that stands for a picture, from either generation of keys.
    fileprivate func imageToken(vocabulary: Int) throws(InputSpecError) -> Int {
        for key in ["image_token_id", "image_token_index"] {
            if let token = try integer(key, in: 0...vocabulary - 1) { return token }
        }
        guard vocabulary > 151_655 else {
            throw error("image_token_id", "is missing, and the usual 151655 is beyond the vocabulary")
        }
        return 151_655
    }

    /// One id or a list of them; nil where absent.
    fileprivate func tokenIDs(_ key: String) throws(InputSpecError) -> [Int32]? {
        guard let value = value(key) else { return nil }
        let entries = value.arrayValue ?? [value]
        let identifiers = entries.compactMap { $0.intValue.flatMap(Int32.init(exactly:)) }
        guard identifiers.count == entries.count else { throw error(key, "must be a token id or a list of them") }
        return identifiers
    }

    fileprivate func generationDefaults() throws(InputSpecError) -> GenerationDefaults {
        let range = 0...Int(Int32.max)
        return GenerationDefaults(
            doSample: try boolean("do_sample"),
            temperature: try number("temperature"),
            topP: try number("top_p"),
            topK: try integer("top_k", in: -1...range.upperBound),
            minP: try number("min_p"),
            repetitionPenalty: try number("repetition_penalty"),
            maxNewTokens: try integer("max_new_tokens", in: range))
    }
}
