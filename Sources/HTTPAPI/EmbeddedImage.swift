internal import Inputs
internal import JSON
internal import Plan
internal import Safetensors
internal import Serving

/// Reads a part that holds embeddings in place of an image.
///
/// `image_embeds` is the base64 of a safetensors file with one tensor of f32, f16 or bf16, or `{"data": …, "shape": [rows, width]}` with the
/// base64 of f32 in little endian. `image_grid_thw` (HF's) or `image_size` says how the tokens stand, for models whose images differ in that.
/// All numbers must be finite. Files of torch are pickles, which can run code, and are not read.
struct EmbeddedImage {
    let fields: FieldReader
    /// Of the part.
    let place: String

    private static let sideMax = 1 << 16
    private static let headerValuesMax = 4096

    func read(_ bounds: PixelBounds) throws(APIError) -> EncodedImage {
        let name = place + ".image_embeds"
        guard let value = fields.value("image_embeds") else { throw .invalid("\(name) is required", param: name) }
        let tensor: (values: [Float], shape: [Int])
        if let object = value.objectValue {
            tensor = try raw(FieldReader(object: object, prefix: name + "."), name)
        } else {
            guard let text = value.stringValue else { throw fields.mismatch("image_embeds", value, "base64 or an object with data and shape") }
            tensor = try safetensors(bytes(text, name), name)
        }
        let shape = tensor.shape.count == 3 && tensor.shape[0] == 1 ? Array(tensor.shape.dropFirst()) : tensor.shape
        guard shape.count == 2, shape.allSatisfy({ $0 > 0 }) else { throw bad(name, "has the shape \(tensor.shape); it is [rows, width]") }
        guard tensor.values.allSatisfy(\.isFinite) else { throw bad(name, "holds what is no finite number") }
        return EncodedImage(embeddings: GivenEmbeddings(values: tensor.values, rows: shape[0], origin: try origin()), place: name, bounds: bounds)
    }

    private func bad(_ name: String, _ what: ErrorText) -> APIError { .invalid("\(name) \(what)", param: name, code: "invalid_image_embeds") }

    private func bytes(_ text: String, _ name: String) throws(APIError) -> [UInt8] {
        guard let bytes = Base64.decode(text.utf8) else { throw bad(name, "is no base64") }
        return bytes
    }

    private func raw(_ object: FieldReader, _ name: String) throws(APIError) -> (values: [Float], shape: [Int]) {
        guard let data = try object.string("data") else { throw bad(name, "needs data: the base64 of its numbers") }
        for key in object.object.keys where key != "data" && key != "shape" { throw .unknown(field: key, in: object.prefix) }
        guard let shape = try integers("shape", object) else { throw bad(name, "needs shape: [rows, width]") }
        let bytes = try bytes(data, name)
        let count = try count(shape, name)
        guard bytes.count == 4 * count else { throw bad(name, "has \(bytes.count) bytes of data, not 4 for each of \(count) numbers") }
        return (floats(bytes[...], .f32), shape)
    }

    /// The file's only tensor.
    private func safetensors(_ bytes: [UInt8], _ name: String) throws(APIError) -> (values: [Float], shape: [Int]) {
        if bytes.starts(with: [0x50, 0x4B]) || bytes.first == 0x80 {
            throw bad(name, "is a file of torch.save, a pickle, which is not read; send safetensors or {\"data\", \"shape\"}")
        }
        let parsed = bytes.withUnsafeBytes { bytes in
            Result { () throws(SafetensorsError) in try SafetensorsHeader(bytes, countLimit: Self.headerValuesMax) }
        }
        let header: SafetensorsHeader
        do throws(SafetensorsError) {
            header = try parsed.get()
        } catch {
            throw bad(name, "is no safetensors file: it \(quoted: (error.tensor.map { "has a tensor \($0.prefix(40)) that " } ?? "") + error.message, upTo: .max)")
        }
        guard header.entries.count == 1, let tensor = header.entries.first else { throw bad(name, "holds \(header.entries.count) tensors, not one") }
        guard [.f32, .f16, .bf16].contains(tensor.element) else {
            throw bad(name, "holds \(quoted: tensor.name) of type \(tensor.element.rawValue), which is none of F32, F16, BF16")
        }
        _ = try count(tensor.shape, name)
        return (floats(bytes[header.dataStart...], tensor.element), tensor.shape)
    }

    private func count(_ shape: [Int], _ name: String) throws(APIError) -> Int {
        var count = 1
        for extent in shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: extent)
            guard extent >= 0, !overflow, product <= 1 << 31 else { throw bad(name, "has the shape \(shape)") }
            count = product
        }
        return count
    }

    private func floats(_ bytes: ArraySlice<UInt8>, _ element: SafetensorsElement) -> [Float] {
        bytes.withUnsafeBytes { bytes in
            if element == .f32 {
                return (0..<bytes.count / 4).map { Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self))) }
            }
            return (0..<bytes.count / 2).map { index in
                let bits = UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self))
                return element == .bf16 ? Float(bitPattern: UInt32(bits) << 16) : Float(Float16(bitPattern: bits))
            }
        }
    }

    private func origin() throws(APIError) -> GivenEmbeddings.Origin {
        if let grid = try integers("image_grid_thw", fields) {
            let name = place + ".image_grid_thw"
            guard grid.count == 3, grid[0] == 1, grid.allSatisfy({ (1...Self.sideMax).contains($0) }) else {
                throw .invalid("\(name) must be [1, rows of patches, columns of patches]", param: name)
            }
            guard fields.value("image_size") == nil else { throw .invalid("image_size and image_grid_thw are not possible together", param: place + ".image_size") }
            return .grid(height: grid[1], width: grid[2])
        }
        guard let size = try integers("image_size", fields) else { return .any }
        let name = place + ".image_size"
        guard size.count == 2, size.allSatisfy({ (1...Self.sideMax).contains($0) }) else { throw .invalid("\(name) must be [width, height] in pixels", param: name) }
        return .size(ImageSize(width: size[0], height: size[1]))
    }

    private func integers(_ name: String, _ fields: FieldReader) throws(APIError) -> [Int]? {
        guard let value = fields.value(name) else { return nil }
        // HF's grids are lists of lists, of one here.
        let inner = value.arrayValue.flatMap { $0.count == 1 ? $0[0].arrayValue : nil }
        let numbers = (inner ?? value.arrayValue)?.map(\.intValue) ?? [nil]
        guard numbers.count <= 8, !numbers.contains(nil) else { throw fields.mismatch(name, value, "a list of integers") }
        return numbers.compactMap { $0 }
    }
}
