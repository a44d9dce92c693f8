import HuggingFace
import JSON
import Plan

/// The entries of an image processor's file.
extension ConfigSection {
    /// Refuses the file of a class that is not one of `types`, written without the suffixes `Fast` and `Pil`. A file that names no class
    /// is that of the model's family.
    func checkProcessor(_ types: [String]) throws(CheckpointError) {
        let names = (try string("image_processor_type"), try string("feature_extractor_type"))
        guard var type = names.0 ?? names.1 else { return }
        for suffix in ["Fast", "Pil"] where type.hasSuffix(suffix) { type.removeLast(suffix.count) }
        guard types.contains(type) else {
            throw error(
                "image_processor_type", "is \"\(type)\"; the known types for this model are: \(types.joined(separator: ", "))", .unsupported)
        }
    }

    /// Throws when the entry is there and null.
    private func refuseNull(_ key: String) throws(CheckpointError) {
        if isNull(key) { throw error(key, "is null; give its value, or leave it out for the default") }
    }

    /// A flag that is true where it is left out, and false where it is null.
    func flag(_ key: String) throws(CheckpointError) -> Bool { try bool(key) ?? !isNull(key) }

    /// A whole number within bounds that may be left out, but not be null.
    func given(_ key: String, in range: ClosedRange<Int>) throws(CheckpointError) -> Int? {
        try refuseNull(key)
        return try int(key) == nil ? nil : size(key, in: range)
    }

    /// Bounds of the area in pixels: `min_pixels`/`max_pixels` win over `size.shortest_edge`/`longest_edge`, which count pixels as well.
    func pixelBounds(least: Int, most: Int) throws(CheckpointError) -> (least: Int, most: Int) {
        let size = try section("size")
        func bound(_ flat: String, _ edge: String, isUpper: Bool, fallback: Int) throws(CheckpointError) -> Int {
            if let pixels = try pixels(flat, isUpper: isUpper) { return pixels }
            guard let size else { return fallback }
            if let pixels = try size.pixels(edge, isUpper: isUpper) { return pixels }
            if let pixels = try size.pixels(flat, isUpper: isUpper) { return pixels }
            throw error("size", "must hold \(edge), a count of pixels, unless \(flat) is given")
        }
        return (
            try bound("min_pixels", "shortest_edge", isUpper: false, fallback: least),
            try bound("max_pixels", "longest_edge", isUpper: true, fallback: most)
        )
    }

    /// A count of pixels; no image has more than fit 32 bits, so that a greater upper bound is the same as that one.
    private func pixels(_ key: String, isUpper: Bool) throws(CheckpointError) -> Int? {
        let limit = Int(Int32.max)
        switch members[key] {
        case .wide(let digits)? where isUpper && !digits.hasPrefix("-"): return limit
        case .int(let count)? where isUpper && count > limit: return limit
        case nil, .null?: return nil
        default: return try size(key, in: 1...limit)
        }
    }

    /// The filter that `resample` names; bicubic where it is left out.
    func filter() throws(CheckpointError) -> ResampleFilter {
        try refuseNull("resample")
        switch members["resample"] {
        case nil, .int(3)?, .string("bicubic")?: return .bicubic
        case .string("nearest")?: return .nearest
        case .int(0)?, .string("nearest-exact")?: return .nearestExact
        case .int(1)?, .string("lanczos")?: return .lanczos
        case .int(2)?, .string("bilinear")?: return .bilinear
        default:
            throw error(
                "resample", "must be 0 (nearest-exact), 1 (lanczos), 2 (bilinear) or 3 (bicubic), or one of these names, or nearest")
        }
    }

    /// What bytes are multiplied by; nil where they are not (`do_rescale`).
    func scaling() throws(CheckpointError) -> Double? { try flag("do_rescale") ? rescaleFactor() : nil }

    private func rescaleFactor() throws(CheckpointError) -> Double {
        try refuseNull("rescale_factor")
        let factor = try double("rescale_factor") ?? 1.0 / 255
        guard Float(factor).isUsable, Float(1 / factor).isUsable else {
            throw error("rescale_factor", "is \(factor); it and its reciprocal must be numbers of f32 other than zero")
        }
        return factor
    }

    /// Mean and deviation; nil where values are left as they are (`do_normalize`).
    ///
    /// - Parameter factor: what bytes are multiplied by before, which must leave numbers of f32.
    func normalization(
        rescaledBy factor: Double?, defaults: PixelSpec.Normalization = .clip
    ) throws(CheckpointError) -> PixelSpec.Normalization? {
        guard try flag("do_normalize") else { return nil }
        for key in ["image_mean", "image_std"] { try refuseNull(key) }
        let mean = try channels("image_mean") ?? defaults.mean
        let deviation = try channels("image_std") ?? defaults.deviation
        guard deviation.allSatisfy({ Float($0) != 0 }) else { throw error("image_std", "must not hold a zero") }
        let scale = Float(1 / (factor ?? 1))
        guard mean.allSatisfy({ (Float($0) * scale).isFinite }) else { throw error("image_mean", "is too large for f32") }
        guard deviation.allSatisfy({ (Float($0) * scale).isUsable }) else { throw error("image_std", "is too large or too small for f32") }
        return .init(mean: mean, deviation: deviation)
    }

    /// Three numbers, or one for all three channels, in a list or not.
    func channels(_ key: String) throws(CheckpointError) -> [Double]? {
        guard let value = members[key] else { return nil }
        let given = value.arrayValue ?? [value]
        let numbers = given.compactMap(\.doubleValue)
        guard numbers.count == given.count, numbers.count == 3 || numbers.count == 1, numbers.allSatisfy(\.isFinite) else {
            throw error(key, "must be a list of three numbers, or one number for all three channels")
        }
        return numbers.count == 1 ? Array(repeating: numbers[0], count: 3) : numbers
    }
}

extension Float {
    /// Whether one can divide by the number.
    fileprivate var isUsable: Bool { isFinite && !isZero && (1 / self).isFinite }
}
