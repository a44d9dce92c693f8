package import HuggingFace
import IR
import Plan

extension Llava {
    /// Those of its names with a Pixtral tower are another family.
    package static func computes(_ config: ModelConfig) throws(CheckpointError) -> Bool {
        try config.originalSection().section("vision_config")?.string("model_type") != "pixtral"
    }

    package init(_ directory: ModelDirectory) throws(CheckpointError) {
        let config = try directory.config()
        let top = try config.originalSection()
        text = try DecoderConfiguration(top.required("text_config"), assumed: "llama", isTied: top.bool("tie_word_embeddings"))
        let vision = try top.required("vision_config")
        let type = try vision.string("model_type") ?? "clip_vision_model"
        var tower: PatchTower
        switch type {
        case "clip_vision_model": tower = try .clip(vision)
        case "siglip_vision_model": tower = try .siglip(vision)
        default:
            throw vision.error("model_type", "is \"\(type)\"; the known towers are: clip_vision_model, siglip_vision_model", .unsupported)
        }
        let isOneVision = try top.string("model_type") == "llava_onevision"
        let key = "vision_feature_layer"
        var depths: [Int] = []
        for layer in try top.ints(key) ?? [isOneVision ? -1 : -2] { depths.append(try tower.blocks(for: layer, top, key)) }
        guard let deepest = depths.max(), depths.allSatisfy({ $0 > 0 }) else {
            throw top.error(key, "names no layer, or that before the first, which is not supported", .unsupported)
        }
        blocks = tower.depth
        tower.depth = deepest
        self.depths = depths
        let strategy = try top.string("vision_feature_select_strategy") ?? (isOneVision ? "full" : "default")
        guard ["default", "full"].contains(strategy), tower.firstRows == .classToken || strategy == "full" else {
            throw top.error("vision_feature_select_strategy", "is \"\(strategy)\", which does not fit a tower of the type \(type)", .unsupported)
        }
        self.tower = tower
        dropsClassRows = strategy == "default"
        packing = isOneVision ? .blendedLines : try top.string("model_type") == "llava_next" ? .lines : .tiles
        activation = top.has("projector_hidden_act") ? try ActivationFunction(top, "projector_hidden_act") : .gelu
        projectorBias = try top.bool("multimodal_projector_bias") ?? true
        quantization = try config.quantization()
        let token = try top.imageToken(vocabulary: text.vocabulary)
        image = try Self.images(directory.imageProcessor(), tower, packing, token: token, top: top)
        let (images, vocabulary) = (image, text.vocabulary)
        videos = packing != .blendedLines ? nil : FamilyVideos { () throws(CheckpointError) in
            try Self.videos(directory, tower, images, top: top, vocabulary: vocabulary)
        }
        common = try directory.inputs(vocabulary: text.vocabulary, positions: text.positions, config)
    }
}
