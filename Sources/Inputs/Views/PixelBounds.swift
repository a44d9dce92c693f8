package import JSON
package import Plan

/// How many pixels a resized image has at least and at most, where somebody says otherwise than the model's processor.
package struct PixelBounds: Sendable, Hashable {
    package var least: Int?
    package var most: Int?

    package init(least: Int? = nil, most: Int? = nil) { (self.least, self.most) = (least, most) }

    /// What a bound may be.
    package static let range = 1...1 << 31

    /// Reads `mm_processor_kwargs`: `min_pixels` and `max_pixels`, or `size` with `shortest_edge` and `longest_edge`, which HF's processors
    /// of these models take for the same.
    package init(processorArguments object: JSONObject) throws(PixelBoundsError) {
        for (name, value) in object where !value.isNull {
            switch name {
            case "min_pixels": least = try Self.bound(name, value)
            case "max_pixels": most = try Self.bound(name, value)
            case "size":
                guard let size = value.objectValue else { throw PixelBoundsError(field: name, fault: "must be an object") }
                for (edge, value) in size where !value.isNull {
                    switch edge {
                    case "shortest_edge": least = try Self.bound("size.\(edge)", value)
                    case "longest_edge": most = try Self.bound("size.\(edge)", value)
                    default: throw PixelBoundsError(field: "size.\(edge.prefix(100))", fault: "is not taken; shortest_edge and longest_edge are")
                    }
                }
            // They are those of videos.
            case "fps", "num_frames": continue
            default:
                throw PixelBoundsError(field: String(name.prefix(100)), fault: "is not taken; min_pixels, max_pixels, size, fps and num_frames are")
            }
        }
    }

    private static func bound(_ field: String, _ value: JSONValue) throws(PixelBoundsError) -> Int {
        guard let count = value.intValue, range.contains(count) else {
            throw PixelBoundsError(field: field, fault: "must be a whole number of at least 1 and at most 2^31")
        }
        return count
    }

    /// These bounds, and those of `other` where these say nothing.
    package func over(_ other: PixelBounds) -> PixelBounds { PixelBounds(least: least ?? other.least, most: most ?? other.most) }
}

/// Why processor arguments are not taken.
package struct PixelBoundsError: Error, Equatable, CustomStringConvertible {
    package var field: String
    package var fault: String

    package var description: String { "\(field) \(fault)" }
}

extension ImageSpec {
    /// The same with other bounds, as HF's `smart_resize` takes them.
    package func bounded(by bounds: PixelBounds) throws(ImageError) -> ImageSpec {
        guard bounds != PixelBounds() else { return self }
        var spec = self
        var takesBounds = false
        for index in views.indices {
            switch views[index].fit {
            case .smart(let least, let most, let multiple, let growsShortSide):
                let (least, most) = try Self.checked(bounds, least, most)
                spec.views[index].fit = .smart(minPixels: least, maxPixels: most, multiple: multiple, growsShortSide: growsShortSide)
            case .volume(let least, let most, let multiple, let frames):
                let (least, most) = try Self.checked(bounds, least, most)
                spec.views[index].fit = .volume(minPixels: least, maxPixels: most, multiple: multiple, frames: frames)
            case .clip(var fit):
                (fit.minPixels, fit.maxPixels) = try Self.checked(bounds, fit.minPixels, fit.maxPixels)
                spec.views[index].fit = .clip(fit)
            default: continue
            }
            takesBounds = true
        }
        guard takesBounds else { throw .noPixelBounds }
        return spec
    }

    /// A `max_pixels` below the processor's `min_pixels` is taken as HF takes it: what has too many pixels shrinks, what has too few grows.
    /// A `min_pixels` above the processor's `max_pixels` would have no effect.
    private static func checked(_ bounds: PixelBounds, _ least: Int, _ most: Int) throws(ImageError) -> (Int, Int) {
        if let least = bounds.least, least > bounds.most ?? most { throw .pixelBounds(least: least, most: bounds.most ?? most) }
        return (bounds.least ?? least, bounds.most ?? most)
    }
}
