internal import Glibc
package import IR

extension UnaryOp {
    /// The function applied to each element.
    fileprivate func map(_ call: Call, _ function: (Float) -> Float) -> [Tensor] { call.result(call[0].floats.map(function)) }
}

extension Neg: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] { map(call) { -$0 } }
}

extension Square: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] { map(call) { $0 * $0 } }
}

extension Rsqrt: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] { map(call) { 1 / $0.squareRoot() } }
}

extension Sqrt: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] { map(call) { $0.squareRoot() } }
}

extension Log: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] { map(call) { logf($0) } }
}

extension Softplus: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] { map(call) { max($0, 0) + log1pf(expf(-abs($0))) } }
}

extension Exp: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] { map(call) { expf($0) } }
}

extension Cos: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] { map(call) { cosf($0) } }
}

extension Sin: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] { map(call) { sinf($0) } }
}

extension Sigmoid: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] { map(call, Functions.sigmoid) }
}

extension Tanh: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] { map(call) { tanhf($0) } }
}

extension Erf: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] { map(call) { erff($0) } }
}

extension Reciprocal: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] { map(call) { 1 / $0 } }
}

extension Cast: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] { [call[0].cast(to: to)] }
}

/// Functions of one number.
enum Functions {
    static func sigmoid(_ x: Float) -> Float { 1 / (1 + expf(-x)) }

    static func apply(_ activation: Activation, _ x: Float) -> Float {
        switch activation {
        case .none: x
        case .quickGelu: x * sigmoid(1.702 * x)
        case .gelu: x * 0.5 * (1 + erff(x * Float(0.5).squareRoot()))
        case .geluTanh: x * 0.5 * (1 + tanhf(0.797_884_56 * (x + 0.044715 * x * x * x)))
        case .silu: x * sigmoid(x)
        case .relu: x < 0 ? 0 : x
        }
    }
}
