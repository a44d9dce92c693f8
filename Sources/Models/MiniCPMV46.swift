package import HuggingFace
package import IR
package import Plan
import Tensors

/// MiniCPM-V 4.6: slices of any shape through SigLIP, which joins squares of patches on its way, squares of those joined behind it, and
/// Qwen3.5's decoder.
package struct MiniCPMV46: ModelDefinition {
    package static let title = "MiniCPM-V 4.6"
    package static let architectures = ["MiniCPMV4_6ForConditionalGeneration"]
    package static let modelTypes = ["minicpmv4_6"]

    let text: DecoderConfiguration
    let tower: PatchTower
    /// The block behind which the tower joins patches; nil where it joins none.
    let joiningBlock: Int?
    let quantization: QuantizationConfig?
    let image: ImageSpec
    let common: InputSpec

    package func inputs(_ tokens: TokenNames) -> InputSpec {
        var spec = common
        spec.image = image.named(tokens, fallback: "<|image_pad|>")
        return spec
    }

    /// Patches of a row.
    private var cell: Int { joiningBlock == nil ? 4 : 16 }

    package var geometry: ModelGeometry { ModelGeometry(text, patchSize: tower.patchSize, mergeSize: joiningBlock == nil ? 2 : 4) }

    private static let rewrites =
        NameTables.wrapped() + NameTables.tower() + [NameRewrite("model.merger.mlp.", "projector."), NameRewrite("merger.mlp.", "projector.")]

    package func effective(_ checkpoint: Checkpoint) -> Checkpoint { text.effective(checkpoint, Self.rewrites) }

    package func trace(_ checkpoint: CheckpointTypes, bounds: TraceBounds) throws(CheckpointError) -> Module {
        var entries = TraceEntries(decoder: text, images: ImageRows(), rewrites: Self.rewrites, quantization: quantization)
        entries.ignored = [.prefix("mtp."), .prefix("visual.head.")] + (joiningBlock == nil ? [.prefix("visual.vit_merger.")] : [])
        entries.visionSymbols = [("M", max(bounds.patches / cell, 1))]
        return try entries.module(checkpoint, bounds) { vision($0, PixelScale(image.pixels)) }
    }

    private func vision(_ tracer: ModelTracer, _ scale: PixelScale) -> Value {
        let (patches, squares) = (Dim(cell, times: "M"), Dim(4, times: "M"))
        let rows = tracer.scope("visual") {
            var x = tracer.patchEmbedding(tower, scale, rows: patches).0
            var visible = tracer.segmentInput(.tiles, queries: patches, keys: patches)
            for index in 0..<tower.depth {
                let count = joiningBlock.map { index <= $0 } ?? true ? patches : squares
                x = tracer.scope("encoder.layers.\(index)") { tracer.block(x, tower, nil, visible: visible, rows: count) }
                guard index == joiningBlock else { continue }
                x = tracer.scope("vit_merger") { joined(x, tracer, patches: patches, squares: squares) }
                visible = tracer.segmentInput(.squares, queries: squares, keys: squares)
            }
            return tracer.norm("post_layernorm", x, tower.norm, width: tower.width)
        }
        let width = 4 * tower.width
        return tracer.scope("projector.0") {
            let normed = tracer.layerNorm("pre_norm", tracer.b.reshape(rows, ["M", .fixed(width)]), width: width, eps: 1e-6)
            return tracer.mlp(normed, "linear_1", "linear_2", from: width, inner: width, to: text.width, .gelu)
        }
    }

    /// Each square of four patches as one row: the four see each other, are mixed by two layers, and their mean is added
    /// (`MiniCPMV4_6ViTWindowAttentionMerger`).
    private func joined(_ x: Value, _ tracer: ModelTracer, patches: Dim, squares: Dim) -> Value {
        let (b, width) = (tracer.b, tower.width)
        let visible = tracer.segmentInput(.windows, queries: patches, keys: patches)
        let normed = tracer.norm("layer_norm1", x, tower.norm, width: width)
        let seen = b.add(x, tracer.scope("self_attn") { tracer.attention(normed, tower, nil, visible: visible, rows: patches) })
        let means = b.reshape(b.mean(b.reshape(seen, [squares, 4, .fixed(width)]), axis: 1), [squares, .fixed(width)])
        let four = tracer.norm("pre_norm", b.reshape(seen, [squares, .fixed(4 * width)]), tower.norm, width: 4 * width)
        return b.add(tracer.mlp(four, "linear_1", "linear_2", from: 4 * width, inner: 4 * tower.inner, to: width, .geluTanh), means)
    }
}
