import IR
import Tensors

extension ModelTracer {
    /// `y = x / √(mean(x²) + eps) · w` by the layer `name`, over rows of that width (`Qwen2RMSNorm`); by `1 + w` if asked for
    /// (`GemmaRMSNorm`).
    func rmsNorm(_ name: String, _ x: Value, width: Int, eps: Double, addsOne: Bool = false) -> Value {
        scope(name) {
            let scale = b.rsqrt(b.add(b.mean(b.square(x)), b.literal(eps)))
            let scaled = b.mul(x, scale)
            let weight = parameter("weight", [.fixed(width)])
            return b.mul(scaled, addsOne ? b.add(weight, b.literal(1)) : weight)
        }
    }

    /// `y = x / √(mean(x²) + eps)`, a norm without a weight.
    func bareNorm(_ x: Value, eps: Double) -> Value { b.mul(x, b.rsqrt(b.add(b.mean(b.square(x)), b.literal(eps)))) }

    /// `y = (x − mean) / √(var + eps) · w + b` by the layer `name`, over rows of that width (`torch.nn.LayerNorm`).
    func layerNorm(_ name: String, _ x: Value, width: Int, eps: Double) -> Value {
        scope(name) {
            let centered = b.sub(x, b.mean(x))
            let scale = b.rsqrt(b.add(b.mean(b.square(centered)), b.literal(eps)))
            let scaled = b.mul(b.mul(centered, scale), parameter("weight", [.fixed(width)]))
            return b.add(scaled, parameter("bias", [.fixed(width)]))
        }
    }
}
