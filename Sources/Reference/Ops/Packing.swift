package import IR
internal import Tensors

extension Pack: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] {
        [(layout == .bf16Panels ? call[0].cast(to: .bf16) : call[0]).cast(to: .f32)]
    }
}
