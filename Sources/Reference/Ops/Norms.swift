package import IR

/// Norms over rows of equal length.
private enum RowNorm {
    static func rms(_ x: [Float], _ w: [Float], eps: Double) -> [Float] {
        rows(x, w.count) { row in
            let square = row.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(row.count)
            let scale = Float(1 / (square + eps).squareRoot())
            return zip(row, w).map { $0 * scale * $1 }
        }
    }

    static func layer(_ x: [Float], _ w: [Float], _ b: [Float], eps: Double) -> [Float] {
        rows(x, w.count) { row in
            let mean = row.reduce(0.0) { $0 + Double($1) } / Double(row.count)
            let variance = row.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(row.count)
            let scale = 1 / (variance + eps).squareRoot()
            return row.indices.map { index in
                let column = index - row.startIndex
                return Float((Double(row[index]) - mean) * scale) * w[column] + b[column]
            }
        }
    }

    static func add(_ a: Tensor, _ b: Tensor) -> Tensor {
        Tensor(zip(a.floats, b.floats).map { $0 + $1 }, a.shape, a.element)
    }

    private static func rows(_ x: [Float], _ length: Int, _ function: (ArraySlice<Float>) -> [Float]) -> [Float] {
        guard length > 0 else { return [] }
        return stride(from: 0, to: x.count, by: length).flatMap { function(x[$0..<$0 + length]) }
    }
}

extension RMSNorm: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] { call.result(RowNorm.rms(call[0].floats, call[1].floats, eps: eps)) }
}

extension LayerNorm: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] {
        call.result(RowNorm.layer(call[0].floats, call[1].floats, call[2].floats, eps: eps))
    }
}

extension AddRMSNorm: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] {
        let sum = RowNorm.add(call[0], call[1])
        return [sum] + call.result(RowNorm.rms(sum.floats, call[2].floats, eps: eps))
    }
}

extension AddLayerNorm: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] {
        let sum = RowNorm.add(call[0], call[1])
        return [sum] + call.result(RowNorm.layer(sum.floats, call[2].floats, call[3].floats, eps: eps))
    }
}
