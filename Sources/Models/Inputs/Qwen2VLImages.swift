package import HuggingFace
package import Plan

/// How the images of the Qwen2-VL line are read: `Qwen2VLImageProcessor`, torchvision backend, whatever backend wrote the file.
package struct Qwen2VLImages {
    let patchSize: Int
    let mergeSize: Int
    let frames: Int
    private let fit: FitRule
    private let filter: ResampleFilter
    private let rescaleFactor: Double?
    private let normalization: PixelSpec.Normalization?

    /// Both generations of keys are read. Absent entries take the class's defaults; a flag that is null is false, and what a step that
    /// is taken needs must not be null. Images are RGB already, so `do_convert_rgb` is moot.
    package init(_ file: ConfigSection) throws(CheckpointError) {
        try file.checkProcessor(["Qwen2VLImageProcessor"])
        rescaleFactor = try file.scaling()
        let isResized = try file.flag("do_resize")
        normalization = try file.normalization(rescaledBy: rescaleFactor)
        patchSize = try file.given("patch_size", in: 1...1024) ?? 14
        mergeSize = try file.given("merge_size", in: 1...64) ?? 2
        frames = try file.given("temporal_patch_size", in: 1...64) ?? 2
        filter = isResized ? try file.filter() : .bicubic
        let multiple = patchSize * mergeSize
        guard isResized else {
            fit = .keep(multiple: multiple)
            return
        }
        let bounds = try file.pixelBounds(least: 56 * 56, most: 28 * 28 * 1280)
        fit = .smart(minPixels: bounds.least, maxPixels: bounds.most, multiple: multiple, growsShortSide: false)
    }

    /// Throws where the vision part of `config.json` has patches of another kind.
    func check(patchSize: Int, mergeSize: Int, frames: Int, of config: ModelConfig) throws(CheckpointError) {
        guard (self.patchSize, self.mergeSize, self.frames) != (patchSize, mergeSize, frames) else { return }
        throw CheckpointError(
            .inconsistent, file: config.file,
            "vision_config has patches of \(frames)×\(patchSize) merged by \(mergeSize), the image processor "
                + "of \(self.frames)×\(self.patchSize) merged by \(self.mergeSize)")
    }

    /// What the processor does with bytes.
    var pixels: PixelSpec {
        PixelSpec(
            patchSize: patchSize, temporalPatchSize: frames, order: .cells(side: mergeSize, columnsFirst: false),
            rescaleFactor: rescaleFactor, normalization: normalization, form: .patches)
    }

    /// One token for each cell of `mergeSize` × `mergeSize` patches, each of which stands as `token` in the template's text.
    package func spec(token: Int32, text: String) -> ImageSpec {
        ImageSpec(
            views: [ViewSpec(fit, filter: filter, precision: .torchvision)], pixels: pixels,
            tensors: [VisionTensor("pixels", .pixels), VisionTensor("patch_positions", .patchPositions)],
            segments: [VisionSegments("images", .tiles)], features: .cells(side: mergeSize),
            prompt: ImagePrompt(marker: text, token: token, tokenText: text))
    }
}
