import HuggingFace
import IR
import Tensors

/// Consecutive rows (or columns) of a checkpoint tensor, as a packing recipe lines them up.
struct TensorPart {
    let tensor: TensorView
    /// Rows for plain weights, output columns for AWQ's transposed ones.
    let range: Range<Int>
}

/// Reads recipes that only line up checkpoint tensors, so that packing can stream from the mapped files.
struct PartReader {
    let graph: Graph
    let tensors: [String: TensorView]

    /// The parts whose rows, one after another, are the value's; nil for a recipe that computes something.
    func rows(of value: ValueID) -> [TensorPart]? { parts(of: value, axis: 0) }

    /// The parts whose columns, one after another, are the value's.
    func columns(of value: ValueID) -> [TensorPart]? { parts(of: value, axis: 1) }

    private func parts(of value: ValueID, axis: Int) -> [TensorPart]? {
        guard let node = graph.producer(of: value) else { return nil }
        switch node.op {
        case let weight as Weight:
            guard let tensor = tensors[weight.name], let extent = tensor.type.shape.dims[safe: axis]?.fixedValue else {
                return nil
            }
            return [TensorPart(tensor: tensor, range: 0..<extent)]
        case let cast as Cast:
            guard cast.to.isFloat, graph.type(of: node.operands[0]).element.isFloat else { return nil }
            return parts(of: node.operands[0], axis: axis)
        case is Reshape:
            guard axis == 0, graph.type(of: node.operands[0]).shape.dims.first == graph.type(of: value).shape.dims.first
            else { return nil }
            return parts(of: node.operands[0], axis: 0)
        case let concat as Concat where concat.axis == axis:
            var joined: [TensorPart] = []
            for operand in node.operands {
                guard let next = parts(of: operand, axis: axis) else { return nil }
                joined += next
            }
            return joined
        case let slice as Slice where slice.axis == axis:
            return parts(of: node.operands[0], axis: axis).map { Self.cut($0, slice.start..<slice.end) }
        default:
            return nil
        }
    }

    private static func cut(_ parts: [TensorPart], _ wanted: Range<Int>) -> [TensorPart] {
        var result: [TensorPart] = []
        var start = 0
        for part in parts {
            let here = (start..<start + part.range.count).clamped(to: wanted)
            if !here.isEmpty {
                let lower = part.range.lowerBound + here.lowerBound - start
                result.append(TensorPart(tensor: part.tensor, range: lower..<lower + here.count))
            }
            start += part.range.count
        }
        return result
    }
}

extension Array {
    /// The element, or nil when the index is outside.
    subscript(safe index: Int) -> Element? { indices.contains(index) ? self[index] : nil }
}
