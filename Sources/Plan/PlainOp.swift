/// An op of the IR that a plain kernel computes over any rank and strides; the raw value is the op's name in text.
package enum PlainOp: String, Sendable, Hashable, Codable, CaseIterable {
    case neg, square, sqrt, rsqrt, exp, log, cos, sin, sigmoid, tanh, erf, softplus, reciprocal, cast
    case add, sub, mul, div, maximum, minimum
    case choose = "where"
    case copy, reshape, transpose, slice, concat, expand
    case repeats = "repeat"
    case sum, mean, max, argmax, softmax, cumsum
    case topK = "top_k"
    case matmul, gather
    case selectRows = "select_rows"

    /// What kind of walk computes it.
    package enum Family: Sendable, Hashable {
        /// A function of each element, operands stretched as numpy does it.
        case map
        /// The same elements in another order.
        case movement
        /// Lines along one axis.
        case along
        case product
        /// Rows by number.
        case pick
    }

    package var family: Family {
        switch self {
        case .neg, .square, .sqrt, .rsqrt, .exp, .log, .cos, .sin, .sigmoid, .tanh, .erf, .softplus, .reciprocal, .cast, .add, .sub, .mul,
            .div, .maximum, .minimum, .choose:
            .map
        case .copy, .reshape, .transpose, .slice, .concat, .expand, .repeats: .movement
        case .sum, .mean, .max, .argmax, .softmax, .cumsum, .topK: .along
        case .matmul: .product
        case .gather, .selectRows: .pick
        }
    }

    /// Operands of one call; `concat` takes any number from one on.
    package var operandNames: [String] {
        switch self {
        case .add, .sub, .mul, .div, .maximum, .minimum, .matmul: ["a", "b"]
        case .choose: ["mask", "x", "y"]
        case .concat: ["xs"]
        case .gather: ["x", "index"]
        case .selectRows: ["a", "b", "index"]
        default: ["x"]
        }
    }
}

/// A plain kernel with what it must know besides the types of its operands.
package enum PlainKernel: Sendable, Hashable, Codable {
    /// A function of elements: one of the family `map`.
    case map(PlainOp)
    /// The same elements under another shape, in memory of their own; `copy` and `reshape`.
    case copy(PlainOp)
    case transpose([Int])
    case slice(axis: Int, start: Int)
    case concat(axis: Int)
    case expand
    case repeats(axis: Int, count: Int)
    /// Of the family `along`.
    case along(PlainOp, axis: Int)
    case matmul(transposesB: Bool)
    case gather
    case selectRows

    package var op: PlainOp {
        switch self {
        case .map(let op), .copy(let op), .along(let op, _): op
        case .transpose: .transpose
        case .slice: .slice
        case .concat: .concat
        case .expand: .expand
        case .repeats: .repeats
        case .matmul: .matmul
        case .gather: .gather
        case .selectRows: .selectRows
        }
    }
}
