import Foundation
internal import JSON
package import Tensors

/// One tensor of a mapped safetensors file; keeps the mapping alive.
package struct TensorView: Sendable {
    /// The name as in the file.
    package var name: String
    package var type: TensorType
    /// The file that holds the bytes.
    package var file: MappedFile
    /// Where the bytes lie in the file.
    package var range: Range<Int>

    package var byteCount: Int { range.count }

    /// The raw little-endian, row-major elements, valid while this view (or its file) lives; the start need not be aligned.
    package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: file.bytes[range]) }

    /// Calls `body` with the raw elements and keeps the file mapped meanwhile.
    package func withBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        defer { withExtendedLifetime(file) {} }
        return try body(bytes)
    }

    /// Whether both have the same bytes; reads up to the first difference.
    func holdsTheSame(as other: TensorView) -> Bool {
        guard range.count == other.range.count else { return false }
        let chunkByteCount = 4 << 20
        return withBytes { ours in
            other.withBytes { theirs in
                stride(from: 0, to: ours.count, by: chunkByteCount).allSatisfy { start in
                    let end = min(start + chunkByteCount, ours.count)
                    file.willRead(range.lowerBound + start..<range.lowerBound + end)
                    other.file.willRead(other.range.lowerBound + start..<other.range.lowerBound + end)
                    guard let one = ours.baseAddress, let two = theirs.baseAddress else { return true }
                    return memcmp(one + start, two + start, end - start) == 0
                }
            }
        }
    }
}

/// A safetensors file, mapped read-only, its header checked in full.
///
/// Every tensor's range lies in the file, has the length that its shape and type imply, and the ranges cover the data
/// without overlap or hole, as the format demands. Element types that we do not compute with are refused by name.
package struct SafetensorsFile: Sendable {
    package let file: MappedFile
    /// In the order of their bytes.
    package let tensors: [TensorView]
    /// The free-form `__metadata__` strings.
    package let metadata: [String: String]
    private let indices: [String: Int]

    package var path: String { file.path }

    /// The tensor of that name; nil when the file has none.
    package subscript(name: String) -> TensorView? { indices[name].map { tensors[$0] } }

    package init(path: String) throws(CheckpointError) {
        let file = try MappedFile(path: path)
        let (header, dataStart) = try SafetensorsHeader.parse(file)
        var views: [TensorView] = []
        views.reserveCapacity(header.entries.count)
        for entry in header.entries {
            guard let dtype = entry.element.dtype else {
                throw CheckpointError(
                    .unsupported, file: path, tensor: entry.name,
                    "has the type \(entry.element.rawValue), which is not supported; convert it to F32, F16 or BF16")
            }
            views.append(
                TensorView(
                    name: entry.name, type: TensorType(dtype, Shape(entry.shape.map { .fixed($0) })), file: file,
                    range: dataStart + entry.range.lowerBound..<dataStart + entry.range.upperBound))
        }
        self.file = file
        tensors = views
        metadata = header.metadata
        indices = Dictionary(uniqueKeysWithValues: views.enumerated().map { ($1.name, $0) })
    }
}

/// What a safetensors header says, validated against the length of its file.
struct SafetensorsHeader {
    struct Entry {
        var name: String
        var element: SafetensorsElement
        var shape: [Int]
        /// Within the data that follows the header.
        var range: Range<Int>
    }

    /// The format's own limit on the header's length.
    static let byteCountMax = 100_000_000

    var entries: [Entry]
    var metadata: [String: String]

    /// Reads the header at the start of the file; returns it with the offset of the data.
    static func parse(_ file: MappedFile) throws(CheckpointError) -> (SafetensorsHeader, dataStart: Int) {
        let bytes = file.bytes
        guard bytes.count >= 8 else {
            throw CheckpointError(.malformed, file: file.path, "is truncated: \(bytes.count) bytes, a safetensors file has at least 8")
        }
        let length = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
        guard length <= UInt64(byteCountMax) else {
            throw CheckpointError(
                .malformed, file: file.path, "says that its header has \(length) bytes; at most \(byteCountMax) are allowed, so this is no safetensors file")
        }
        let dataStart = 8 + Int(length)
        guard dataStart <= bytes.count else {
            throw CheckpointError(
                .malformed, file: file.path, "is truncated: the header ends at byte \(dataStart), the file at \(bytes.count); download it again")
        }
        let text = UnsafeRawBufferPointer(rebasing: bytes[8..<dataStart])
        guard text.first == UInt8(ascii: "{") else { throw CheckpointError(.malformed, file: file.path, "has a header that is not a JSON object") }
        let json: JSONValue
        do throws(JSONError) {
            json = try JSONValue(parsing: Array(text), dialect: .python, duplicateKeys: .reject)
        } catch {
            throw CheckpointError(.malformed, file: file.path, "has a header that cannot be read: \(error)")
        }
        let header = try SafetensorsHeader(json, file: file.path, dataByteCount: bytes.count - dataStart)
        withExtendedLifetime(file) {}
        return (header, dataStart)
    }

    private init(_ json: JSONValue, file: String, dataByteCount: Int) throws(CheckpointError) {
        metadata = [:]
        entries = []
        var names: Set<String> = []
        for (name, value) in json.objectValue ?? [:] {
            // Different bytes may be the same text: é in one scalar and in two.
            guard names.insert(name).inserted else {
                throw CheckpointError(.malformed, file: file, tensor: name, "occurs twice, in two spellings of the same text")
            }
            if name == "__metadata__" {
                metadata = try Self.metadata(value, file: file)
            } else {
                entries.append(try Self.entry(name, value, file: file))
            }
        }
        entries.sort {
            ($0.range.lowerBound, $0.range.upperBound, $0.name) < ($1.range.lowerBound, $1.range.upperBound, $1.name)
        }
        try checkCoverage(file: file, dataByteCount: dataByteCount)
    }

    private static func metadata(_ value: JSONValue, file: String) throws(CheckpointError) -> [String: String] {
        var metadata: [String: String] = [:]
        guard let members = value.objectValue else {
            throw CheckpointError(.malformed, file: file, "has __metadata__ that is \(value.kind), not an object")
        }
        for (key, value) in members {
            guard let text = value.stringValue else {
                throw CheckpointError(.malformed, file: file, "has __metadata__.\(key) that is \(value.kind), not a string")
            }
            metadata[key] = text
        }
        return metadata
    }

    private static func entry(_ name: String, _ value: JSONValue, file: String) throws(CheckpointError) -> Entry {
        func malformed(_ message: String) -> CheckpointError { CheckpointError(.malformed, file: file, tensor: name, message) }
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
    private func checkCoverage(file: String, dataByteCount: Int) throws(CheckpointError) {
        var end = 0
        var previous: String?
        for entry in entries {
            let start = entry.range.lowerBound
            if start < end {
                throw CheckpointError(
                    .malformed, file: file, tensor: entry.name,
                    "starts at byte \(start) of the data and overlaps \"\(previous ?? "")\", which ends at \(end)")
            }
            if start > end {
                throw CheckpointError(
                    .malformed, file: file, tensor: entry.name, "starts at byte \(start) of the data and leaves a hole after byte \(end)")
            }
            end = entry.range.upperBound
            previous = entry.name
            guard end <= dataByteCount else {
                throw CheckpointError(
                    .malformed, file: file, tensor: entry.name,
                    "ends at byte \(end) of the data, but the file is truncated after \(dataByteCount); download it again")
            }
        }
        guard end == dataByteCount else {
            throw CheckpointError(.malformed, file: file, "has \(dataByteCount - end) bytes at its end that belong to no tensor")
        }
    }
}
