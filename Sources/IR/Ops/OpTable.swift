/// Every op there is, family by family; a new op joins its family's list, a new family joins this one.
package enum OpTable {
    package static let families: [(title: String, ops: [any Op.Type])] = [
        ("Constants", Constants.ops),
        ("Elementwise, one operand", Unary.ops),
        ("Elementwise, several operands", Binary.ops),
        ("Reductions", Reductions.ops),
        ("Matrix products", MatrixProducts.ops),
        ("Movement", Movement.ops),
        ("Rows and state", Rows.ops),
        ("Quantized weights", Quantization.ops),
        ("Packed weights and activations", Packing.ops),
        ("Norms", Norms.ops),
        ("Linear layers", LinearLayers.ops),
        ("Adapters", Adapters.ops),
        ("Rotary embedding", RotaryEmbeddings.ops),
        ("Attention", AttentionOps.ops),
        ("Recurrence", Recurrences.ops),
    ]

    package static let all: [any Op.Type] = families.flatMap(\.ops)

    private static let schemas: [String: OpSchema] = Dictionary(all.map { ($0.schema.name, $0.schema) }) { first, _ in first }

    /// The schema of an op by its name in text.
    package static func schema(_ name: String) -> OpSchema? { schemas[name] }
}
