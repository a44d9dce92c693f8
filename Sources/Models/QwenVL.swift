package import HuggingFace
package import IR
package import Plan
import Tensors

/// The first Qwen-VL (arXiv 2308.12966): one square image through OpenCLIP's ViT, summed up by 256 learned queries.
package struct QwenVL: ModelDefinition {
    package static let title = "Qwen-VL"
    package static let architectures = ["QWenLMHeadModel"]
    package static let modelTypes = ["qwen"]

    private let text: DecoderConfiguration
    private let tower: PatchTower
    private let resampler: Resampler
    private let quantization: QuantizationConfig?
    private let image: ImageSpec
    private let common: InputSpec

    /// That without a `visual` part reads text only.
    package static func computes(_ config: ModelConfig) throws(CheckpointError) -> Bool {
        try config.originalSection().section("visual") != nil
    }

    package init(_ directory: ModelDirectory) throws(CheckpointError) {
        let config = try directory.config()
        let top = try config.originalSection()
        text = try DecoderConfiguration(top, assumed: "qwen")
        let visual = try top.required("visual")
        let width = try visual.size("width", in: 1...1 << 16)
        let heads = try visual.size("heads", in: 1...1 << 12)
        guard width % heads == 0 else { throw visual.error("heads", "is \(heads), which does not divide width \(width)") }
        let ratio = try visual.positive("mlp_ratio")
        guard let inner = Int(exactly: (Double(width) * ratio).rounded(.towardZero)), (1...1 << 20).contains(inner) else {
            throw visual.error("mlp_ratio", "is \(ratio), which cannot be")
        }
        let patchSize = try visual.size("patch_size", in: 1...256)
        let grid = try visual.size("image_size", in: patchSize...1 << 14) / patchSize
        tower = PatchTower(
            width: width, inner: inner, depth: try visual.size("layers", in: 1...1024),
            attention: AttentionShape(heads: heads, kvHeads: heads, headDim: width / heads), activation: .gelu, norm: TowerNorm(eps: 1e-6),
            patchSize: patchSize, hasPatchBias: false, positions: 256, blendedRows: 16, projections: .heads, hasFirstNorm: true)
        tilePatches = grid * grid
        resampler = Resampler(queries: try visual.size("n_queries", or: 256, in: 1...1 << 12), inputs: width, width: text.width)
        guard try visual.size("output_dim") == text.width else {
            throw visual.error("output_dim", "is not hidden_size \(text.width)")
        }
        guard resampler.queries == 256, text.width % max(text.width / 128, 1) == 0 else {
            throw visual.error("n_queries", "is \(resampler.queries); only 256 is supported", .unsupported)
        }
        quantization = try config.quantization()
        let side = grid * patchSize
        image = ImageSpec(
            views: [ViewSpec(.exact(width: side, height: side), filter: .bicubic, precision: .pillow)],
            pixels: PixelSpec(patchSize: patchSize, rescaleFactor: 1 / 255, normalization: .clip, isStepwise: true, form: .tiles),
            tensors: [
                VisionTensor("pixels", .pixels), VisionTensor("table_rows", .blendRows(.bicubic(side: 16))),
                VisionTensor("table_weights", .blendWeights(.bicubic(side: 16))),
                VisionTensor("query_rows", .queryRows(count: resampler.queries)),
            ], segments: [VisionSegments("tiles", .tiles), VisionSegments("queries", .queries(count: resampler.queries))],
            features: .queries(count: resampler.queries),
            prompt: ImagePrompt(marker: "<img>", token: 0, tokenText: "", spacing: .located(closing: "</img>", openings: Self.openings)),
            dropsAlpha: true)
        common = try directory.inputs(vocabulary: text.vocabulary, positions: text.positions, config)
        file = config.file
    }

    private let file: String

    package func inputs(_ tokens: TokenNames) throws(CheckpointError) -> InputSpec {
        guard let token = tokens.token("<imgpad>") else {
            throw CheckpointError(.inconsistent, file: file, "images stand as <imgpad>, which the tokenizer does not have")
        }
        var image = image
        image.prompt.token = token
        var spec = common
        spec.image = image
        spec.chatTemplate = Self.turns.source
        return spec
    }

    private static let openings = ["system", "user", "assistant"].map { "<|im_start|>\($0)\n" }

    /// `make_context` and `from_list_format` of its tokenizer.
    private static let turns = TurnTemplate(
        system: (openings[0], "You are a helpful assistant."), user: openings[1], assistant: openings[2],
        systemEnding: "<|im_end|>\n", userEnding: "<|im_end|>\n", assistantEnding: "<|im_end|>\n",
        image: "Picture {image}:<img>{place}</img>\n")

    /// Patches of an image.
    private let tilePatches: Int

    package var geometry: ModelGeometry { ModelGeometry(text, patchSize: tower.patchSize, mergeSize: 1) }

    private static let rewrites = [
        NameRewrite("transformer.visual.attn_pool.", "projector."), NameRewrite("transformer.visual.ln_post.", "projector.ln_post."),
        NameRewrite("transformer.visual.proj", "projector.proj"), NameRewrite("transformer.visual.", "visual.", NameTables.openCLIP),
        NameRewrite("transformer.", "model.", NameTables.qwen),
    ]

    package func effective(_ checkpoint: Checkpoint) -> Checkpoint { text.effective(checkpoint, Self.rewrites) }

    package func trace(_ checkpoint: CheckpointTypes, bounds: TraceBounds) throws(CheckpointError) -> Module {
        var entries = TraceEntries(decoder: text, images: ImageRows(), rewrites: Self.rewrites, quantization: quantization)
        entries.visionSymbols = [("N", max(bounds.patches / tilePatches, 1)), ("M", bounds.features)]
        return try entries.module(checkpoint, bounds) { vision($0, PixelScale(image.pixels)) }
    }

    private func vision(_ tracer: ModelTracer, _ scale: PixelScale) -> Value {
        let b = tracer.b
        let (count, width) = (Dim.fixed(resampler.queries), Dim.fixed(resampler.width))
        let patches = Dim(tilePatches, times: "N")
        let encoded = tracer.scope("visual") { tracer.encode(tower, scale, rows: patches) }
        return tracer.scope("projector") {
            let values = tracer.resamplerKeys(encoded.rows, resampler)
            let places = tracer.parameter("pos_embed", [count, width])
            let placed = b.add(tracer.resamplerQueries(resampler), places)
            let queries = b.gather(placed, b.input("query_rows", TensorType(.i32, ["M"])))
            let blended = encoded.blend.map { tracer.blended(places, $0, width: resampler.width) } ?? values
            let mixed = tracer.scope("attn") {
                tracer.resample(queries, keys: b.add(values, blended), values: values, resampler, rows: "M", keyRows: patches)
            }
            let normed = tracer.layerNorm("ln_post", mixed, width: resampler.width, eps: resampler.eps)
            return b.matmul(normed, tracer.parameter("proj", [width, width]))
        }
    }
}
