/// Which linear layers a compile rounds where the checkpoint has their weights as real numbers: to int8 with a scale for each output; the rows
/// that such a layer reads are rounded to int8 with a scale for each.
package enum LayerRounding: String, Sendable, Hashable, Codable, CaseIterable {
    /// Those of the decoder but the one that makes the logits.
    case int8
    /// Those of what looks at images.
    case int8Vision = "int8-vision"
    /// Both.
    case int8All = "int8-all"

    package var roundsDecoder: Bool { self != .int8Vision }
    package var roundsVision: Bool { self != .int8 }

    /// Whose layers it rounds, for a person.
    package var summary: String {
        let parts = (roundsDecoder ? ["the decoder's linear layers but the last"] : []) + (roundsVision ? ["the vision tower's linear layers"] : [])
        return parts.joined(separator: " and ")
    }
}
