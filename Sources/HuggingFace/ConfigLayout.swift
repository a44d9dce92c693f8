internal import JSON

/// Brings every generation of `config.json` to one layout, that of transformers 5.
///
/// - flat text keys move into `text_config`, those of the text model's configuration class alone;
/// - `torch_dtype` becomes `dtype`, `in_chans` becomes `in_channels`, `image_token_index` becomes `image_token_id`, and of the
///   vision tower `num_hidden_layers` becomes `depth` and `num_attention_heads` becomes `num_heads`;
/// - `rope_theta` and `rope_scaling` become `text_config.rope_parameters` with `rope_theta` and `rope_type`
///   (the old type `mrope` is `default` with an `mrope_section`); `original_max_position_embeddings` beside it wins over its own;
/// - `tie_word_embeddings` is at the top, true when either place says so;
/// - keys left out get the defaults of the configuration class; a null stays.
enum ConfigLayout {
    private static let ropeKeys = ["rope_theta", "rope_scaling", "rope_parameters"]
    private static let originalPositions = "original_max_position_embeddings"

    static func canonical(_ json: JSONValue, file: String) throws(CheckpointError) -> JSONValue {
        let document = try ConfigSection(json, file: file)
        var top = document.members
        let defaults = try document.string("model_type").flatMap { ClassDefaults.byModelType[$0] }
        rename("torch_dtype", to: "dtype", in: &top)
        rename("image_token_index", to: "image_token_id", in: &top)

        var text = try document.section("text_config")?.members ?? flatText(top, defaults)
        rename("torch_dtype", to: "dtype", in: &text)
        text["rope_parameters"] = try ropeParameters(text, file: file, theta: defaults?.textRopeTheta ?? 10_000)
        for key in ["rope_theta", "rope_scaling", originalPositions] { text[key] = nil }
        fill(&text, defaults?.text ?? [:])

        let tied = try ConfigSection(.object(text), file: file, path: "text_config").bool("tie_word_embeddings") ?? false
        text["tie_word_embeddings"] = nil
        top["tie_word_embeddings"] = .bool(try document.bool("tie_word_embeddings") ?? false || tied)
        for key in text.keys where document.members["text_config"] == nil { top[key] = nil }
        for key in ropeKeys { top[key] = nil }
        top["text_config"] = .object(text)

        if defaults != nil || top["vision_config"] != nil {
            var vision = try document.section("vision_config")?.members ?? [:]
            rename("in_chans", to: "in_channels", in: &vision)
            for (alias, key) in [("num_hidden_layers", "depth"), ("num_attention_heads", "num_heads")] {
                if let value = vision.removeValue(forKey: alias), value != .null { vision[key] = value }
            }
            fill(&vision, defaults?.vision ?? [:])
            top["vision_config"] = .object(vision)
        }
        fill(&top, defaults?.model ?? [:])
        return .object(top)
    }

    private static func rename(_ old: String, to new: String, in members: inout JSONObject) {
        guard let value = members.removeValue(forKey: old) else { return }
        if members[new] ?? .null == .null { members[new] = value }
    }

    private static func fill(_ members: inout JSONObject, _ defaults: JSONObject) {
        for (key, value) in defaults where members[key] == nil { members[key] = value }
    }

    private static func flatText(_ top: JSONObject, _ defaults: ClassDefaults?) -> JSONObject {
        guard let defaults else { return [:] }
        return JSONObject(top.filter { key, _ in defaults.text[key] != nil || ropeKeys.contains(key) || key == "layer_types" })
    }

    private static func ropeParameters(_ text: JSONObject, file: String, theta: Double) throws(CheckpointError) -> JSONValue {
        let section = try ConfigSection(.object(text), file: file, path: "text_config")
        var rope = try section.section("rope_parameters")?.members ?? [:]
        if let scaling = try section.section("rope_scaling")?.members, !scaling.isEmpty { rope = scaling }
        rename("type", to: "rope_type", in: &rope)
        let type = try ConfigSection(.object(rope), file: file, path: "text_config.rope_parameters").string("rope_type")
        rope["rope_type"] = .string(type == nil || type == "mrope" ? "default" : type ?? "default")
        if try ConfigSection(.object(rope), file: file, path: "text_config.rope_parameters").double("rope_theta") == nil {
            rope["rope_theta"] = .double(try section.double("rope_theta") ?? theta)
        }
        if let positions = text[originalPositions], positions != .null { rope[originalPositions] = positions }
        return .object(rope)
    }
}
