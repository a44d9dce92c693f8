import Foundation
import HuggingFace
import Tensors

/// A directory of a test's own, removed with it.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.path + "/vlm-huggingface-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    @discardableResult
    func write(_ name: String, _ bytes: [UInt8]) throws -> String {
        let file = path + "/" + name
        try Data(bytes).write(to: URL(fileURLWithPath: file))
        return file
    }

    @discardableResult
    func write(_ name: String, _ text: String) throws -> String { try write(name, Array(text.utf8)) }

    /// Writes a safetensors file with that header, as it is, and data.
    @discardableResult
    func write(_ name: String, header: String, data: [UInt8]) throws -> String {
        let text = Array(header.utf8)
        return try write(name, withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) } + text + data)
    }

    /// Flips the last byte of a file in place and puts back the time of its last change.
    func flipLastByteUnseen(_ name: String) {
        let descriptor = open(path + "/" + name, O_RDWR)
        defer { close(descriptor) }
        var state = stat()
        var byte: UInt8 = 0
        fstat(descriptor, &state)
        pread(descriptor, &byte, 1, state.st_size - 1)
        byte ^= 0xff
        pwrite(descriptor, &byte, 1, state.st_size - 1)
        futimens(descriptor, [state.st_atim, state.st_mtim])
    }

    /// Remembers digests in files here.
    func digestCache() -> DigestCache {
        DigestCache(
            read: { try? Array(Data(contentsOf: URL(fileURLWithPath: self.path + "/" + $0))) },
            write: { try self.write($0, $1) })
    }

    /// Writes a safetensors file of f32 vectors.
    @discardableResult
    func write(_ name: String, vectors: [String: [Float]]) throws -> String {
        var writer = SafetensorsWriter()
        for (tensor, values) in vectors { writer.add(tensor, .f32, shape: [values.count], values) }
        return try write(name, writer.encoded())
    }
}

/// The error that `body` throws; nil when it throws none or another kind.
func checkpointError(_ body: () throws -> Void) -> CheckpointError? {
    do {
        try body()
        return nil
    } catch {
        return error as? CheckpointError
    }
}
