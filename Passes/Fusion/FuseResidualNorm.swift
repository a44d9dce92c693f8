package import IR

/// Joins a residual sum with the norm that reads it; the sum stays available.
///
///     %s = add %x, %y
///     %n = rms_norm %s, %w                        →      %s, %n = add_rms_norm %y, %x, %w
package let fuseResidualNorm = Pass("fuse-residual-norm", .fused, isOptional: true) { editor in
    let constness = Constness(editor.graph)
    for id in editor.graph.nodes.map(\.id) {
        guard let norm = editor.graph[id], norm.op is RMSNorm || norm.op is LayerNorm,
            let sum = editor.graph.producer(of: norm.operands[0]), sum.op is Add
        else { continue }
        editor.rewrite("residual-norm", at: norm) { () throws(Refusal) in
            let (residual, x) = (sum.operands[0], sum.operands[1])
            guard editor.type(of: residual) == editor.type(of: x) else {
                throw Refusal("the sum stretches an operand", at: sum.result)
            }
            if let parameter = norm.operands.dropFirst().first(where: { !constness.isConstant($0) }) {
                throw Refusal("a parameter of the norm is not a weight", at: parameter)
            }
            let joined: (sum: ValueID, y: ValueID)
            switch norm.op {
            case let op as RMSNorm: joined = editor.addRMSNorm(x, residual, norm.operands[1], eps: op.eps)
            case let op as LayerNorm:
                joined = editor.addLayerNorm(x, residual, norm.operands[1], norm.operands[2], eps: op.eps)
            default: throw Refusal("not a norm", at: norm.result)
            }
            editor.replace(norm.result, with: joined.y)
            editor.replace(sum.result, with: joined.sum)
        }
    }
    editor.eraseDead()
}
