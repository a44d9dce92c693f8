package import Plan

/// Where each prompt token stands, on every axis of the model's position scheme.
package struct TokenPositions: Sendable, Hashable {
    /// `[axes, tokens]`, axis by axis.
    package let ids: [Int32]
    package let axes: Int
    /// A token at index `i` behind the prompt stands at `i + delta` on every axis (HF `rope_deltas`).
    package let delta: Int32

    package init(ids: [Int32], axes: Int, delta: Int32) {
        self.ids = ids
        self.axes = axes
        self.delta = delta
    }
}

/// The tokens that one image takes, or slices of a video that follow each other, and their grid of patches.
package struct ImageSpan: Sendable, Hashable {
    /// Indices into the prompt's tokens.
    package var tokens: Range<Int>
    /// Patches, before merging.
    package var gridHeight: Int
    package var gridWidth: Int
    /// Positions on the axis of time from one slice to the next.
    package var sliceStep: Float

    package init(tokens: Range<Int>, gridHeight: Int, gridWidth: Int, sliceStep: Float = 1) {
        self.tokens = tokens
        self.gridHeight = gridHeight
        self.gridWidth = gridWidth
        self.sliceStep = sliceStep
    }
}

extension ImageSpan {
    /// One for each range of tokens. Schemes that look at grids are those whose tiles are alike, and whose ranges are whole tiles.
    static func spans(of prepared: PreparedImage, _ spec: InputSpec) -> [ImageSpan] {
        guard let tile = prepared.image.layout.tiles.first else { return [] }
        // HuggingFace's processor hands the seconds out in f32, which the model multiplies.
        let step = prepared.image.video.flatMap { video in spec.video?.positionsPerSecond.map { Float($0) * Float(video.sliceSeconds) } }
        return prepared.tokens.ranges.map { ImageSpan(tokens: $0, gridHeight: tile.gridHeight, gridWidth: tile.gridWidth, sliceStep: step ?? 1) }
    }
}

extension PositionScheme {
    /// Positions of `count` tokens, of which `images`, in order and apart, stand for images.
    ///
    /// Source for `mrope`: HF `Qwen2VLModel.get_rope_index` and `Qwen2_5_VLModel.get_rope_index`. Text goes on by one on all axes; an
    /// image keeps its time and counts rows and columns of the merged grid from there, each slice of a video a step later than the one
    /// before, rounded down; behind it text goes on at the grid's longer side, however long the video is.
    package func positions(count: Int, images: [ImageSpan]) -> TokenPositions {
        switch self {
        case .sequential(let start):
            return TokenPositions(ids: (0..<count).map { Int32($0 + start) }, axes: 1, delta: Int32(start))
        case .byLength(let lengths):
            let used = lengths.axis(prompt: count, known: count)
            let ids = (0..<axes).flatMap { axis in (0..<count).map { axis == used ? Int32($0) : 0 } }
            return TokenPositions(ids: ids, axes: axes, delta: 0)
        case .mrope(let merge):
            var ids = [Int32](repeating: 0, count: 3 * count)
            var token = 0
            var next = 0
            func text(to end: Int) {
                while token < end {
                    for axis in 0..<3 { ids[axis * count + token] = Int32(next) }
                    token += 1
                    next += 1
                }
            }
            for image in images {
                text(to: image.tokens.lowerBound)
                let columns = max(image.gridWidth / merge, 1)
                let ofSlice = max(image.gridHeight / merge, 1) * columns
                for (offset, index) in image.tokens.enumerated() {
                    let (slice, place) = (offset / ofSlice, offset % ofSlice)
                    ids[index] = Int32(next) + Int32(clamping: Int(min(Float(slice) * image.sliceStep, 0x1p30)))
                    ids[count + index] = Int32(next + place / columns)
                    ids[2 * count + index] = Int32(next + place % columns)
                }
                token = image.tokens.upperBound
                next += max(image.gridHeight, image.gridWidth) / merge
            }
            text(to: count)
            return TokenPositions(ids: ids, axes: 3, delta: Int32(Int(ids.max() ?? -1) + 1 - count))
        }
    }
}
