package import IR
import Tensors

/// Stores keys and values of a layer at once, as caches take them.
///
///     %k1 = kv_write %keys, %k, %slots
///     %v1 = kv_write %values, %v, %slots          →      %k1, %v1 = kv_store %keys, %values, %k, %v, %slots
package let joinCacheWrites = Pass("join-cache-writes", .fused) { editor in
    for id in editor.graph.nodes.map(\.id) {
        guard let write = editor.graph[id], write.op is KVWrite, case .values(let layer) = editor.graph.stateRole(of: write.result) else {
            continue
        }
        editor.rewrite("keys-and-values", at: write) { () throws(Refusal) in
            let keys = try keyWrite(layer, in: editor.graph, beside: write)
            guard keys.operand("slots") == write.operand("slots") else {
                throw Refusal("the keys of layer \(layer) go to other slots", at: keys.result)
            }
            let joined = editor.storeKV(
                keys: keys.operands[0], values: write.operands[0], k: keys.operands[1], v: write.operands[1], slots: write.operands[2])
            editor.replace(keys.result, with: joined.keys)
            editor.replace(write.result, with: joined.values)
            for done in [keys, write] { editor.eraseIfDead(done.id) }
        }
    }
    editor.eraseDead()
}

/// The only write of a layer's keys.
private func keyWrite(_ layer: Int, in graph: Graph, beside values: Node) throws(Refusal) -> Node {
    let writes = graph.nodes.filter { $0.op is KVWrite && graph.stateRole(of: $0.result) == .keys(layer: layer) }
    guard writes.count == 1 else { throw Refusal("the keys of layer \(layer) are written \(writes.count) times", at: values.result) }
    return writes[0]
}
