/// The documentation of every op, made from the schemas; `docs/ir-ops.md` holds it.
package enum OpReference {
    package static func markdown() -> String {
        var lines = [
            "# Ops of the IR", "",
            "Made from the op schemas in `Sources/IR/Ops`; `VLM_BLESS=1 make test` writes it again.",
            "Fused ops are made by passes out of plain ones; models trace plain ops only.",
        ]
        for family in OpTable.families {
            lines += ["", "## \(family.title)", "", "| op | operands | attributes | meaning |", "|---|---|---|---|"]
            lines += family.ops.map { row($0.schema) }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func row(_ schema: OpSchema) -> String {
        let operands = schema.operands.map { operand in
            switch operand.kind {
            case .required: "`\(operand.name)`"
            case .optional: "[`\(operand.name)`]"
            case .variadic: "`\(operand.name)`…"
            }
        }
        let attributes = schema.attributes.map { attribute in
            switch attribute.placement {
            case .braces: "`\(attribute.name)`: \(attribute.kind.title)"
            case .subject: "`@\(attribute.name)`"
            case .resultType: "the type"
            }
        }
        let results = schema.results.count > 1 ? " → \(schema.results.map { "`\($0)`" }.joined(separator: ", "))" : ""
        let title = "`\(schema.name)`" + (schema.isFused ? " (fused)" : "")
        let cells = [title, operands.joined(separator: ", ") + results, attributes.joined(separator: "; "), schema.summary]
        return "| " + cells.map { $0.replacing("|", with: "\\|") }.joined(separator: " | ") + " |"
    }
}
