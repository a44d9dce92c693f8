/// How a compile rounds the weights of the decoder's linear layers where the checkpoint has them as real numbers.
package enum LayerRounding: String, Sendable, Hashable, Codable, CaseIterable {
    /// To int8 with a scale for each output; the rows that a layer reads are rounded to int8 with a scale for each token.
    case int8
}
