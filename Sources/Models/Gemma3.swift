package import HuggingFace
package import IR
package import Plan
import Tensors

/// Gemma 3 (arXiv 2503.19786): one square image through SigLIP, squares of patches averaged to one row, one linear layer, a decoder
/// whose images' tokens see each other.
package struct Gemma3: ModelDefinition {
    package static let title = "Gemma 3"
    package static let architectures = ["Gemma3ForConditionalGeneration"]
    package static let modelTypes = ["gemma3"]

    let text: DecoderConfiguration
    let tower: PatchTower
    /// Side of the square of patches that becomes a row.
    let poolSize: Int
    let quantization: QuantizationConfig?
    /// Without the tokens' texts.
    let image: ImageSpec
    /// What stands before and behind an image's tokens.
    let borders: (opening: Int32, closing: Int32)
    let common: InputSpec

    package func inputs(_ tokens: TokenNames) -> InputSpec {
        var spec = common
        spec.spans = .images
        spec.image = images(tokens)
        return spec
    }

    package var geometry: ModelGeometry { ModelGeometry(text, patchSize: tower.patchSize, mergeSize: poolSize) }

    private static let rewrites = NameTables.wrapped() + NameTables.tower() + NameTables.projector

    package func effective(_ checkpoint: Checkpoint) -> Checkpoint { text.effective(checkpoint, Self.rewrites) }

    package func trace(_ checkpoint: CheckpointTypes, bounds: TraceBounds) throws(CheckpointError) -> Module {
        var entries = TraceEntries(decoder: text, images: ImageRows(), rewrites: Self.rewrites, quantization: quantization)
        entries.ignored = [.prefix("visual.head.")]
        entries.visionSymbols = [("N", max(bounds.patches / tower.tilePatches, 1))]
        return try entries.module(checkpoint, bounds) { vision($0, PixelScale(image.pixels)) }
    }

    private func vision(_ tracer: ModelTracer, _ scale: PixelScale) -> Value {
        let b = tracer.b
        let (count, width) = (poolSize * poolSize, Dim.fixed(tower.width))
        let rows = tracer.scope("visual") { tracer.encode(tower, scale, rows: tower.tileRows).rows }
        let pooledRows = Dim(tower.tilePatches / count, times: "N")
        let means = b.mean(b.reshape(rows, [pooledRows, .fixed(count), width]), axis: 1)
        return tracer.scope("projector") {
            let pooled = b.reshape(means, [pooledRows, width])
            let normed = tracer.rmsNorm("mm_soft_emb_norm", pooled, width: tower.width, eps: tower.norm.eps, addsOne: true)
            return b.matmul(normed, tracer.parameter("mm_input_projection_weight", [width, .fixed(text.width)]))
        }
    }
}
