package import IR
internal import Tensors

/// Rounding is the kernel's: the numbers stay as they are, so that every arithmetic is held against the same reference.
extension PackActivations: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] { [call[0]] }
}

extension Pack: Evaluable {
    /// To whole multiples of the greatest magnitude of each row / 127.
    private func rounded(_ values: [Float], inputs: Int) -> [Float] {
        var values = values
        for start in stride(from: 0, to: values.count, by: max(inputs, 1)) {
            let scale = values[start..<start + inputs].reduce(0) { max($0, abs($1)) } / 127
            for index in start..<start + inputs where scale > 0 { values[index] = (values[index] / scale).rounded() * scale }
        }
        return values
    }

    package func evaluate(_ call: Call) -> [Tensor] {
        switch layout {
        case .plain, .indices, .f32Panels: [call[0].cast(to: .f32)]
        case .bf16Panels: [call[0].cast(to: .bf16).cast(to: .f32)]
        case .int8Panels: call.result(rounded(call[0].cast(to: .bf16).floats, inputs: call.shape[1]))
        }
    }
}
