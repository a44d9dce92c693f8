import HuggingFace
import IR
import Reference
import Tensors

/// The values of a recipe, any box of which is computed from no more of the checkpoint's tensors than it needs.
struct RecipeStream: Sendable {
    let graph: Graph
    let tensors: [String: TensorView]

    /// Output rows that are computed at once: so few that what is at work in all threads stays small, so many that calls cost nothing.
    static func rowsAtOnce(inputs: Int, panel: Int) -> Int { max(1, (1 << 18) / max(inputs * panel, 1)) * panel }

    /// Whether each of the boxes can be computed alone.
    func hasBoxes(_ boxes: [[[Range<Int>]]]) -> Bool { boxes.allSatisfy { GraphCut(graph, boxes: $0) != nil } }

    /// A box of each result.
    func values(_ boxes: [[Range<Int>]]) throws(EvaluationError) -> [Tensor] {
        guard let cut = GraphCut(graph, boxes: boxes) else { throw EvaluationError("the recipe has no parts") }
        let evaluator = Evaluator { name throws(EvaluationError) in
            guard let part = cut.parts[name], let tensor = tensors[part.weight]?.elements(in: part.box) else {
                throw EvaluationError("tensor \(name) cannot be read")
            }
            return tensor
        }
        return try evaluator.run(cut.graph).results
    }

    /// All of each result.
    func values() throws(EvaluationError) -> [Tensor] {
        let evaluator = Evaluator { name throws(EvaluationError) in
            guard let view = tensors[name], let shape = view.type.shape.fixed, let tensor = view.elements(in: shape.map { 0..<$0 }) else {
                throw EvaluationError("tensor \(name) cannot be read")
            }
            return tensor
        }
        return try evaluator.run(graph).results
    }
}

extension TensorView {
    /// The elements of a box that lies inside; nil where the tensor has no such box.
    fileprivate func elements(in box: [Range<Int>]) -> Tensor? {
        guard let shape = type.shape.fixed, shape.count == box.count,
            zip(shape, box).allSatisfy({ $1.lowerBound >= 0 && $1.upperBound <= $0 })
        else { return nil }
        var strides = Array(repeating: type.element.byteCount, count: shape.count)
        for axis in shape.indices.dropLast().reversed() { strides[axis] = strides[axis + 1] * shape[axis + 1] }
        // From this axis on the box's elements are consecutive.
        guard let inner = shape.indices.last(where: { box[$0] != 0..<shape[$0] }) else { return Tensor(type.element, shape, bytes: bytes) }
        var starts = [box[inner].lowerBound * strides[inner]]
        for axis in 0..<inner { starts = starts.flatMap { start in box[axis].map { start + $0 * strides[axis] } } }
        let (length, extents) = (box[inner].count * strides[inner], box.map(\.count))
        return withBytes { bytes in
            if starts.count == 1 {
                return Tensor(type.element, extents, bytes: UnsafeRawBufferPointer(rebasing: bytes[starts[0]..<starts[0] + length]))
            }
            var copy: [UInt8] = []
            copy.reserveCapacity(starts.count * length)
            for start in starts { copy += bytes[start..<start + length] }
            return copy.withUnsafeBytes { Tensor(type.element, extents, bytes: $0) }
        }
    }
}
