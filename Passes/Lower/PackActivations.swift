package import IR
import Plan

/// Gives linear layers that do not multiply f32 their rows packed, once for all layers that read the same rows.
///
///     %1 = linear %x, %w  via linear_int4_int8    →      %p = pack_activations %x {element = int8, group = 128}
///                                                        %1 = linear %p, %w  via linear_int4_int8
package let packActivations = Pass("pack-activations", .packed) { module, report throws(PassError) in
    struct Key: Hashable {
        let value: ValueID
        let layout: ActivationLayout
    }
    for index in module.graphs.indices {
        let editor = Editor(module.graphs[index], report: report)
        var packed: [Key: ValueID] = [:]
        for node in editor.graph.nodes {
            guard let layout = editor.graph.kernel(of: node)?.activations,
                !(editor.graph.producer(of: node.operands[0])?.op is PackActivations)
            else { continue }
            let key = Key(value: node.operands[0], layout: layout)
            editor.rewrite(layout.element.rawValue, at: node) { () throws(Refusal) in
                if packed[key] == nil {
                    let rows = editor.packActivations(key.value, layout)
                    packed[key] = rows
                    guard let made = editor.graph.producer(of: rows) else { return }
                    editor.setKernel(.packActivations(layout.element), of: made.id)
                }
                if let rows = packed[key] { editor.setOperand(0, of: node.id, to: rows) }
            }
        }
        module.graphs[index] = try editor.finish()
        report = editor.report
    }
}
