import HuggingFace
import JSON
import Plan

extension InternVL {
    /// The token of one feature.
    static let contextToken = "<IMG_CONTEXT>"

    /// As transformers has it: `GotOcr2ImageProcessor`.
    static func images(
        _ file: ConfigSection, _ tower: PatchTower, _ mergeSize: Int, _ top: ConfigSection, _ vocabulary: Int
    ) throws(CheckpointError) -> ImageSpec {
        let file = try ProcessorFile(file, types: ["GotOcr2ImageProcessor"])
        let side = try file.side() ?? 384
        let isSplit = try file.section.bool("crop_to_patches") ?? false
        let least = try file.section.given("min_patches", in: 1...64) ?? 1
        let most = isSplit ? try file.section.given("max_patches", in: least...64) ?? 12 : 1
        return program(
            file, tower, mergeSize, side: side, least: isSplit ? least : 1, most: most, hasOverview: true, marker: "",
            token: try top.imageToken(vocabulary: vocabulary))
    }

    /// As its own code had it before (`dynamic_preprocess`), by Pillow.
    static func remoteImages(_ top: ConfigSection, _ tower: PatchTower, _ mergeSize: Int) throws(CheckpointError) -> ImageSpec {
        let empty = try ConfigSection([:], file: top.file)
        let file = try ProcessorFile(empty, types: [], defaults: .imageNet, precision: .pillow)
        let side = try top.int("force_image_size") == nil ? tower.gridSide * tower.patchSize : top.size("force_image_size", in: 1...1 << 14)
        let isSplit = try top.bool("dynamic_image_size") ?? false
        let least = try top.int("min_dynamic_patch") == nil ? 1 : top.size("min_dynamic_patch", in: 1...64)
        let most = try top.int("max_dynamic_patch") == nil ? max(least, 6) : top.size("max_dynamic_patch", in: least...64)
        return program(
            file, tower, mergeSize, side: side, least: isSplit ? least : 1, most: isSplit ? most : 1,
            hasOverview: try top.bool("use_thumbnail") ?? false, marker: "<image>", token: 0, dropsAlpha: true)
    }

    private static func program(
        _ file: ProcessorFile, _ tower: PatchTower, _ mergeSize: Int, side: Int, least: Int, most: Int, hasOverview: Bool, marker: String,
        token: Int32, dropsAlpha: Bool = false
    ) -> ImageSpec {
        var views = [file.view(.aspectTiles(side: side, least: least, most: most))]
        if hasOverview { views.append(file.view(.exact(width: side, height: side), condition: .split(view: 0))) }
        return ImageSpec(
            views: views, order: Array(views.indices),
            pixels: file.pixels(tower, order: .cells(side: mergeSize, columnsFirst: false), form: .tiles), tensors: tower.tensors(),
            segments: [VisionSegments("tiles", .tiles)], features: .cells(side: mergeSize),
            prompt: ImagePrompt(
                marker: marker, token: token, tokenText: contextToken, pieces: [.text("<img>"), .features, .text("</img>")]),
            dropsAlpha: dropsAlpha)
    }
}

extension InternVL {
    /// The turns of `conversation.py` that `template` names; nil for others.
    static func turns(_ top: ConfigSection) throws(CheckpointError) -> TurnTemplate? {
        let laboratory = "你是由上海人工智能实验室联合商汤科技开发的书生多模态大模型，英文名叫InternVL, 是一个有用无害的人工智能助手。"
        switch try top.string("template") {
        case "internlm2-chat", "Hermes-2": return turns(standard: laboratory, ending: "<|im_end|>")
        case "internvl2_5":
            return turns(
                standard: "你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的多模态大语言模型。",
                ending: "<|im_end|>\n")
        case "phi3-chat":
            return turns(standard: laboratory, ending: "<|end|>", opening: { "<|\($0)|>\n" })
        case "vicuna_v1.1":
            return TurnTemplate(
                system: (
                    "",
                    "A chat between a curious user and an artificial intelligence assistant. "
                        + "The assistant gives helpful, detailed, and polite answers to the user's questions."
                ), user: "USER: ", assistant: "ASSISTANT: ", answer: "ASSISTANT:", systemEnding: " ", userEnding: " ",
                assistantEnding: "</s>", image: "<image>\n", oneOfSeveral: "Image-{image}: <image>\n")
        default: return nil
        }
    }

    private static func turns(
        standard: String, ending: String, opening: (String) -> String = { "<|im_start|>\($0)\n" }
    ) -> TurnTemplate {
        TurnTemplate(
            system: (opening("system"), standard), user: opening("user"), assistant: opening("assistant"), systemEnding: ending,
            userEnding: ending, assistantEnding: ending, image: "<image>\n", oneOfSeveral: "Image-{image}: <image>\n")
    }
}
