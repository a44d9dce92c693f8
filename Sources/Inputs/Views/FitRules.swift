import Foundation
internal import Plan

extension FitRule {
    /// No canvas has more pixels than this, unless the image had them.
    private static let canvasPixelsMax = 1 << 27

    /// The canvas for an image of that size, or for a video's `count` frames; nil where the rule gives none.
    func frame(of size: ImageSize, count: Int = 1) throws(ImageError) -> ImageLayout.Frame? {
        guard let frame = try unboundedFrame(of: size, count: count) else { return nil }
        for part in [frame.resized, frame.canvas, frame.padded ?? frame.canvas] {
            let (pixels, overflow) = part.width.multipliedReportingOverflow(by: part.height)
            guard !overflow, part.width > 0, part.height > 0, pixels <= max(Self.canvasPixelsMax, size.width * size.height) else {
                throw .outOfMemory(width: part.width, height: part.height)
            }
        }
        return frame
    }

    private func unboundedFrame(of size: ImageSize, count: Int) throws(ImageError) -> ImageLayout.Frame? {
        switch self {
        case .clip(let fit): return ImageLayout.Frame(resized: try fit.size(of: size, frames: count))
        case .keep(let multiple):
            guard size.width % multiple == 0, size.height % multiple == 0 else {
                throw .sizeNotMultiple(width: size.width, height: size.height, multiple: multiple)
            }
            return ImageLayout.Frame(resized: size)
        case .smart(let minPixels, let maxPixels, let multiple, let growsShortSide):
            let start = growsShortSide ? Self.grown(size, multiple) : size
            let (height, width) = try smartResize(
                height: start.height, width: start.width, factor: multiple, minPixels: minPixels, maxPixels: maxPixels)
            return ImageLayout.Frame(resized: ImageSize(width: width, height: height))
        case .volume(let minPixels, let maxPixels, let multiple, let frames):
            return ImageLayout.Frame(resized: try Self.volume(size, minPixels, maxPixels, multiple, frames))
        case .fill(let maxPixels, let multiple): return ImageLayout.Frame(resized: Self.filled(size, maxPixels, multiple))
        case .bounded(let minPixels, let maxPixels, let multiple):
            return ImageLayout.Frame(resized: Self.withinArea(size, minPixels, maxPixels, multiple))
        case .exact(let width, let height), .interpolated(let width, let height):
            return ImageLayout.Frame(resized: ImageSize(width: width, height: height))
        case .cover(let edge, let width, let height): return Self.covering(size, edge, ImageSize(width: width, height: height))
        case .padded(let side):
            var frame = ImageLayout.Frame(resized: ImageSize(width: side, height: side))
            let longer = max(size.width, size.height)
            frame.padded = ImageSize(width: longer, height: longer)
            return frame
        case .pinpoints(let sizes): return Self.best(of: sizes, for: size)
        case .aspectTiles(let side, let least, let most): return Self.tiled(size, side, least, most)
        case .longest(let longest, let multiple): return Self.limited(size, longest, multiple)
        case .overview(let side, let most, let multiple):
            let slicing = Slicing(side: side, most: most, multiple: multiple)
            return ImageLayout.Frame(resized: slicing.overview(size))
        case .slices(let side, let most, let multiple): return Slicing(side: side, most: most, multiple: multiple).slices(size)
        case .longestEdge(let edge): return ImageLayout.Frame(resized: Self.longestEdge(size, edge))
        case .multiples(let side): return Self.multiples(size, side)
        case .pages(let side, let most): return try Self.page(size, side, most)
        }
    }

    /// `HD_transform` and `padding_336` of Phi-3-vision's processor.
    private static func page(_ size: ImageSize, _ side: Int, _ most: Int) throws(ImageError) -> ImageLayout.Frame {
        let isTurned = size.width < size.height
        let (long, short) = isTurned ? (size.height, size.width) : (size.width, size.height)
        let ratio = Double(long) / Double(short)
        var columns = 1
        while Double(columns) * (Double(columns) / ratio).rounded(.up) <= Double(most) { columns += 1 }
        let width = max(columns - 1, 1) * side
        let height = Int(Double(width) / ratio)
        guard height > 0 else { throw .tooThin(width: size.width, height: size.height) }
        let rows = (height + side - 1) / side
        func upright(_ width: Int, _ height: Int) -> ImageSize {
            isTurned ? ImageSize(width: height, height: width) : ImageSize(width: width, height: height)
        }
        var frame = ImageLayout.Frame(resized: upright(width, height), canvas: upright(width, rows * side))
        let margin = (rows * side - height) / 2
        (frame.left, frame.top) = isTurned ? (margin, 0) : (0, margin)
        (frame.tileRows, frame.tileColumns) = isTurned ? (width / side, rows) : (rows, width / side)
        frame.isTurned = isTurned
        return frame
    }

    /// `smart_resize` of `Glm46VImageProcessor`.
    private static func volume(
        _ size: ImageSize, _ minPixels: Int, _ maxPixels: Int, _ multiple: Int, _ frames: Int
    ) throws(ImageError) -> ImageSize {
        let least = Double(multiple)
        var start = size
        if size.height < multiple || size.width < multiple {
            let scale = max(least / Double(size.height), least / Double(size.width))
            start = ImageSize(width: Int(Double(size.width) * scale), height: Int(Double(size.height) * scale))
        }
        let (height, width) = try smartResize(
            height: start.height, width: start.width, factor: multiple, minPixels: minPixels, maxPixels: maxPixels, frames: frames)
        return ImageSize(width: width, height: height)
    }

    /// `get_aspect_ratio_preserving_size` of `Gemma4ImageProcessor`.
    private static func filled(_ size: ImageSize, _ maxPixels: Int, _ multiple: Int) -> ImageSize {
        let (tall, wide) = (Double(size.height), Double(size.width))
        let factor = (Double(maxPixels) / (tall * wide)).squareRoot()
        func cells(_ length: Double) -> Int { Int((factor * length / Double(multiple)).rounded(.down)) }
        let most = maxPixels / (multiple * multiple)
        var (rows, columns) = (cells(tall), cells(wide))
        if rows == 0 {
            (rows, columns) = (1, min(Int((wide / tall).rounded(.down)), most))
        } else if columns == 0 {
            (rows, columns) = (min(Int((tall / wide).rounded(.down)), most), 1)
        }
        return ImageSize(width: columns * multiple, height: rows * multiple)
    }

    /// `Lfm2VlImageProcessor.smart_resize`
    private static func withinArea(_ size: ImageSize, _ minPixels: Int, _ maxPixels: Int, _ multiple: Int) -> ImageSize {
        let (width, height, cell) = (Double(size.width), Double(size.height), Double(multiple))
        func sides(_ rule: FloatingPointRoundingRule, dividedBy factor: Double = 1, times other: Double = 1, least: Int) -> ImageSize {
            func side(_ length: Double) -> Int { max(Int(min(length / factor * other / cell, 0x1p30).rounded(rule)) * multiple, least) }
            return ImageSize(width: side(width), height: side(height))
        }
        let near = sides(.toNearestOrEven, least: multiple)
        let area = near.width * near.height
        if area > maxPixels { return sides(.down, dividedBy: (height * width / Double(maxPixels)).squareRoot(), least: multiple) }
        if area < minPixels { return sides(.up, times: (Double(minPixels) / (height * width)).squareRoot(), least: 0) }
        return near
    }

    private static func longestEdge(_ size: ImageSize, _ edge: Int) -> ImageSize {
        let ratio = Double(size.width) / Double(size.height)
        func even(_ length: Double) -> Int {
            let whole = Int(length)
            return max(whole % 2 == 0 ? whole : whole + 1, 1)
        }
        return size.width >= size.height
            ? ImageSize(width: edge, height: even(Double(edge) / ratio)) : ImageSize(width: even(Double(edge) * ratio), height: edge)
    }

    private static func multiples(_ size: ImageSize, _ side: Int) -> ImageLayout.Frame {
        let ratio = Double(size.width) / Double(size.height)
        func up(_ length: Double) -> Int { Int((length / Double(side)).rounded(.up)) * side }
        var (width, height) = (size.width, size.height)
        if width >= height {
            width = up(Double(width))
            height = up(Double(Int(Double(width) / ratio)))
        } else {
            height = up(Double(height))
            width = up(Double(Int(Double(height) * ratio)))
        }
        var frame = ImageLayout.Frame(resized: ImageSize(width: width, height: height))
        (frame.tileRows, frame.tileColumns) = (height / side, width / side)
        return frame
    }

    private static func grown(_ size: ImageSize, _ multiple: Int) -> ImageSize {
        var (width, height) = (Double(size.width), Double(size.height))
        let least = Double(multiple)
        if height < least { (width, height) = ((width * least / height).rounded(.toNearestOrEven), least) }
        if width < least { (width, height) = (least, (height * least / width).rounded(.toNearestOrEven)) }
        return ImageSize(width: Int(min(width, 0x1p30)), height: Int(min(height, 0x1p30)))
    }

    /// Torch's `resize` to a shorter edge, then `center_crop`, which pads where the image is smaller.
    private static func covering(_ size: ImageSize, _ edge: Int, _ canvas: ImageSize) -> ImageLayout.Frame {
        let (short, long) = (min(size.width, size.height), max(size.width, size.height))
        let longer = Int(Double(edge * long) / Double(short))
        let resized = size.width <= size.height ? ImageSize(width: edge, height: longer) : ImageSize(width: longer, height: edge)
        var frame = ImageLayout.Frame(resized: resized, canvas: canvas)
        frame.left = middle(canvas.width, resized.width)
        frame.top = middle(canvas.height, resized.height)
        return frame
    }

    /// Where a length begins in the middle of another: half of what is left, rounded down, and half of what is cut, rounded down.
    private static func middle(_ canvas: Int, _ length: Int) -> Int {
        length <= canvas ? (canvas - length) / 2 : -((length - canvas) / 2)
    }

    private static func best(of sizes: [ImageSize], for size: ImageSize) -> ImageLayout.Frame {
        let (width, height) = (Double(size.width), Double(size.height))
        var best = (size: sizes[0], effective: -1, wasted: Int.max)
        for candidate in sizes {
            let scale = min(Double(candidate.width) / width, Double(candidate.height) / height)
            let effective = min(Int(width * scale) * Int(height * scale), size.width * size.height)
            let wasted = candidate.width * candidate.height - effective
            if effective > best.effective || (effective == best.effective && wasted < best.wasted) {
                best = (candidate, effective, wasted)
            }
        }
        let canvas = best.size
        let (wide, tall) = (Double(canvas.width) / width, Double(canvas.height) / height)
        let resized =
            wide < tall
            ? ImageSize(width: canvas.width, height: min(Int((height * wide).rounded(.up)), canvas.height))
            : ImageSize(width: min(Int((width * tall).rounded(.up)), canvas.width), height: canvas.height)
        var frame = ImageLayout.Frame(resized: resized, canvas: canvas)
        (frame.left, frame.top) = ((canvas.width - resized.width) / 2, (canvas.height - resized.height) / 2)
        return frame
    }

    /// `find_closest_aspect_ratio`: of equally near ratios the later one, where the image is larger than half its tiles.
    private static func tiled(_ size: ImageSize, _ side: Int, _ least: Int, _ most: Int) -> ImageLayout.Frame {
        let ratio = Double(size.width) / Double(size.height)
        var candidates: [(columns: Int, rows: Int)] = []
        for columns in 1...most {
            for rows in 1...most where (least...most).contains(columns * rows) { candidates.append((columns, rows)) }
        }
        candidates.sort { ($0.columns * $0.rows, $0.columns) < ($1.columns * $1.rows, $1.columns) }
        var (chosen, nearest) = ((columns: 1, rows: 1), Double.infinity)
        for candidate in candidates {
            let difference = abs(ratio - Double(candidate.columns) / Double(candidate.rows))
            let isLarge = 2 * size.width * size.height > side * side * candidate.columns * candidate.rows
            if difference < nearest || (difference == nearest && isLarge) { (chosen, nearest) = (candidate, difference) }
        }
        var frame = ImageLayout.Frame(resized: ImageSize(width: side * chosen.columns, height: side * chosen.rows))
        (frame.tileRows, frame.tileColumns) = (chosen.rows, chosen.columns)
        return frame
    }

    private static func limited(_ size: ImageSize, _ longest: Int, _ multiple: Int) -> ImageLayout.Frame {
        let ratio = max(Double(size.width), Double(size.height)) / Double(longest)
        var (width, height) = (size.width, size.height)
        if ratio > 1 { (width, height) = (Int((Double(width) / ratio).rounded(.down)), Int((Double(height) / ratio).rounded(.down))) }
        func up(_ length: Int) -> Int { max((max(length, 1) - 1) / multiple + 1, 1) * multiple }
        return ImageLayout.Frame(resized: ImageSize(width: up(width), height: up(height)))
    }
}
