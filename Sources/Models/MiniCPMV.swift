package import HuggingFace
package import IR
import JSON
package import Plan
import Tensors

/// MiniCPM-V 2.5 and 2.6 (arXiv 2408.01800): slices of any shape through SigLIP, each summed up by the same number of learned queries.
package struct MiniCPMV: ModelDefinition {
    package static let title = "MiniCPM-V"
    package static let architectures = ["MiniCPMV"]
    package static let modelTypes = ["minicpmv"]

    private let text: DecoderConfiguration
    private let tower: PatchTower
    /// Blocks in the checkpoint.
    private let blocks: Int
    private let resampler: Resampler
    private let quantization: QuantizationConfig?
    private let image: ImageSpec
    private let common: InputSpec

    /// Whether all slices of an image are padded to the longest before the tower, and the padding dropped behind it (2.5).
    private var padsSlices: Bool { tower.firstRows == .padding }

    package init(_ directory: ModelDirectory) throws(CheckpointError) {
        let config = try directory.config()
        let top = try config.originalSection()
        let written = top.members["version"]?.stringValue.flatMap(Double.init)
        let number = top.members["version"]?.doubleValue ?? written
        let known = [2.5: "llama", 2.6: "qwen2"]
        guard let number, let decoder = known[number] else {
            throw top.error("version", "is not one of the known versions: 2.5, 2.6", .unsupported)
        }
        guard let kind = DecoderKind.byModelType[decoder] else { throw top.error("version", "has no decoder") }
        text = try DecoderConfiguration(top, kind, isTied: nil)
        let vision = try top.required("vision_config")
        var tower = try PatchTower.siglip(vision)
        blocks = tower.depth
        if try top.bool("drop_vision_last_layer") ?? false { tower.depth -= 1 }
        tower.hasLastNorm = true
        if number == 2.5 { tower.firstRows = .padding }
        self.tower = tower
        resampler = Resampler(
            queries: try top.size("query_num", or: 64, in: 1...1 << 12), inputs: tower.width, width: text.width)
        guard text.width % max(text.width / 128, 1) == 0, text.width % 4 == 0 else {
            throw top.error("hidden_size", "is \(text.width), which does not divide into heads of 128")
        }
        quantization = try config.quantization()
        image = try Self.images(directory.imageProcessor(), tower, queries: resampler.queries)
        common = try directory.inputs(vocabulary: text.vocabulary, positions: text.positions, config)
        file = config.file
    }

    private let file: String

    package func inputs(_ tokens: TokenNames) throws(CheckpointError) -> InputSpec {
        guard let token = tokens.token("<unk>") else {
            throw CheckpointError(.inconsistent, file: file, "images stand as <unk>, which the tokenizer does not have")
        }
        var spec = common
        spec.image = image
        spec.image?.prompt.token = token
        spec.chatTemplate = padsSlices ? Self.headers : Self.turns
        return spec
    }

    /// The template of Llama 3's tokenizer: texts alone.
    private static let headers =
        "{% for message in messages %}{{ bos_token if loop.first else '' }}"
        + "{{ '<|start_header_id|>' ~ message.role ~ '<|end_header_id|>\\n\\n' }}"
        + "{{ message.content | trim ~ '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}"
        + "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"

    /// The template of Qwen2's tokenizer: texts alone.
    private static let turns =
        "{% for message in messages %}{% if loop.first and message.role != 'system' %}{{ '<|im_start|>system\\nYou are a helpful assistant."
        + "<|im_end|>\\n' }}{% endif %}{{ '<|im_start|>' ~ message.role ~ '\\n' ~ message.content ~ '<|im_end|>\\n' }}{% endfor %}"
        + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"

    package var geometry: ModelGeometry { ModelGeometry(text, patchSize: tower.patchSize, mergeSize: 1) }

    private static let rewrites = [
        NameRewrite("llm.model.", "model."), NameRewrite("llm.lm_head.", "lm_head."), NameRewrite("vpm.", "visual."),
    ]

    package func effective(_ checkpoint: Checkpoint) -> Checkpoint { text.effective(checkpoint, Self.rewrites) }

    package func trace(_ checkpoint: CheckpointTypes, bounds: TraceBounds) throws(CheckpointError) -> Module {
        var entries = TraceEntries(decoder: text, images: ImageRows(), rewrites: Self.rewrites, quantization: quantization)
        entries.ignored = PatchTower.unused(from: tower.depth, of: blocks) + [.suffix("resampler.pos_embed"), .prefix("visual.head.")]
        entries.visionSymbols = [("P", bounds.patches), ("M", bounds.features)]
        if padsSlices { entries.visionSymbols.append(("K", bounds.patches)) }
        return try entries.module(checkpoint, bounds) { vision($0, PixelScale(image.pixels)) }
    }

    private func vision(_ tracer: ModelTracer, _ scale: PixelScale) -> Value {
        let b = tracer.b
        let patches: Dim = "P"
        let keyRows: Dim = padsSlices ? "K" : "P"
        var rows = tracer.scope("visual") { tracer.encode(tower, scale, rows: patches).rows }
        if padsSlices { rows = tracer.featureRows(rows, keyRows) }
        let places = b.input("patch_positions", TensorType(.i32, [2, keyRows]))
        return tracer.scope("resampler") {
            let values = tracer.resamplerKeys(rows, resampler)
            let keys = b.add(values, tracer.wavePositions(places, width: resampler.width))
            let queries = b.gather(tracer.resamplerQueries(resampler), b.input("query_rows", TensorType(.i32, ["M"])))
            let mixed = tracer.scope("attn") {
                tracer.resample(
                    queries, keys: keys, values: values, resampler, rows: "M", keyRows: keyRows, padsSlices ? .keptQueries : .queries)
            }
            let normed = tracer.layerNorm("ln_post", mixed, width: resampler.width, eps: resampler.eps)
            return b.matmul(normed, tracer.parameter("proj", [.fixed(resampler.width), .fixed(resampler.width)]))
        }
    }
}
