package import IR
import Tensors

/// Turns queries and keys at once where they lie side by side: one rotation over the heads of both.
///
///     %q = rotary (reshape (slice %y, 0..<64)), %cos, %sin
///     %k = rotary (reshape (slice %y, 64..<96)), %cos, %sin
///                                                 →      %r = rotary (reshape (slice %y, 0..<96)), %cos, %sin
///                                                        %q = slice %r, heads 0..<2    %k = slice %r, heads 2..<3
package let mergeRotary = Pass("merge-rotary", .fused, isOptional: true) { editor in
    for id in editor.graph.nodes.map(\.id) {
        guard let attention = editor.graph[id], attention.op is Attention,
            let q = rotation(behind: attention.operands[0], in: editor.graph),
            let k = rotation(behind: attention.operands[1], in: editor.graph), q.id != k.id
        else { continue }
        let first = editor.graph.nodes.first { $0.id == q.id || $0.id == k.id } ?? q
        editor.rewrite("queries-and-keys", at: first) { () throws(Refusal) in try merge(q, k, editor) }
    }
    editor.eraseDead()
}

/// The rotation whose output a value is, directly or as rows of the cache.
private func rotation(behind value: ValueID, in graph: Graph) -> Node? {
    guard let node = graph.producer(of: value) else { return nil }
    if node.op is Rotary { return node }
    guard node.op is KVWrite, let rows = node.operand("rows"), let producer = graph.producer(of: rows) else { return nil }
    return producer.op is Rotary ? producer : nil
}

private func merge(_ q: Node, _ k: Node, _ editor: Editor) throws(Refusal) {
    guard let parts = q.op(as: Rotary.self)?.parts, q.op.equals(k.op), q.operands.dropFirst() == k.operands.dropFirst() else {
        throw Refusal("queries and keys turn by different angles", at: k.result)
    }
    let (left, right) = (try Heads(of: q, in: editor.graph), try Heads(of: k, in: editor.graph))
    guard left.whole == right.whole, left.axis == right.axis else {
        throw Refusal("queries and keys are not columns of one value", at: k.operands[0])
    }
    guard left.columns.upperBound == right.columns.lowerBound else {
        throw Refusal("the keys do not follow the queries", at: k.operands[0])
    }
    guard left.depth == right.depth else { throw Refusal("the heads differ in length", at: k.operands[0]) }
    let columns = left.columns.lowerBound..<right.columns.upperBound
    let heads = left.count + right.count
    let joined = editor.reshape(
        editor.slice(left.whole, axis: left.axis, columns), [left.tokens, .fixed(heads), .fixed(left.depth)])
    let turned = editor.rotary(joined, cos: q.operands[1], sin: q.operands[2], parts: parts)
    editor.replace(q.result, with: editor.slice(turned, axis: 1, 0..<left.count))
    editor.replace(k.result, with: editor.slice(turned, axis: 1, left.count..<heads))
}

/// Heads that are columns of a wider value: `reshape (slice %whole)`.
private struct Heads {
    let whole: ValueID
    let axis: Int
    let columns: Range<Int>
    let tokens: Dim
    let count: Int
    let depth: Int

    init(of rotation: Node, in graph: Graph) throws(Refusal) {
        let heads = rotation.operands[0]
        let type = graph.type(of: heads)
        guard let reshape = graph.producer(of: heads), reshape.op is Reshape,
            let slice = graph.producer(of: reshape.operands[0]), let columns = slice.op(as: Slice.self)
        else { throw Refusal("the heads are not columns of another value", at: heads) }
        let whole = graph.type(of: slice.operands[0])
        guard whole.shape.rank == 2, columns.axis == 1, whole.shape[0] == type.shape[0],
            let count = type.shape[1].fixedValue, let depth = type.shape[2].fixedValue
        else { throw Refusal("the columns are not those of a row for each token", at: slice.result) }
        self.whole = slice.operands[0]
        axis = columns.axis
        self.columns = columns.start..<columns.end
        tokens = type.shape[0]
        (self.count, self.depth) = (count, depth)
    }
}
