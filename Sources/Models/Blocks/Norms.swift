import IR
import Tensors

extension ModelTracer {
    /// `y = x / √(mean(x²) + eps) · w` by the layer `name`, over rows of that width (`Qwen2RMSNorm`).
    func rmsNorm(_ name: String, _ x: Value, width: Int, eps: Double) -> Value {
        scope(name) {
            let scale = b.rsqrt(b.add(b.mean(b.square(x)), b.literal(eps)))
            return b.mul(b.mul(x, scale), parameter("weight", [.fixed(width)]))
        }
    }

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
