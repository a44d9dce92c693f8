package import IR
import Tensors

/// Folds mean, deviation and the repeated frame of a still picture into the patch embedding's weight and bias.
///
/// With `n = (u − mean) / dev` and the same `n` in every frame, `W · n = (Σ_frames W / dev) · u − (Σ_frames W / dev) · mean`.
///
///     %1 = div (sub (cast %pixels), mean), dev
///     %2 = linear (expand %1 over frames), %w     →      %2 = linear (cast %pixels), %w', %b'
package let foldImageNormalization = Pass("fold-image-normalization", .fused) { editor throws(PassError) in
    try editor.apply([normalization])
}

private let normalization = Rule("image-normalization") { p in
    let bytes = p.cast(p.some(Reshape.self, p.value("pixels"), named: "channels"), to: .f32)
    let normal = p.div(p.sub(bytes, p.shared(p.some(Constant.self, named: "mean"))), p.shared(p.some(Constant.self, named: "dev")))
    let frames = p.some(Expand.self, p.some(Reshape.self, normal, named: "frame"), named: "frames")
    return p.some(Linear.self, p.some(Reshape.self, frames), p.value("w"), named: "y")
} rewrite: { m, e throws(Refusal) in
    try m.require(m.op("y", as: Linear.self) == Linear(), "the layer does more than multiply", at: "y")
    try m.require(m.type("pixels").element == .u8, "the pixels are not bytes", at: "pixels")
    guard m.type("channels").shape.rank == 3, m.type("frames").shape.rank == 4,
        let channels = m.type("channels").shape[1].fixedValue, let area = m.type("channels").shape[2].fixedValue,
        let frames = m.type("frames").shape[2].fixedValue, let outputs = m.type("w").shape[0].fixedValue
    else { throw Refusal("the patches are not [P, C, frames, area]", at: m["frames"]) }
    let patch = m.type("channels").shape[0]
    let still: Shape = [patch, .fixed(channels * area)]
    try m.require(m.type("pixels").shape == still, "the pixels are not a row for each patch", at: "pixels")
    try m.require(
        m.type("frame").shape == [patch, .fixed(channels), 1, .fixed(area)], "the picture is not one frame", at: "frame")
    try m.require(
        m.type("w").shape == [.fixed(outputs), .fixed(channels * frames * area)], "the weight is not one for each pixel",
        at: "w")
    try m.require(
        m.type("frames").shape == [patch, .fixed(channels), .fixed(frames), .fixed(area)], "the frames are not repeated",
        at: "frames")
    for name in ["mean", "dev"] {
        try m.require(m.type(name).shape == [.fixed(channels), 1], "\(name) is not one number per channel", at: name)
    }
    let kernel: Shape = [.fixed(outputs), .fixed(channels), .fixed(frames), .fixed(area)]
    let flat: Shape = [.fixed(outputs), .fixed(channels * area)]
    let weights = e.reshape(e.sum(e.reshape(e.cast(m["w"], to: .f32), kernel), axis: 2), [.fixed(outputs), .fixed(channels), .fixed(area)])
    let weight = e.reshape(e.div(weights, m["dev"]), flat)
    let means = e.reshape(e.expand(m["mean"], [.fixed(channels), .fixed(area)]), [1, .fixed(channels * area)])
    let shift = e.reshape(e.matmul(weight, means, transposeB: true), [.fixed(outputs)])
    return e.linear(e.cast(m["pixels"], to: .f32), weight, bias: e.neg(shift))
}
