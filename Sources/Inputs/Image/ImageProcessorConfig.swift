package import JSON
package import Plan

/// A file of a model directory whose content cannot be used: which, where, and why.
package struct InputSpecError: Error, Hashable, CustomStringConvertible {
    /// File name inside the model directory.
    package var file: String
    /// Dotted path of the entry, empty for the whole file.
    package var key: String
    /// The fact and the next step.
    package var message: String

    package init(file: String, key: String = "", _ message: String) {
        self.file = file
        self.key = key
        self.message = message
    }

    package var description: String { key.isEmpty ? "\(file): \(message)" : "\(file), \(key): \(message)" }
}

extension ImageProcessorSpec {
    /// The image processors that are known, by HF class name without the suffixes `Fast` and `Pil`.
    package static let knownTypes = ["Qwen2VLImageProcessor"]

    /// Reads preprocessor_config.json, or processor_config.json with its nested `image_processor`.
    ///
    /// `family` is the class of image processors that the model's family has, for files that name none; without it they are
    /// refused.
    ///
    /// Both generations of keys are read: `min_pixels`/`max_pixels` win over `size.shortest_edge`/`longest_edge`, which
    /// count pixels as well. Absent entries take the class's defaults; a flag that is null is false, and what a step that
    /// is taken needs must not be null. Whatever backend wrote the file, the arithmetic is the torchvision backend's, which
    /// `transformers` 5 loads. Pictures are RGB already, so `do_convert_rgb` is moot.
    package init(config: JSONValue, file: String, family: String? = nil) throws(InputSpecError) {
        let outer = ConfigReader(config, file: file)
        let nested = try outer.nested("image_processor")
        let reader = nested ?? outer
        try reader.checkType(owner: outer, family: family)
        let factor = try reader.flag("do_rescale") ? reader.rescaleFactor() : nil
        let isResized = try reader.flag("do_resize")
        for key in ["patch_size", "merge_size", "temporal_patch_size"] { try reader.refuseNull(key) }
        self.init(
            sizing: isResized ? try reader.smartSizing() : .keep,
            filter: isResized ? try reader.filter() : .bicubic,
            precision: .torchvision,
            rescaleFactor: factor,
            normalization: try reader.flag("do_normalize") ? reader.normalization(rescaledBy: factor ?? 1) : nil,
            patchSize: try reader.integer("patch_size", in: 1...1024) ?? 14,
            mergeSize: try reader.integer("merge_size", in: 1...64) ?? 2,
            temporalPatchSize: try reader.integer("temporal_patch_size", in: 1...64) ?? 2)
    }
}

/// Entries of one JSON object, `null` counting as absent unless it is asked for, with errors that name them.
struct ConfigReader {
    private let object: JSONValue
    let file: String
    private let path: String

    init(_ object: JSONValue, file: String, path: String = "") {
        self.object = object
        self.file = file
        self.path = path
    }

    /// Throws when the entry is there and null.
    func refuseNull(_ key: String) throws(InputSpecError) {
        if let value = object[key], value.isNull { throw error(key, "is null; give its value, or leave it out for the default") }
    }

    /// Whether the entry is there and null.
    func isNull(_ key: String) -> Bool { object[key]?.isNull ?? false }

    func value(_ key: String) -> JSONValue? {
        guard let value = object[key], !value.isNull else { return nil }
        return value
    }

    func error(_ key: String, _ message: String) -> InputSpecError {
        InputSpecError(file: file, key: path.isEmpty ? key : "\(path).\(key)", message)
    }

    /// The nested object of that name, nil where absent.
    func nested(_ key: String) throws(InputSpecError) -> ConfigReader? {
        guard let value = value(key) else { return nil }
        guard value.objectValue != nil else { throw error(key, "must be an object") }
        return ConfigReader(value, file: file, path: path.isEmpty ? key : "\(path).\(key)")
    }

    func integer(_ key: String, in range: ClosedRange<Int>) throws(InputSpecError) -> Int? {
        guard let value = value(key) else { return nil }
        guard let number = value.intValue, range.contains(number) else {
            throw error(key, "must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func number(_ key: String) throws(InputSpecError) -> Double? {
        guard let value = value(key) else { return nil }
        guard let number = value.doubleValue, number.isFinite else { throw error(key, "must be a number") }
        return number
    }

    func boolean(_ key: String) throws(InputSpecError) -> Bool? {
        guard let value = value(key) else { return nil }
        guard let flag = value.boolValue else { throw error(key, "must be true or false") }
        return flag
    }
}

/// The entries of a Qwen2-VL image processor.
extension ConfigReader {
    fileprivate func checkType(owner: ConfigReader, family: String?) throws(InputSpecError) {
        let known = ImageProcessorSpec.knownTypes.joined(separator: ", ")
        guard let named = value("image_processor_type") ?? value("feature_extractor_type") else {
            let processor = value("processor_class") ?? owner.value("processor_class")
            if let name = processor?.stringValue, ["Qwen2VLProcessor", "Qwen2_5_VLProcessor"].contains(name) { return }
            if let family, ImageProcessorSpec.knownTypes.contains(family) { return }
            throw error("image_processor_type", "is missing; the known types are: \(known)")
        }
        guard var type = named.stringValue else { throw error("image_processor_type", "must be a string") }
        for suffix in ["Fast", "Pil"] where type.hasSuffix(suffix) { type.removeLast(suffix.count) }
        guard ImageProcessorSpec.knownTypes.contains(type) else {
            throw error("image_processor_type", "\"\(type)\" is not supported; the known types are: \(known)")
        }
    }

    fileprivate func flag(_ key: String) throws(InputSpecError) -> Bool { try boolean(key) ?? !isNull(key) }

    fileprivate func smartSizing() throws(InputSpecError) -> ImageProcessorSpec.Sizing {
        let size = try nested("size")
        func bound(_ flat: String, _ edge: String, isUpper: Bool, fallback: Int) throws(InputSpecError) -> Int {
            if let pixels = try pixels(flat, isUpper: isUpper) { return pixels }
            guard let size else { return fallback }
            if let pixels = try size.pixels(edge, isUpper: isUpper) { return pixels }
            if let pixels = try size.pixels(flat, isUpper: isUpper) { return pixels }
            throw error("size", "must hold \(edge), a count of pixels, unless \(flat) is given")
        }
        return .smart(
            minPixels: try bound("min_pixels", "shortest_edge", isUpper: false, fallback: 56 * 56),
            maxPixels: try bound("max_pixels", "longest_edge", isUpper: true, fallback: 28 * 28 * 1280))
    }

    /// A count of pixels; no picture has more than fit 32 bits, so that a greater upper bound is the same as that one.
    private func pixels(_ key: String, isUpper: Bool) throws(InputSpecError) -> Int? {
        let limit = Int(Int32.max)
        switch value(key) {
        case .wide(let digits)? where isUpper && !digits.hasPrefix("-"): return limit
        case .int(let count)? where isUpper && count > limit: return limit
        default: return try integer(key, in: 1...limit)
        }
    }

    fileprivate func filter() throws(InputSpecError) -> ResampleFilter {
        try refuseNull("resample")
        switch value("resample") {
        case nil, .int(3), .string("bicubic"): return .bicubic
        case .string("nearest"): return .nearest
        case .int(0), .string("nearest-exact"): return .nearestExact
        case .int(1), .string("lanczos"): return .lanczos
        case .int(2), .string("bilinear"): return .bilinear
        default:
            throw error(
                "resample", "must be 0 (nearest-exact), 1 (lanczos), 2 (bilinear) or 3 (bicubic), or one of these names, or nearest")
        }
    }

    fileprivate func rescaleFactor() throws(InputSpecError) -> Double {
        try refuseNull("rescale_factor")
        let factor = try number("rescale_factor") ?? 1.0 / 255
        guard Float(factor).isUsable, Float(1 / factor).isUsable else {
            throw error("rescale_factor", "is \(factor); it and its reciprocal must be numbers of f32 other than zero")
        }
        return factor
    }

    /// - Parameter factor: what pictures are scaled by before, which must leave numbers of f32.
    fileprivate func normalization(rescaledBy factor: Double) throws(InputSpecError) -> ImageProcessorSpec.Normalization {
        for key in ["image_mean", "image_std"] { try refuseNull(key) }
        let mean = try channels("image_mean") ?? [0.48145466, 0.4578275, 0.40821073]
        let deviation = try channels("image_std") ?? [0.26862954, 0.26130258, 0.27577711]
        guard deviation.allSatisfy({ Float($0) != 0 }) else { throw error("image_std", "must not hold a zero") }
        let scale = Float(1 / factor)
        guard mean.allSatisfy({ (Float($0) * scale).isFinite }) else { throw error("image_mean", "is too large for f32") }
        guard deviation.allSatisfy({ (Float($0) * scale).isUsable }) else { throw error("image_std", "is too large or too small for f32") }
        return .init(mean: mean, deviation: deviation)
    }

    /// Three numbers, or one for all three channels, in a list or not.
    private func channels(_ key: String) throws(InputSpecError) -> [Double]? {
        guard let value = value(key) else { return nil }
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
