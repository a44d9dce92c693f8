import Tensors

/// What a quantized layer's list of the group that each input belongs to holds (GPTQ's and compressed-tensors' `g_idx`).
///
/// Layers that read the same value were quantized in the same order of its columns, so that their lists are the same: the columns are
/// sorted once for all of them, and the layers can be joined.
package struct GroupList: Hashable, Sendable {
    /// The first tensor, by name, that holds the same numbers.
    package var first: String
    /// Inputs of a group where each `span` inputs in turn are one; nil where groups lie in another order.
    package var span: Int?

    package init(first: String, span: Int?) { (self.first, self.span) = (first, span) }

    /// The lists of a checkpoint, by the tensor's name.
    package static func lists(of checkpoint: Checkpoint) -> [String: GroupList] {
        var known: [[Int32]: GroupList] = [:]
        var lists: [String: GroupList] = [:]
        for tensor in checkpoint.tensors where tensor.type.element == .i32 && tensor.type.shape.rank == 1 && tensor.name.hasSuffix("g_idx") {
            let numbers = tensor.withBytes { bytes in
                stride(from: 0, to: bytes.count - 3, by: 4).map { bytes.loadUnaligned(fromByteOffset: $0, as: Int32.self) }
            }
            let list = known[numbers] ?? GroupList(first: tensor.name, span: span(numbers))
            known[numbers] = list
            lists[tensor.name] = list
        }
        return lists
    }

    private static func span(_ numbers: [Int32]) -> Int? {
        let span = numbers.firstIndex { $0 != numbers.first } ?? numbers.count
        guard span > 0, numbers.indices.allSatisfy({ Int(numbers[$0]) == $0 / span }) else { return nil }
        return span
    }
}
