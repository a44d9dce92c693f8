internal import Inputs
internal import JSON

/// Reads how many pixels resized images may have: `min_pixels` and `max_pixels`, in a part, its `image_url` or the body, and
/// `mm_processor_kwargs` in the body. The nearest to the image counts.
enum PixelFields {
    /// `min_pixels` and `max_pixels` themselves.
    static func read(_ fields: FieldReader) throws(APIError) -> PixelBounds {
        PixelBounds(least: try bound("min_pixels", fields), most: try bound("max_pixels", fields))
    }

    /// Those of a body, over its `mm_processor_kwargs`.
    static func readBody(_ fields: FieldReader) throws(APIError) -> PixelBounds {
        let name = "mm_processor_kwargs"
        let own = try read(fields)
        guard let value = fields.value(name) else { return own }
        guard let object = value.objectValue else { throw fields.mismatch(name, value, "an object") }
        do throws(PixelBoundsError) {
            return own.over(try PixelBounds(processorArguments: object))
        } catch {
            throw .invalid("\(fields.prefix)\(name).\(error)", param: "\(fields.prefix)\(name).\(error.field)", code: "unsupported_parameter")
        }
    }

    private static func bound(_ name: String, _ fields: FieldReader) throws(APIError) -> Int? {
        guard let count = try fields.integer(name) else { return nil }
        guard PixelBounds.range.contains(count) else { throw fields.outOfRange(name, .int(count), "at least 1 and at most 2^31") }
        return count
    }
}
