/// A function applied to each element after a linear layer, the names as in text.
package enum Activation: String, Sendable, Hashable, CaseIterable {
    case none
    /// `x · sigmoid(1.702 x)`
    case quickGelu = "quick_gelu"
    /// `x · ½ (1 + erf(x / √2))`
    case gelu
    /// `x · ½ (1 + tanh(√(2/π) (x + 0.044715 x³)))`
    case geluTanh = "gelu_tanh"
    /// `x · sigmoid(x)`
    case silu
    /// `max(x, 0)`
    case relu

    /// All but `none`.
    package static let functions = allCases.filter { $0 != .none }
}

extension Activation: AttributeConvertible {
    package static var attributeKind: AttributeKind { .word(allCases.map(\.rawValue)) }
    package init?(_ value: AttributeValue) {
        guard case .word(let word) = value else { return nil }
        self.init(rawValue: word)
    }
    package var attributeValue: AttributeValue { .word(rawValue) }
}

extension OpWriter {
    /// `activation(x)` in plain ops: the one way in which models write it and passes look for it.
    ///
    /// `literal` makes a constant; a pattern decides there who else may read it.
    package func activate(_ activation: Activation, _ x: Operand, literal: (Double) -> Operand) -> Operand {
        switch activation {
        case .none:
            return x
        case .quickGelu:
            return mul(x, sigmoid(mul(x, literal(1.702))))
        case .gelu:
            let gate = add(erf(mul(x, literal(0.5.squareRoot()))), literal(1))
            return mul(mul(x, literal(0.5)), gate)
        case .geluTanh:
            let cube = mul(mul(square(x), x), literal(0.044715))
            let gate = add(tanh(mul(add(x, cube), literal((2 / Double.pi).squareRoot()))), literal(1))
            return mul(mul(x, literal(0.5)), gate)
        case .silu:
            return mul(x, sigmoid(x))
        case .relu:
            return maximum(x, literal(0))
        }
    }
}
