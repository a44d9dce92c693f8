package import HuggingFace
import Plan

extension Gemma3 {
    package init(_ directory: ModelDirectory) throws(CheckpointError) {
        let config = try directory.config()
        let top = try config.originalSection()
        var text = try DecoderConfiguration(top.required("text_config"), own: "gemma3_text", isTied: top.bool("tie_word_embeddings") ?? true)
        text.spans = .withinWindow
        self.text = text
        var tower = try PatchTower.siglip(top.required("vision_config"))
        tower.hasLastNorm = true
        self.tower = tower
        let tokens = try top.size("mm_tokens_per_image", or: 256, in: 1...1 << 16)
        let pooled = Int(Double(tokens).squareRoot())
        guard pooled * pooled == tokens, tower.gridSide % pooled == 0 else {
            throw top.error("mm_tokens_per_image", "is \(tokens), which is no square that divides \(tower.gridSide) × \(tower.gridSide) patches")
        }
        poolSize = tower.gridSide / pooled
        quantization = try config.quantization()
        borders = (
            try top.token("boi_token_index", vocabulary: text.vocabulary, or: 255_999),
            try top.token("eoi_token_index", vocabulary: text.vocabulary, or: 256_000)
        )
        let token = try top.imageToken(vocabulary: text.vocabulary, or: 262_144)
        image = try Self.images(directory.imageProcessor(), tower, poolSize: poolSize, token: token)
        common = try directory.inputs(vocabulary: text.vocabulary, positions: text.positions, config)
    }

    /// `Gemma3ImageProcessor`: one square, whatever becomes of the ratio.
    ///
    /// The file's `do_pan_and_scan` counts for nothing: `Gemma3Processor` calls with its own default, which is false.
    private static func images(
        _ section: ConfigSection, _ tower: PatchTower, poolSize: Int, token: Int32
    ) throws(CheckpointError) -> ImageSpec {
        let file = try ProcessorFile(section, types: ["Gemma3ImageProcessor"], defaults: .half, filter: .bilinear)
        let side = try file.tileSide(tower)
        return ImageSpec(
            views: [file.view(.exact(width: side, height: side))],
            pixels: file.pixels(tower, order: .cells(side: poolSize, columnsFirst: false), form: .tiles), tensors: tower.tensors(),
            segments: [VisionSegments("tiles", .tiles)], features: .cells(side: poolSize),
            prompt: ImagePrompt(marker: "", token: token, tokenText: ""))
    }

    /// The template's token opens an image in the prompt as well.
    func images(_ tokens: TokenNames) -> ImageSpec {
        let opening = tokens.text(borders.opening) ?? "<start_of_image>"
        let closing = tokens.text(borders.closing) ?? "<end_of_image>"
        var spec = image
        spec.prompt.marker = opening
        spec.prompt.pieces = [.text("\n\n" + opening), .features, .text(closing + "\n\n")]
        return spec.named(tokens, fallback: "<image_soft_token>")
    }
}
