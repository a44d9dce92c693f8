import Foundation
internal import JSON
internal import Safetensors
package import Tensors

/// Writes safetensors files with a deterministic layout: equal tensors give equal bytes.
package struct SafetensorsWriter: Sendable {
    private var entries: [(name: String, element: SafetensorsElement, shape: [Int], bytes: [UInt8])] = []
    /// Free-form strings for the header.
    package var metadata: [String: String] = [:]

    package init() {}

    /// Adds a tensor of raw little-endian, row-major elements; a name that is there already is replaced.
    ///
    /// `bytes` holds exactly as many bytes as type and shape imply.
    package mutating func add(_ name: String, _ dtype: DType, shape: [Int], bytes: [UInt8]) {
        precondition(shape.reduce(dtype.byteCount, *) == bytes.count, "\(name): \(bytes.count) bytes do not fill \(dtype)\(shape)")
        entries.removeAll { $0.name == name }
        entries.append((name, SafetensorsElement(dtype), shape, bytes))
    }

    /// Adds a tensor of elements whose memory is the format's own (little-endian integers and IEEE numbers).
    package mutating func add<Element: BitwiseCopyable>(_ name: String, _ dtype: DType, shape: [Int], _ elements: [Element]) {
        add(name, dtype, shape: shape, bytes: elements.withUnsafeBytes { Array($0) })
    }

    /// The file's bytes: tensors by descending element size, then by name; the data starts at a multiple of 8.
    package func encoded() -> [UInt8] {
        let sorted = entries.sorted { ($1.element.bitCount, $0.name) < ($0.element.bitCount, $1.name) }
        var header = JSONObject()
        if !metadata.isEmpty { header["__metadata__"] = .object(JSONObject(metadata.map { ($0, .string($1)) })) }
        var offset = 0
        for entry in sorted {
            header[entry.name] = .object([
                "dtype": .string(entry.element.rawValue), "shape": .array(entry.shape.map { .int($0) }),
                "data_offsets": .array([.int(offset), .int(offset + entry.bytes.count)]),
            ])
            offset += entry.bytes.count
        }
        var text = Array(JSONValue.object(header).canonicalText.utf8)
        text += Array(repeating: UInt8(ascii: " "), count: (8 - text.count % 8) % 8)
        var file = withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) }
        file.reserveCapacity(8 + text.count + offset)
        file += text
        for entry in sorted { file += entry.bytes }
        return file
    }

    /// Writes the file, replacing a regular one in one step; devices and pipes are written to, links followed.
    package func write(to path: String) throws(CheckpointError) {
        var status = stat()
        let exists = stat(path, &status) == 0
        if !exists || status.st_mode & S_IFMT == S_IFREG {
            let target = exists ? realpath(path, nil) : nil
            defer { free(target) }
            return try writeAtomically(encoded(), to: target.map { String(cString: $0) } ?? path)
        }
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw CheckpointError(.io, file: path, "cannot write: \(systemMessage())") }
        defer { close(descriptor) }
        guard writeAll(encoded(), to: descriptor) else { throw CheckpointError(.io, file: path, "cannot write: \(systemMessage())") }
    }
}

/// Writes a file under a temporary name beside its place and renames it there, so that readers see the old or the new one.
func writeAtomically(_ bytes: [UInt8], to path: String) throws(CheckpointError) {
    let temporary = "\(path).\(getpid()).\(UInt32.random(in: .min ... .max)).tmp"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw CheckpointError(.io, file: path, "cannot write: \(systemMessage())") }
    let complete = writeAll(bytes, to: descriptor)
    let message = systemMessage()
    guard close(descriptor) == 0, complete, rename(temporary, path) == 0 else {
        let fault = complete ? systemMessage() : message
        unlink(temporary)
        throw CheckpointError(.io, file: path, "cannot write: \(fault)")
    }
}

/// Whether all bytes could be written; `errno` says why not.
private func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
    var written = 0
    while written < bytes.count {
        let count = bytes.withUnsafeBytes { unsafe in
            Foundation.write(descriptor, unsafe.baseAddress! + written, bytes.count - written)
        }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return false }
        written += count
    }
    return true
}
