package import HuggingFace
import Plan

extension PaliGemma {
    package init(_ directory: ModelDirectory) throws(CheckpointError) {
        let config = try directory.config()
        let top = try config.originalSection()
        var text = try DecoderConfiguration(top.required("text_config"), assumed: "gemma", isTied: top.bool("tie_word_embeddings") ?? true)
        text.spans = .whole
        self.text = text
        var tower = try PatchTower.siglip(top.required("vision_config"))
        tower.hasLastNorm = true
        self.tower = tower
        quantization = try config.quantization()
        let file = try ProcessorFile(directory.imageProcessor(), types: ["SiglipImageProcessor"], defaults: .half)
        let side = try file.tileSide(tower)
        let token = try top.imageToken(vocabulary: text.vocabulary, or: 256_000)
        picture = PictureSpec(
            views: [file.view(.exact(width: side, height: side))], pixels: file.pixels(tower, form: .tiles), tensors: tower.tensors(),
            segments: [VisionSegments("tiles", .tiles)], features: .cells(side: 1),
            prompt: PicturePrompt(marker: "", token: token, tokenText: ""))
        common = try directory.inputs(vocabulary: text.vocabulary, positions: .sequential(start: 1), config)
    }
}
