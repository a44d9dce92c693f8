import Foundation
internal import Plan

/// MiniCPM-V's slices (`MiniCPMVImageProcessor.slice_image`): a large image is looked at as a whole and in pieces of about `side`².
struct Slicing {
    let side: Int
    let most: Int
    /// Sides are multiples of it.
    let multiple: Int

    /// What the whole image is resized to: smaller ones grow only where there are no slices.
    func overview(_ size: ImageSize) -> ImageSize { best(size, grows: grid(size) == nil) }

    /// The slices; nil for an image that needs none.
    func slices(_ size: ImageSize) -> ImageLayout.Frame? {
        guard let (columns, rows) = grid(size) else { return nil }
        let cell = ImageSize(width: divided(size.width, by: columns) / columns, height: divided(size.height, by: rows) / rows)
        let slice = best(cell, grows: true)
        var frame = ImageLayout.Frame(resized: ImageSize(width: slice.width * columns, height: slice.height * rows))
        (frame.tileRows, frame.tileColumns) = (rows, columns)
        return frame
    }

    /// The grid whose ratio is nearest to the image's, of those with about as many slices as its area asks for.
    private func grid(_ size: ImageSize) -> (columns: Int, rows: Int)? {
        let (width, height) = (Double(size.width), Double(size.height))
        let ratio = width * height / Double(side * side)
        let count = min(Int(ratio.rounded(.up)), most)
        guard count > 1 else { return nil }
        var (chosen, nearest): ((columns: Int, rows: Int), Double) = ((1, 1), .infinity)
        for total in [count - 1, count, count + 1] where total > 1 && total <= most {
            for columns in 1...total where total % columns == 0 {
                let rows = total / columns
                let error = abs(log(width / height) - log(Double(columns) / Double(rows)))
                if error < nearest { (chosen, nearest) = ((columns, rows), error) }
            }
        }
        return chosen
    }

    private func best(_ size: ImageSize, grows: Bool) -> ImageSize {
        var (width, height) = (size.width, size.height)
        if grows || width * height > side * side {
            let ratio = Double(width) / Double(height)
            height = Int(Double(side) / ratio.squareRoot())
            width = Int(Double(height) * ratio)
        }
        return ImageSize(width: divided(width, by: multiple), height: divided(height, by: multiple))
    }

    /// The nearest multiple, halves to even, and at least one.
    private func divided(_ length: Int, by divisor: Int) -> Int {
        max(Int((Double(length) / Double(divisor)).rounded(.toNearestOrEven)) * divisor, divisor)
    }
}
