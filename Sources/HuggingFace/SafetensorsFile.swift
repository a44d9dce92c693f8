import Foundation
internal import Safetensors
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
        let header: SafetensorsHeader
        do throws(SafetensorsError) {
            header = try SafetensorsHeader(file.bytes)
        } catch {
            throw CheckpointError(.malformed, file: path, tensor: error.tensor, error.message)
        }
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
                    range: header.dataStart + entry.range.lowerBound..<header.dataStart + entry.range.upperBound))
        }
        self.file = file
        tensors = views
        metadata = header.metadata
        indices = Dictionary(uniqueKeysWithValues: views.enumerated().map { ($1.name, $0) })
    }
}
