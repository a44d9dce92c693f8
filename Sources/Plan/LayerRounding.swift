/// Which linear layers a compile rounds where the checkpoint has their weights as real numbers, and to what.
package enum LayerRounding: String, Sendable, Hashable, Codable, CaseIterable {
    /// Those of the decoder but the one that makes the logits.
    case int8
    /// Those of what looks at images.
    case int8Vision = "int8-vision"
    /// Both.
    case int8All = "int8-all"
    /// Those of the decoder but the one that makes the logits, to int4.
    case int4
    /// The same, and those of what looks at images to int8.
    case int4All = "int4-all"
    /// As `int4`, with scales that a search finds on calibration inputs.
    case awqInt4 = "awq-int4"
    /// The same, and those of what looks at images to int8.
    case awqInt4All = "awq-int4-all"

    /// What a weight becomes.
    package enum Form: Sendable, Hashable {
        /// Codes of 8 bits with a scale for each output; rows that are read are rounded to int8 with a scale for each.
        case int8
        /// Codes of 4 bits with a scale and a zero for each output and so many inputs.
        case int4(group: Int)
    }

    /// The bits of the decoder's weights; nil where they stay.
    package var decoderBits: Int? {
        switch self {
        case .int8, .int8All: 8
        case .int4, .int4All, .awqInt4, .awqInt4All: 4
        case .int8Vision: nil
        }
    }

    package var roundsVision: Bool { [.int8Vision, .int8All, .int4All, .awqInt4All].contains(self) }

    /// Whether the decoder's scales are searched on calibration inputs.
    package var isCalibrated: Bool { [.awqInt4, .awqInt4All].contains(self) }

    /// Whose layers it rounds, for a person.
    package var summary: String {
        let decoder = decoderBits.map { "the decoder's linear layers but the last\(roundsVision && $0 == 4 ? " to int4" : "")\(isCalibrated ? " by calibrated scales" : "")" }
        let vision = roundsVision ? "the vision tower's linear layers\(decoderBits == 4 ? " to int8" : "")" : nil
        return [decoder, vision].compactMap { $0 }.joined(separator: " and ")
    }
}
