package import HuggingFace
package import IR
import Reference
import Tensors

/// A constant matrix, computed some rows at a time where its recipe has parts.
package struct StreamedWeight: Sendable {
    private let stream: RecipeStream
    package let outputs, inputs: Int
    /// The rows of each part; all in one where the recipe has none.
    let parts: [Range<Int>]

    /// Nil for what is no matrix of fixed extents.
    package init?(_ recipe: Graph, _ tensors: [String: TensorView]) {
        guard let shape = recipe.results.first.flatMap({ recipe.type(of: $0).shape.fixed }), shape.count == 2 else { return nil }
        stream = RecipeStream(graph: recipe, tensors: tensors)
        (outputs, inputs) = (shape[0], shape[1])
        let atOnce = RecipeStream.rowsAtOnce(inputs: inputs, panel: 32)
        let rows = stride(from: 0, to: outputs, by: atOnce).map { $0..<min($0 + atOnce, shape[0]) }
        parts = stream.hasBoxes(rows.map { [[$0, 0..<shape[1]]] }) ? rows : [0..<outputs]
    }

    /// The numbers of a part, row by row.
    func values(_ part: Int) throws(EvaluationError) -> [Float] {
        let rows = parts[part]
        let values = parts.count == 1 ? try stream.values() : try stream.values([[rows, 0..<inputs]])
        return values[0].cast(to: .f32).floats
    }
}
