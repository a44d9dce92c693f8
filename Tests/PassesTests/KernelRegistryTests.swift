import Foundation
import IR
import Plan
import Testing

@Suite struct KernelRegistryTests {
    @Test func namesAreUniqueAndReadBack() {
        let names = KernelRegistry.all.map(\.name.text)
        #expect(Set(names).count == names.count)
        for row in KernelRegistry.all {
            #expect(KernelName(text: row.name.text) == row.name)
            #expect(KernelRegistry.row(row.name).name == row.name)
        }
        #expect(KernelName(text: "linear_int4_bf16") == nil)
    }

    /// What computes an op is an op of the IR, and its operands are called as the op's.
    @Test func rowsComputeOps() {
        for row in KernelRegistry.all {
            guard let op = row.op else { continue }
            guard let schema = OpTable.schema(op) else {
                Issue.record("\(row.name.text) computes \(op), which is no op")
                continue
            }
            let own = ["rotary_table": ["axes"], "quantized_linear_awq": ["w"], "quantized_linear_float8": ["w"], "quantized_linear_float4": ["w"], "quantized_linear_int8": ["w"]][op] ?? []
            let known = Set(schema.operands.map(\.name) + own)
            #expect(row.operands.allSatisfy { known.contains($0.name) }, "\(row.name.text)")
        }
    }

    /// Ops that models may trace, besides weights, adapters and those that keep states: each runs without a kernel of its own.
    @Test func everyPlainOpHasAFallback() {
        let own: Set = [
            "literal", "constant", "weight", "unpack", "dequantize", "int4_words", "group_order", "dequantize_awq", "kv_write", "short_convolution",
            "gated_delta", "adapt", "pack", "pack_awq", "pack_float8", "pack_float4", "pack_int8", "pack_activations",
        ]
        let missing = OpTable.all.map { $0.schema }.filter { schema in
            !schema.isFused && !own.contains(schema.name)
                && !KernelRegistry.rows(computing: schema.name).contains { $0.name.isFallback }
        }
        #expect(missing.map(\.name) == [])
    }

    @Test func fallbacksComeLast() {
        for op in Set(KernelRegistry.all.compactMap(\.op)) {
            let rows = KernelRegistry.rows(computing: op)
            #expect(rows.dropLast().allSatisfy { !$0.name.isFallback }, "\(op)")
        }
    }

    @Test func theDocumentIsCurrent() throws {
        let file = URL(filePath: TracedModel.repository).appending(path: "docs/kernels.md")
        let text = Self.document
        if PassFixture.blesses { try text.write(to: file, atomically: true, encoding: .utf8) }
        #expect(try String(contentsOf: file, encoding: .utf8) == text, "VLM_BLESS=1 writes docs/kernels.md again")
    }

    private static var document: String {
        var lines = [
            "# Kernels", "", "What nodes can be bound to, from `Sources/Plan/KernelRegistry.swift`; a test writes this page. What computes",
            "the same op stands in the order in which `select-kernels` tries it.", "",
            "| kernel | op | computes | reads | needs |", "|---|---|---|---|---|",
        ]
        for row in KernelRegistry.all where !row.name.isFallback && row.op != nil {
            let needs = row.needs.sets.map { $0.sorted().map(\.rawValue).joined(separator: ", ") }.joined(separator: " or ")
            let reads = row.operands.map(description).joined(separator: ", ")
            lines.append("| `\(row.name.text)` | `\(row.op ?? "")` | \(row.summary) | \(reads) | \(needs) |")
        }
        lines += [
            "", "Rows may lie apart unless an operand is *dense* (*whole*: dense, rows of any length); `?` may be absent.", "",
            "## Fallbacks", "",
            "Any rank and strides, elements of every type but f64 and i64, in generic C. A node that runs on one is a miss of",
            "`select-kernels`, with the reason why each kernel above refused.", "",
            PlainOp.allCases.map { "`\(KernelName.plain($0).text)`" }.joined(separator: " · "), "",
        ]
        return lines.joined(separator: "\n")
    }

    private static func description(_ rule: OperandRule) -> String {
        let elements =
            switch rule.elements {
            case .f32: "f32"
            case .i32: "i32"
            case .u8: "u8"
            case .any: "any"
            case .packed: "packed"
            case .packedRows: "packed rows"
            }
        let layout =
            switch rule.layout {
            case .rows, .strided: ""
            case .dense: " dense"
            case .whole: " whole"
            }
        return "\(rule.name)\(rule.isOptional ? "?" : "") \(elements)\(layout)\(rule.isWeight ? " weight" : "")"
    }
}
