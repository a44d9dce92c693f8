import IR
import Tensors

extension ModelTracer {
    /// Bytes of patches u8 `[P, C·s·h·w]` as the image processor scales them, f32 `[P, C·t·h·w]`: the stored frames, or one that each frame
    /// of `t` is.
    ///
    /// Whatever the processor does is one subtraction and one division for each channel (`_fuse_mean_std_and_rescale_factor`).
    func normalizedPatches(_ pixels: Value, _ scale: PixelScale, patchSize: Int, frames: Int, patches: Dim) -> Value {
        let area = Dim.fixed(scale.storedFrames * patchSize * patchSize)
        let reciprocal = Float(1 / (scale.factor ?? 1))
        func perChannel(_ values: [Double]) -> Value {
            b.one(Constant(values.map { Double(Float($0) * reciprocal) }, TensorType(.f32, [3, 1])))
        }
        let bytes = b.cast(b.reshape(pixels, [patches, 3, area]), to: .f32)
        let centered = b.sub(bytes, perChannel(scale.mean))
        var x = b.div(centered, perChannel(scale.deviation))
        if scale.storedFrames == 1 { x = b.expand(b.reshape(x, [patches, 3, 1, area]), [patches, 3, .fixed(frames), area]) }
        return b.reshape(x, [patches, .fixed(3 * frames * patchSize * patchSize)])
    }

    /// A convolution whose kernel is as large as a patch, thus a matrix product (`PatchEmbed`); with `hasChannelsLast` its weight is a
    /// linear layer's over patches whose pixels are together (`Siglip2VisionEmbeddings`).
    func patchProjection(
        _ name: String, _ patches: Value, patchSize: Int, frames: Int?, width: Int, bias: Bool, hasChannelsLast: Bool = false
    ) -> Value {
        scope(name) {
            let side = Dim.fixed(patchSize)
            let area = Dim.fixed(patchSize * patchSize)
            let kernel = hasChannelsLast
                ? b.transpose(b.reshape(parameter("weight", [.fixed(width), .fixed(3 * patchSize * patchSize)]), [.fixed(width), area, 3]), [0, 2, 1])
                : parameter("weight", Shape([.fixed(width), 3] + (frames.map { [.fixed($0)] } ?? []) + [side, side]))
            let elements = 3 * (frames ?? 1) * patchSize * patchSize
            let y = b.matmul(patches, b.reshape(kernel, [.fixed(width), .fixed(elements)]), transposeB: true)
            return bias ? b.add(y, parameter("bias", [.fixed(width)])) : y
        }
    }

    /// Squares of `count` patches, row after row, each joined to one row channel by channel (`torch.nn.functional.unfold`).
    func joinedSquares(_ rows: Value, count: Int, width: Int) -> Value {
        let squares = b.transpose(b.reshape(rows, ["M", .fixed(count), .fixed(width)]), [0, 2, 1])
        return b.reshape(squares, ["M", .fixed(count * width)])
    }

    /// Attention of patches inside images, q, k and v from one layer (`VisionAttention`).
    func packedAttention(_ x: Value, _ shape: AttentionShape, _ rotary: RotaryTables, visible: Value, tokens: Dim) -> Value {
        let width = shape.queryWidth
        let packed = linear("qkv", x, from: width, to: 3 * width, bias: true)
        func part(_ index: Int) -> Value {
            let rows = b.slice(packed, axis: 1, index * width..<(index + 1) * width)
            return b.reshape(rows, [tokens, .fixed(shape.heads), .fixed(shape.headDim)])
        }
        let (q, k, v) = (part(0), part(1), part(2))
        let mixed = attention(
            rotate(q, rotary, headDim: shape.headDim), rotate(k, rotary, headDim: shape.headDim), v, visible: visible, shape,
            magnitude: rotary.magnitude, tokens: tokens)
        return linear("proj", mixed, from: width, to: width, bias: true)
    }
}
