import Crypto
import Foundation
internal import HostLimits
import Synchronization
import Tensors

/// SHA-256 of every tensor of a checkpoint, as lowercase hexadecimal digits.
package struct WeightDigests: Sendable, Hashable {
    /// By tensor name, of the raw bytes.
    package var tensors: [String: String]
    /// Of names, types, shapes and digests of all tensors; equal for the same weights in other shards.
    package var checkpoint: String
    /// Bytes of weights that were read for this; 0 when all was remembered.
    package var readByteCount: Int
}

extension Checkpoint {
    /// Digests every tensor, and checks on the way that every weight is a finite number.
    ///
    /// Files that the checkpoint's cache remembers are not read. Otherwise each byte is read once, by `workers` threads in parallel, with a
    /// few megabytes of memory. `progress` gets byte counts as they are done, from any of those threads.
    /// Throws `.notFinite`, naming the tensor, when a weight is NaN or infinite.
    package func digests(
        workers: Int = Processors.ofThisProcess.threads,
        progress: @Sendable (_ byteCount: Int) -> Void = { _ in }
    ) throws(CheckpointError) -> WeightDigests {
        var digests: [String: String] = [:]
        var readByteCount = 0
        // Files of two directories may have tensors of one name, of which one is the checkpoint's.
        func take(_ found: [String: String], of file: SafetensorsFile) {
            for (name, digest) in found where self[name]?.file.path == file.path { digests[name] = digest }
        }
        for file in files {
            if let known = cache?.digests(of: file) {
                take(known, of: file)
                progress(file.tensors.reduce(0) { $0 + $1.byteCount })
                continue
            }
            let fresh = try file.digests(workers: workers, progress: progress)
            readByteCount += file.tensors.reduce(0) { $0 + $1.byteCount }
            take(fresh, of: file)
            if FileIdentity(path: file.path) == file.file.identity { cache?.remember(fresh, of: file) }
        }
        var hash = SHA256()
        for tensor in tensors {
            hash.update(data: Data("\(tensor.name)\0\(tensor.type)\0\(digests[tensor.name] ?? "")\n".utf8))
        }
        return WeightDigests(tensors: digests, checkpoint: hash.finalize().hexadecimal, readByteCount: readByteCount)
    }
}

extension SafetensorsFile {
    fileprivate func digests(workers: Int, progress: @Sendable (Int) -> Void) throws(CheckpointError) -> [String: String] {
        struct State {
            var next = 0
            var digests: [String: String] = [:]
            var failure: (index: Int, error: CheckpointError)?
        }
        let state = Mutex(State())
        DispatchQueue.concurrentPerform(iterations: max(1, min(workers, tensors.count))) { _ in
            while true {
                let index = state.withLock { state in
                    defer { state.next += 1 }
                    return state.next
                }
                guard index < tensors.count, state.withLock({ $0.failure == nil }) else { return }
                do throws(CheckpointError) {
                    let digest = try tensors[index].digest(progress: progress)
                    state.withLock { $0.digests[tensors[index].name] = digest }
                } catch {
                    state.withLock { state in
                        if index < state.failure?.index ?? .max { state.failure = (index, error) }
                    }
                }
            }
        }
        let end = state.withLock { $0 }
        if let failure = end.failure { throw failure.error }
        return end.digests
    }
}

extension TensorView {
    /// SHA-256 of the raw bytes; throws when a weight is not finite.
    fileprivate func digest(progress: (Int) -> Void) throws(CheckpointError) -> String {
        let chunkByteCount = 4 << 20
        var hash = SHA256()
        var start = 0
        let bytes = self.bytes
        while start < bytes.count {
            let end = min(start + chunkByteCount, bytes.count)
            let chunk = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
            file.willRead(range.lowerBound + start..<range.lowerBound + end)
            hash.update(bufferPointer: chunk)
            if let fault = firstNonFinite(chunk, type.element) {
                throw CheckpointError(
                    .notFinite, file: file.path, tensor: name,
                    "element \(start / type.element.byteCount + fault.element) is \(fault.isNaN ? "NaN" : "infinite"); "
                        + "NaN or infinity in weights means a broken checkpoint, get it again or repair it")
            }
            file.didRead(range.lowerBound + start..<range.lowerBound + end)
            progress(end - start)
            start = end
        }
        return hash.finalize().hexadecimal
    }
}

extension Digest {
    var hexadecimal: String {
        var text = ""
        for byte in self { text += (byte < 16 ? "0" : "") + String(byte, radix: 16) }
        return text
    }
}
