/// Where each patch of a batch of pictures lies, in the order in which the vision tower reads patches.
package struct VisionLayout: Sendable, Hashable {
    /// Row of each patch in its own picture's grid.
    package private(set) var rows: [Int32] = []
    /// Column of each patch in its own picture's grid.
    package private(set) var columns: [Int32] = []
    /// Bounds of the pictures in the batch, from 0 to the number of patches (HF `cu_seqlens`): attention stays inside.
    package private(set) var bounds: [Int32] = [0]

    /// The layout of pictures with these grids, whose sides are multiples of `mergeSize`: the patches of one merged
    /// cell follow each other, cells in raster order (HF `rot_pos_emb`).
    package init(grids: [(height: Int, width: Int)], mergeSize: Int) {
        let count = grids.reduce(0) { $0 + $1.height * $1.width }
        rows.reserveCapacity(count)
        columns.reserveCapacity(count)
        for grid in grids {
            precondition(grid.height % mergeSize == 0 && grid.width % mergeSize == 0, "grid is not a multiple")
            for top in stride(from: 0, to: grid.height, by: mergeSize) {
                for left in stride(from: 0, to: grid.width, by: mergeSize) {
                    for cell in 0..<mergeSize * mergeSize {
                        rows.append(Int32(top + cell / mergeSize))
                        columns.append(Int32(left + cell % mergeSize))
                    }
                }
            }
            bounds.append(Int32(rows.count))
        }
    }
}
