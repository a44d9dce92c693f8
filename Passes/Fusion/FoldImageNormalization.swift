package import IR
import Tensors

/// Folds mean, deviation and the repeated frame of a still image into the patch embedding's weight and bias.
///
/// With `n = (u − mean) / dev` and the same `n` in every frame, `W · n = (Σ_frames W / dev) · u − (Σ_frames W / dev) · mean`; a bias of
/// the patch embedding's own is added.
///
///     %1 = div (sub (cast %pixels), mean), dev
///     %2 = linear (expand %1 over frames), %w     →      %2 = linear (cast %pixels), %w', %b'
package let foldImageNormalization = Pass("fold-image-normalization", .fused) { editor throws(PassError) in
    try editor.apply([frames(hasBias: false), oneFrame(hasBias: false), frames(hasBias: true), oneFrame(hasBias: true)])
}

/// Bytes after the processor's subtraction and division; both may take the same constant.
private func normal(_ p: PatternBuilder) -> PatternValue {
    let bytes = p.cast(p.some(Reshape.self, p.value("pixels"), named: "channels"), to: .f32)
    return p.div(p.sub(bytes, p.value("mean")), p.value("dev"))
}

/// The patch embedding, with a bias of its own or without.
private func embedded(_ p: PatternBuilder, _ x: PatternValue, hasBias: Bool) -> PatternValue {
    let w = p.value("w")
    return hasBias ? p.some(Linear.self, x, w, p.value("b"), named: "y") : p.some(Linear.self, x, w, named: "y")
}

private func frames(hasBias: Bool) -> Rule {
    Rule(hasBias ? "image-normalization-and-bias" : "image-normalization") { p in
        let frames = p.some(Expand.self, p.some(Reshape.self, normal(p), named: "frame"), named: "frames")
        return embedded(p, p.some(Reshape.self, frames), hasBias: hasBias)
    } rewrite: { m, e throws(Refusal) in
        let image = try Image(m, hasBias: hasBias)
        guard m.type("frames").shape.rank == 4, let count = m.type("frames").shape[2].fixedValue else {
            throw Refusal("the patches are not [P, C, frames, area]", at: m["frames"])
        }
        let (channels, area) = (Dim.fixed(image.channels), Dim.fixed(image.area))
        try m.require(m.type("frame").shape == [image.patches, channels, 1, area], "the image is not one frame", at: "frame")
        try m.require(
            m.type("frames").shape == [image.patches, channels, .fixed(count), area], "the frames are not repeated", at: "frames")
        return try image.folded(m, e, frames: count, bias: hasBias ? m["b"] : nil)
    }
}

private func oneFrame(hasBias: Bool) -> Rule {
    Rule(hasBias ? "image-normalization-and-bias-of-one-frame" : "image-normalization-of-one-frame") { p in
        embedded(p, p.some(Reshape.self, normal(p)), hasBias: hasBias)
    } rewrite: { m, e throws(Refusal) in try Image(m, hasBias: hasBias).folded(m, e, frames: 1, bias: hasBias ? m["b"] : nil) }
}

/// The extents of patches, after checks of what both rules have in common.
private struct Image {
    let patches: Dim
    let channels: Int
    let area: Int

    init(_ m: Match, hasBias: Bool) throws(Refusal) {
        try m.require(m.op("y", as: Linear.self) == Linear(hasBias: hasBias), "the layer does more than multiply", at: "y")
        try m.require(m.type("pixels").element == .u8, "the pixels are not bytes", at: "pixels")
        let shape = m.type("channels").shape
        guard shape.rank == 3, let channels = shape[1].fixedValue, let area = shape[2].fixedValue else {
            throw Refusal("the patches are not [P, C, area]", at: m["channels"])
        }
        (patches, self.channels, self.area) = (shape[0], channels, area)
        try m.require(
            m.type("pixels").shape == [patches, .fixed(channels * area)], "the pixels are not a row for each patch", at: "pixels")
        for name in ["mean", "dev"] {
            try m.require(m.graph.isConstant(m[name]), "\(name) is not a constant", at: name)
            try m.require(m.type(name).shape == [.fixed(channels), 1], "\(name) is not one number per channel", at: name)
        }
    }

    /// The layer over bytes, for a weight that has `frames` times the pixels of the image.
    func folded(_ m: Match, _ e: Editor, frames: Int, bias: ValueID?) throws(Refusal) -> ValueID {
        let (channels, area) = (Dim.fixed(channels), Dim.fixed(area))
        let pixels = Dim.fixed(self.channels * self.area)
        guard m.type("w").shape.rank == 2, m.type("w").shape[1] == .fixed(self.channels * frames * self.area) else {
            throw Refusal("the weight is not one for each pixel", at: m["w"])
        }
        let outputs = m.type("w").shape[0]
        let kernel = e.reshape(e.cast(m["w"], to: .f32), [outputs, channels, .fixed(frames), area])
        let weights = e.reshape(e.sum(kernel, axis: 2), [outputs, channels, area])
        let weight = e.reshape(e.div(weights, m["dev"]), [outputs, pixels])
        let means = e.reshape(e.expand(m["mean"], [channels, area]), [1, pixels])
        let shift = e.reshape(e.matmul(weight, means, transposeB: true), [outputs])
        let moved = bias.map { e.sub(e.cast($0, to: .f32), shift) } ?? e.neg(shift)
        return e.linear(e.cast(m["pixels"], to: .f32), weight, bias: moved)
    }
}
