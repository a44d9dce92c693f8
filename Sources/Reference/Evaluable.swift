package import IR
package import Tensors

/// An op with its meaning in numbers; every op of `OpTable` is one.
package protocol Evaluable: Op {
    /// The results for operands whose types the op accepted.
    func evaluate(_ call: Call) throws(EvaluationError) -> [Tensor]
}

/// One evaluation of one node.
package struct Call {
    package let operands: [Tensor]
    /// The result types with the extents as numbers.
    package let results: [(element: DType, shape: [Int])]
    let weight: (String) throws(EvaluationError) -> Tensor

    subscript(index: Int) -> Tensor { operands[index] }

    /// The shape of the first result.
    var shape: [Int] { results[0].shape }

    /// The element type of the first result.
    var element: DType { results[0].element }

    /// A float result, rounded to the first result's type.
    func result(_ values: [Float]) -> [Tensor] { [Tensor(values, shape, element)] }
}
