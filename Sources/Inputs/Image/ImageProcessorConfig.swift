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
    /// Both generations of keys are read: `min_pixels`/`max_pixels` win over `size.shortest_edge`/`longest_edge`, which
    /// count pixels as well. Absent entries take the class's defaults. Whatever backend wrote the file, the arithmetic
    /// is the torchvision backend's, which `transformers` 5 loads. Pictures are RGB already, so `do_convert_rgb` is moot.
    package init(config: JSONValue, file: String) throws(InputSpecError) {
        let outer = ConfigReader(config, file: file)
        let nested = try outer.nested("image_processor")
        let reader = nested ?? outer
        try reader.checkType(owner: outer)
        self.init(
            sizing: try reader.flag("do_resize") ? reader.smartSizing() : .keep,
            filter: try reader.filter(),
            precision: .torchvision,
            rescaleFactor: try reader.flag("do_rescale") ? reader.rescaleFactor() : nil,
            normalization: try reader.flag("do_normalize") ? reader.normalization() : nil,
            patchSize: try reader.integer("patch_size", in: 1...1024) ?? 14,
            mergeSize: try reader.integer("merge_size", in: 1...64) ?? 2,
            temporalPatchSize: try reader.integer("temporal_patch_size", in: 1...64) ?? 2)
    }
}

/// Entries of one JSON object, `null` counting as absent as in HF, with errors that name them.
struct ConfigReader {
    private let object: JSONValue
    let file: String
    private let path: String

    init(_ object: JSONValue, file: String, path: String = "") {
        self.object = object
        self.file = file
        self.path = path
    }

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
    fileprivate func checkType(owner: ConfigReader) throws(InputSpecError) {
        let known = ImageProcessorSpec.knownTypes.joined(separator: ", ")
        guard let named = value("image_processor_type") ?? value("feature_extractor_type") else {
            let processor = value("processor_class") ?? owner.value("processor_class")
            if let name = processor?.stringValue, ["Qwen2VLProcessor", "Qwen2_5_VLProcessor"].contains(name) { return }
            throw error("image_processor_type", "is missing; the known types are: \(known)")
        }
        guard var type = named.stringValue else { throw error("image_processor_type", "must be a string") }
        for suffix in ["Fast", "Pil"] where type.hasSuffix(suffix) { type.removeLast(suffix.count) }
        guard ImageProcessorSpec.knownTypes.contains(type) else {
            throw error("image_processor_type", "\"\(type)\" is not supported; the known types are: \(known)")
        }
    }

    fileprivate func flag(_ key: String) throws(InputSpecError) -> Bool { try boolean(key) ?? true }

    fileprivate func smartSizing() throws(InputSpecError) -> ImageProcessorSpec.Sizing {
        let range = 1...Int(Int32.max)
        let size = try nested("size")
        func bound(_ flat: String, _ edge: String, fallback: Int) throws(InputSpecError) -> Int {
            if let pixels = try integer(flat, in: range) { return pixels }
            guard let size else { return fallback }
            if let pixels = try size.integer(edge, in: range) { return pixels }
            if let pixels = try size.integer(flat, in: range) { return pixels }
            throw error("size", "must hold \(edge), a count of pixels, unless \(flat) is given")
        }
        return .smart(
            minPixels: try bound("min_pixels", "shortest_edge", fallback: 56 * 56),
            maxPixels: try bound("max_pixels", "longest_edge", fallback: 28 * 28 * 1280))
    }

    fileprivate func filter() throws(InputSpecError) -> ResampleFilter {
        switch value("resample")?.intValue {
        case nil where value("resample") == nil: return .bicubic
        case 1: return .lanczos
        case 2: return .bilinear
        case 3: return .bicubic
        default: throw error("resample", "must be 1 (lanczos), 2 (bilinear) or 3 (bicubic)")
        }
    }

    fileprivate func rescaleFactor() throws(InputSpecError) -> Double {
        let factor = try number("rescale_factor") ?? 1.0 / 255
        guard factor != 0, Float(1 / factor).isFinite else { throw error("rescale_factor", "must not be zero") }
        return factor
    }

    fileprivate func normalization() throws(InputSpecError) -> ImageProcessorSpec.Normalization {
        let mean = try channels("image_mean") ?? [0.48145466, 0.4578275, 0.40821073]
        let deviation = try channels("image_std") ?? [0.26862954, 0.26130258, 0.27577711]
        guard deviation.allSatisfy({ Float($0) != 0 }) else { throw error("image_std", "must not hold a zero") }
        return .init(mean: mean, deviation: deviation)
    }

    private func channels(_ key: String) throws(InputSpecError) -> [Double]? {
        guard let value = value(key) else { return nil }
        let numbers = value.arrayValue?.compactMap(\.doubleValue) ?? []
        guard numbers.count == 3, value.arrayValue?.count == 3, numbers.allSatisfy(\.isFinite) else {
            throw error(key, "must be a list of three numbers")
        }
        return numbers
    }
}
