import IR
internal import Tensors

extension Adapt: Evaluable {
    package func evaluate(_ call: Call) throws(EvaluationError) -> [Tensor] {
        var y = call[0].floats
        let (x, inputs, columns) = (call[1].floats, call[1].shape[1], call[0].shape[1])
        for (t, number) in call[2].ints.enumerated() where number >= 0 {
            var start = 0
            for (layer, width) in zip(layers, widths) {
                let (a, b) = (try call.weight("\(layer).lora_A.\(number)"), try call.weight("\(layer).lora_B.\(number)"))
                guard a.shape.count == 2, b.shape.count == 2, a.shape[1] == inputs, b.shape[0] == width, a.shape[0] == b.shape[1] else {
                    throw EvaluationError("adapter \(number) of \(layer) has A \(a.shape) and B \(b.shape) for \(inputs) inputs and \(width) outputs")
                }
                let (rank, down, up) = (a.shape[0], a.floats, b.floats)
                let middle = (0..<rank).map { j in (0..<inputs).reduce(0.0) { $0 + Double(down[j * inputs + $1]) * Double(x[t * inputs + $1]) } }
                for o in 0..<width {
                    let sum = (0..<rank).reduce(0.0) { $0 + Double(up[o * rank + $1]) * middle[$1] }
                    y[t * columns + start + o] += Float(sum)
                }
                start += width
            }
        }
        return call.result(y)
    }
}
