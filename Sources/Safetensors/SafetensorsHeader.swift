internal import JSON

/// Why a file is no safetensors file: the fact, and the tensor that it is about.
package struct SafetensorsError: Error, Sendable, Hashable {
    package var tensor: String?
    /// Goes on behind the file's or the tensor's name.
    package var message: String

    init(tensor: String? = nil, _ message: String) {
        self.tensor = tensor
        self.message = message
    }
}

/// What the header of a safetensors file says, checked in full.
///
/// Every tensor's range lies in the file, has the length that its shape and type imply, and the ranges cover the data
/// without overlap or hole, as the format demands.
package struct SafetensorsHeader: Sendable {
    package struct Entry: Sendable {
        package var name: String
        package var element: SafetensorsElement
        package var shape: [Int]
        /// Within the data that follows the header.
        package var range: Range<Int>
    }

    /// The format's own limit on the header's length.
    static let byteCountMax = 100_000_000

    /// In the order of their bytes.
    package private(set) var entries: [Entry] = []
    /// The free-form `__metadata__` strings.
    package private(set) var metadata: [String: String] = [:]
    /// Where the data begins in the file.
    package let dataStart: Int

    /// - Parameters:
    ///   - bytes: the whole file.
    ///   - countLimit: most values of the header's JSON.
    package init(_ bytes: UnsafeRawBufferPointer, countLimit: Int = JSONValue.defaultCountLimit) throws(SafetensorsError) {
        guard bytes.count >= 8 else { throw SafetensorsError("is truncated: \(bytes.count) bytes, a safetensors file has at least 8") }
        let length = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
        guard length <= UInt64(Self.byteCountMax) else {
            throw SafetensorsError("says that its header has \(length) bytes; at most \(Self.byteCountMax) are allowed, so this is no safetensors file")
        }
        dataStart = 8 + Int(length)
        guard dataStart <= bytes.count else {
            throw SafetensorsError("is truncated: the header ends at byte \(dataStart), the file at \(bytes.count); download it again")
        }
        let text = UnsafeRawBufferPointer(rebasing: bytes[8..<dataStart])
        guard text.first == UInt8(ascii: "{") else { throw SafetensorsError("has a header that is not a JSON object") }
        let json: JSONValue
        do throws(JSONError) {
            json = try JSONValue(parsing: Array(text), countLimit: countLimit, dialect: .python, duplicateKeys: .reject)
        } catch {
            throw SafetensorsError("has a header that cannot be read: \(error)")
        }
        try read(json, dataByteCount: bytes.count - dataStart)
    }

    private mutating func read(_ json: JSONValue, dataByteCount: Int) throws(SafetensorsError) {
        var names: Set<String> = []
        for (name, value) in json.objectValue ?? [:] {
            // Different bytes may be the same text: é in one scalar and in two.
            guard names.insert(name).inserted else {
                throw SafetensorsError(tensor: name, "occurs twice, in two spellings of the same text")
            }
            if name == "__metadata__" {
                metadata = try Self.metadata(value)
            } else {
                entries.append(try Self.entry(name, value))
            }
        }
        entries.sort {
            ($0.range.lowerBound, $0.range.upperBound, $0.name) < ($1.range.lowerBound, $1.range.upperBound, $1.name)
        }
        try checkCoverage(dataByteCount: dataByteCount)
    }

    private static func metadata(_ value: JSONValue) throws(SafetensorsError) -> [String: String] {
        var metadata: [String: String] = [:]
        guard let members = value.objectValue else {
            throw SafetensorsError("has __metadata__ that is \(value.kind), not an object")
        }
        for (key, value) in members {
            guard let text = value.stringValue else {
                throw SafetensorsError("has __metadata__.\(key) that is \(value.kind), not a string")
            }
            metadata[key] = text
        }
        return metadata
    }

    private static func entry(_ name: String, _ value: JSONValue) throws(SafetensorsError) -> Entry {
        func malformed(_ message: String) -> SafetensorsError { SafetensorsError(tensor: name, message) }
        guard let typeName = value["dtype"]?.stringValue else { throw malformed("has no dtype") }
        guard let element = SafetensorsElement(rawValue: typeName) else { throw malformed("has the unknown dtype \"\(typeName)\"") }
        guard let extents = value["shape"]?.arrayValue else { throw malformed("has no shape") }
        var shape: [Int] = []
        var bitCount = element.bitCount
        for extent in extents {
            guard case .int(let extent) = extent, extent >= 0 else { throw malformed("has a shape that is not a list of sizes") }
            shape.append(extent)
        }
        for extent in shape {
            let (product, overflow) = bitCount.multipliedReportingOverflow(by: extent)
            guard !overflow else { throw malformed("has the shape \(shape), which is larger than any memory") }
            bitCount = product
        }
        guard let offsets = value["data_offsets"]?.arrayValue, offsets.count == 2, case .int(let start) = offsets[0],
            case .int(let end) = offsets[1]
        else { throw malformed("has no pair of data_offsets") }
        guard start >= 0, end >= start else { throw malformed("has the data_offsets [\(start), \(end)], which are no range") }
        guard bitCount % 8 == 0, end - start == bitCount / 8 else {
            throw malformed("has \(end - start) bytes of data, but \(typeName)\(shape) takes \((bitCount + 7) / 8)")
        }
        return Entry(name: name, element: element, shape: shape, range: start..<end)
    }

    /// Checks that the sorted ranges follow one another without overlap or hole and end where the file ends.
    private func checkCoverage(dataByteCount: Int) throws(SafetensorsError) {
        var end = 0
        var previous: String?
        for entry in entries {
            let start = entry.range.lowerBound
            if start < end {
                throw SafetensorsError(tensor: entry.name, "starts at byte \(start) of the data and overlaps \"\(previous ?? "")\", which ends at \(end)")
            }
            if start > end {
                throw SafetensorsError(tensor: entry.name, "starts at byte \(start) of the data and leaves a hole after byte \(end)")
            }
            end = entry.range.upperBound
            previous = entry.name
            guard end <= dataByteCount else {
                throw SafetensorsError(tensor: entry.name, "ends at byte \(end) of the data, but the file is truncated after \(dataByteCount); download it again")
            }
        }
        guard end == dataByteCount else {
            throw SafetensorsError("has \(dataByteCount - end) bytes at its end that belong to no tensor")
        }
    }
}
