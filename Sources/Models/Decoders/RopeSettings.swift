import HuggingFace

/// The rotary parameters of a text model, in whichever of its two generations a configuration gives them.
struct RopeSettings {
    /// `rope_type`; the old name `mrope` is `default`, `su` is `longrope`.
    let type: String
    let theta: Double
    /// Where the parameters of the type stand.
    let section: ConfigSection
    /// `original_max_position_embeddings`, where that of the text model wins over its own.
    let originalPositions: Int?
    let partialFactor: Double

    /// Reads `rope_parameters`, else `rope_theta` and `rope_scaling` of a text section; `theta` and `partialFactor` are class defaults.
    init(_ text: ConfigSection, theta: Double, partialFactor: Double = 1) throws(CheckpointError) {
        let (current, old) = (try text.section("rope_parameters"), try text.section("rope_scaling"))
        try self.init(current ?? old, of: text, theta: theta, partialFactor: partialFactor)
    }

    init(_ rope: ConfigSection?, of text: ConfigSection, theta standard: Double, partialFactor: Double = 1) throws(CheckpointError) {
        section = rope ?? text
        let (current, old) = (try rope?.string("rope_type"), try rope?.string("type"))
        let named = current ?? old ?? "default"
        type = ["mrope": "default", "su": "longrope"][named] ?? named
        if let rope, try rope.double("rope_theta") != nil {
            theta = try rope.positive("rope_theta")
        } else {
            theta = try text.double("rope_theta") == nil ? standard : text.positive("rope_theta")
        }
        let key = "original_max_position_embeddings"
        let holder = try text.int(key) != nil ? text : section
        originalPositions = try holder.double(key) == nil ? nil : Int(holder.positive(key))
        let partial = "partial_rotary_factor"
        let partialHolder = try section.double(partial) != nil ? section : text
        self.partialFactor = try partialHolder.double(partial) == nil ? partialFactor : partialHolder.positive(partial)
        guard self.partialFactor <= 1 else { throw partialHolder.error(partial, "is \(self.partialFactor), expected at most 1") }
    }
}

/// How rotary frequencies share out the axes of the positions.
enum RotaryAxes {
    /// There is one.
    case one
    /// In sections, each with the next of time, height, width (`Qwen2VLRotaryEmbedding`).
    case chunked
    /// Height and width in turns with time as far as their sections go, the rest time (`apply_interleaved_mrope`).
    case interleaved
}
