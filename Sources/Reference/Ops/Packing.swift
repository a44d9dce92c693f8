package import IR
internal import Tensors

/// Rounding is the kernel's: the numbers stay as they are, so that every arithmetic is held against the same reference.
extension PackActivations: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] { [call[0]] }
}

extension Pack: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] {
        [(layout == .bf16Panels ? call[0].cast(to: .bf16) : call[0]).cast(to: .f32)]
    }
}
