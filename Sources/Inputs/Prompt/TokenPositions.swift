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

/// The tokens that one image takes, and its grid of patches.
package struct ImageSpan: Sendable, Hashable {
    /// Indices into the prompt's tokens.
    package var tokens: Range<Int>
    /// Patches, before merging.
    package var gridHeight: Int
    package var gridWidth: Int

    package init(tokens: Range<Int>, gridHeight: Int, gridWidth: Int) {
        self.tokens = tokens
        self.gridHeight = gridHeight
        self.gridWidth = gridWidth
    }
}

extension ImageSpan {
    /// Nil for an image without tokens. Schemes that look at grids are those of one tile and one range.
    init?(_ prepared: PreparedImage) {
        guard let tokens = prepared.tokens.ranges.first, let tile = prepared.image.layout.tiles.first else { return nil }
        self.init(tokens: tokens, gridHeight: tile.gridHeight, gridWidth: tile.gridWidth)
    }
}

extension PositionScheme {
    /// Positions of `count` tokens, of which `images`, in order and apart, stand for images.
    ///
    /// Source for `mrope`: HF `Qwen2VLModel.get_rope_index`. Text goes on by one on all axes; an image keeps its time
    /// and counts rows and columns of the merged grid from there; behind it text goes on at the grid's longer side.
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
                for (offset, index) in image.tokens.enumerated() {
                    ids[index] = Int32(next)
                    ids[count + index] = Int32(next + offset / columns)
                    ids[2 * count + index] = Int32(next + offset % columns)
                }
                token = image.tokens.upperBound
                next += max(image.gridHeight, image.gridWidth) / merge
            }
            text(to: count)
            return TokenPositions(ids: ids, axes: 3, delta: Int32(Int(ids.max() ?? -1) + 1 - count))
        }
    }
}
