package import HuggingFace
import JSON

/// What `config.json` says of a model's parts, whether its family is known or not; nil where it says nothing.
package struct ModelOutline: Sendable {
    /// A decoder or a tower.
    package struct Part: Sendable {
        /// Its `model_type`, else its class.
        package var type: String?
        package var layers: Int?
        package var width: Int?
        package var heads: Int?
        /// Side of a patch in pixels.
        package var patchSize: Int?
    }
    package var decoder: Part?
    package var vision: Part?
    /// The method and what it says of the weights, such as `awq, 4 bits, groups of 128, gemm`; nil where nothing is quantized.
    package var quantization: String?

    package init(_ config: ModelConfig) {
        let top = config.original
        let text = Self.first(["text_config", "llm_config", "language_config"], top)
        var decoder = Part(text ?? top)
        if decoder.type == nil { decoder.type = config.modelType }
        self.decoder = decoder
        if let section = Self.first(["vision_config", "visual", "img_processor", "vision_tower_config"], top) { vision = Part(section) }
        let section = top["quantization_config"] ?? text?["quantization_config"]
        if let section, section.objectValue != nil { quantization = Self.described(section) }
    }

    private static func first(_ keys: [String], _ document: JSONValue) -> JSONValue? {
        for key in keys {
            if let section = document[key], section.objectValue != nil { return section }
        }
        return nil
    }

    private static func described(_ section: JSONValue) -> String {
        func string(_ keys: String...) -> String? {
            for key in keys {
                if let value = section[key]?.stringValue { return value }
            }
            return nil
        }
        var weights = section
        if let group = section["config_groups"]?.objectValue?.values.first, let inner = group["weights"] { weights = inner }
        var words = [string("quant_method") ?? "a method without a name"]
        if let format = string("format", "version", "checkpoint_format") { words.append(format) }
        if let bits = weights.number("bits", "num_bits", "w_bit") { words.append("\(bits) bits") }
        if let group = weights.number("group_size", "q_group_size") {
            words.append(group > 0 ? "groups of \(group)" : "one group for each output")
        } else if let block = weights["weight_block_size"]?.arrayValue, block.count == 2 {
            words.append("blocks of \(block[0].intValue ?? 0) × \(block[1].intValue ?? 0)")
        } else if let strategy = weights["strategy"]?.stringValue {
            words.append("scales by \(strategy)")
        }
        let symmetric = weights["sym"] ?? weights["symmetric"]
        if let isSymmetric = symmetric?.boolValue { words.append(isSymmetric ? "symmetric" : "with zero points") }
        let isOrdered = section["desc_act"]?.boolValue ?? false || weights["actorder"]?.stringValue != nil
        if isOrdered { words.append("inputs in an order of their own") }
        return words.joined(separator: ", ")
    }
}

extension JSONValue {
    /// The first of these members that is a whole number.
    fileprivate func number(_ keys: String...) -> Int? {
        for key in keys {
            if let value = self[key]?.intValue { return value }
        }
        return nil
    }
}

extension ModelOutline.Part {
    fileprivate init(_ section: JSONValue) {
        type = section["model_type"]?.stringValue ?? section["architectures"]?.arrayValue?.first?.stringValue ?? section["name"]?.stringValue
        layers = section.number("num_hidden_layers", "depth", "layers", "n_layer")
        width = section.number("embed_dim", "hidden_size", "width", "n_embd")
        heads = section.number("num_attention_heads", "num_heads", "heads", "n_head")
        patchSize = section.number("patch_size")
    }
}
