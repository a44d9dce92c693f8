package import Budgets
internal import CImage
package import Plan

/// Resizes 8-bit RGB images exactly as torchvision (uint8, antialias) or Pillow do: a horizontal pass to bytes, then
/// a vertical pass; a pass is skipped where that side keeps its length. Pillow from version 13 on does the vertical pass
/// first where the height loses more than twice as many pixels as the width.
package struct Resizer: Sendable {
    package var filter: ResampleFilter
    package var precision: ResizePrecision
    private let isa: cimage_isa

    /// A resizer that uses the best instructions of this machine, or portable code when `portable`; results are equal.
    package init(filter: ResampleFilter, precision: ResizePrecision, portable: Bool = false) {
        self.filter = filter
        self.precision = precision
        isa = portable ? CIMAGE_GENERIC : cimage_detect_isa()
    }

    /// The image at `width` × `height` pixels, both positive and below 2³¹/3. Besides the result it takes memory for
    /// as many rows as the vertical filter spans. `budget` is charged row by row.
    package func resize(
        _ image: Image, width: Int, height: Int, budget: WorkBudget = .generous()
    ) throws(WorkLimitError) -> Image {
        if width == image.width && height == image.height { return image }
        let horizontal = width == image.width
            ? nil : ResizeAxis(from: image.width, to: width, filter: filter, precision: precision)
        let vertical = height == image.height
            ? nil : ResizeAxis(from: image.height, to: height, filter: filter, precision: precision)
        let count = width * height * 3
        var stopped: WorkLimitError?
        /// Charges work on that many pixels; false when it must end.
        func goesOn(_ pixels: Int) -> Bool {
            do throws(WorkLimitError) { try budget.spend(2 * pixels) } catch { stopped = error }
            return stopped == nil
        }
        let pixels = [UInt8](unsafeUninitializedCapacity: count) { target, initialized in
            image.pixels.withUnsafeBufferPointer { source in
                if let source = source.baseAddress, let target = target.baseAddress {
                    fill(target, from: source, image, horizontal, vertical, width: width, while: goesOn)
                }
            }
            initialized = count
        }
        if let stopped { throw stopped }
        return Image(width: width, height: height, pixels: pixels)
    }

    private func fill(
        _ target: UnsafeMutablePointer<UInt8>, from source: UnsafePointer<UInt8>, _ image: Image,
        _ horizontal: ResizeAxis?, _ vertical: ResizeAxis?, width: Int, while goesOn: (_ pixels: Int) -> Bool
    ) {
        let bytesIn = image.width * 3
        let bytes = width * 3
        func row(_ y: Int, into out: UnsafeMutablePointer<UInt8>) {
            horizontal?.withAxis { cimage_resize_row(source + y * bytesIn, out, &$0, isa) }
        }
        guard let vertical else {
            for y in 0..<image.height where goesOn(image.width) { row(y, into: target + y * bytes) }
            return
        }
        vertical.withAxis { axis in
            guard horizontal != nil else {
                for y in 0..<vertical.sizeOut where goesOn(width * Int(vertical.counts[y])) {
                    cimage_resize_column(
                        source, Int64(image.height), Int64(bytes), target + y * bytes, &axis, Int32(y), isa)
                }
                return
            }
            if precision == .pillow, image.height - vertical.sizeOut > 2 * max(image.width - width, 0) {
                let narrow = UnsafeMutablePointer<UInt8>.allocate(capacity: bytesIn)
                narrow.initialize(repeating: 0, count: bytesIn)
                defer { narrow.deallocate() }
                for y in 0..<vertical.sizeOut where goesOn(image.width * (Int(vertical.counts[y]) + 1)) {
                    cimage_resize_column(source, Int64(image.height), Int64(bytesIn), narrow, &axis, Int32(y), isa)
                    horizontal?.withAxis { cimage_resize_row(narrow, target + y * bytes, &$0, isa) }
                }
                return
            }
            let ring = max(Int(vertical.counts.max() ?? 1), 1)
            let rows = UnsafeMutablePointer<UInt8>.allocate(capacity: ring * bytes)
            rows.initialize(repeating: 0, count: ring * bytes)
            defer { rows.deallocate() }
            var ready = 0
            for y in 0..<vertical.sizeOut {
                let end = Int(vertical.starts[y] + vertical.counts[y])
                guard goesOn(image.width * (end - ready) + width * Int(vertical.counts[y])) else { return }
                while ready < end {
                    row(ready, into: rows + ready % ring * bytes)
                    ready += 1
                }
                cimage_resize_column(rows, Int64(ring), Int64(bytes), target + y * bytes, &axis, Int32(y), isa)
            }
        }
    }
}
