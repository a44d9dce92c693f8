package import IR
internal import Tensors

extension Literal: Evaluable {
    package func evaluate(_ call: Call) throws(EvaluationError) -> [Tensor] {
        let count = call.shape.reduce(1, *)
        if call.element.isFloat { return call.result(Array(repeating: Float(value), count: count)) }
        guard let number = Int32(exactly: value) else { throw EvaluationError("\(value) does not fit 32 bits") }
        return [Tensor(ints: Array(repeating: number, count: count), call.shape, call.element)]
    }
}

extension Constant: Evaluable {
    package func evaluate(_ call: Call) throws(EvaluationError) -> [Tensor] {
        if call.element.isFloat { return call.result(values.map { Float($0) }) }
        var numbers: [Int32] = []
        for value in values {
            guard let number = Int32(exactly: value) else { throw EvaluationError("\(value) does not fit 32 bits") }
            numbers.append(number)
        }
        return [Tensor(ints: numbers, call.shape, call.element)]
    }
}

extension Weight: Evaluable {
    package func evaluate(_ call: Call) throws(EvaluationError) -> [Tensor] {
        let tensor = try call.weight(name)
        guard tensor.type == type else { throw EvaluationError("weight @\(name) is \(type), the tensor given is \(tensor.type)") }
        return [tensor]
    }
}
