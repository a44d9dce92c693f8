package import HuggingFace
import Plan

extension PaliGemma {
    /// The processor's prompt of messages: all images, then all texts, line by line; it knows no turns.
    static func chatTemplate(_ marker: String) -> String {
        let parts = "{% for message in messages %}{% if message.content is not string %}{% for part in message.content %}"
        let ends = "{% endfor %}{% endif %}{% endfor %}"
        func line(_ text: String) -> String { "{{ ns.before ~ \(text) }}{% set ns.before = '\\n' %}" }
        return parts + "{% if part.type == 'image' %}{{ '\(marker)' }}{% endif %}" + ends
            + "{% set ns = namespace(before='') %}{% for message in messages %}{% if message.content is string %}\(line("message.content"))"
            + "{% else %}{% for part in message.content %}{% if part.type == 'text' %}\(line("part.text")){% endif %}" + ends
    }

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
        image = ImageSpec(
            views: [file.view(.exact(width: side, height: side))], pixels: file.pixels(tower, form: .tiles), tensors: tower.tensors(),
            segments: [VisionSegments("tiles", .tiles)], features: .cells(side: 1),
            prompt: ImagePrompt(marker: "", token: token, tokenText: ""))
        common = try directory.inputs(vocabulary: text.vocabulary, positions: .sequential(start: 1), config)
    }
}
