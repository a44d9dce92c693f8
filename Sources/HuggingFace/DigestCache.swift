import Crypto
import Foundation
internal import JSON

/// Remembers the digests of safetensors files by device, inode, size and times of change, so that weights are read once.
///
/// One small JSON text per safetensors file, which the caller stores by name. An entry that is damaged, or that belongs to
/// another state of the file, counts as absent; a cache that cannot be written only costs time.
package struct DigestCache: Sendable {
    private let read: @Sendable (_ name: String) -> [UInt8]?
    private let write: @Sendable (_ name: String, _ text: [UInt8]) throws -> Void

    /// - Parameters:
    ///   - read: what was last written by that name.
    ///   - write: replaces it; readers see the old or the new one whole.
    package init(
        read: @escaping @Sendable (_ name: String) -> [UInt8]?,
        write: @escaping @Sendable (_ name: String, _ text: [UInt8]) throws -> Void
    ) {
        (self.read, self.write) = (read, write)
    }

    /// What is remembered of that file; nil when nothing is, or when it changed since.
    func digests(of file: SafetensorsFile) -> [String: String]? {
        guard let text = read(Self.name(file)), let json = try? JSONValue(parsing: text), let digests = json["tensors"]?.objectValue,
            json["file"] == Self.describe(file.file.identity), json["check"]?.stringValue == Self.check(json["file"], json["tensors"]),
            digests.count == file.tensors.count
        else { return nil }
        var known: [String: String] = [:]
        for tensor in file.tensors {
            guard let digest = digests[tensor.name]?.stringValue else { return nil }
            known[tensor.name] = digest
        }
        return known
    }

    /// Whether something is remembered of that file, in whichever state.
    func knows(_ file: SafetensorsFile) -> Bool { read(Self.name(file)) != nil }

    /// Remembers the digests of the file in its present state.
    package func remember(_ digests: [String: String], of file: SafetensorsFile) {
        let identity = Self.describe(file.file.identity)
        let tensors = JSONValue.object(JSONObject(digests.map { ($0, .string($1)) }))
        let entry = JSONValue.object(["file": identity, "tensors": tensors, "check": .string(Self.check(identity, tensors))])
        try? write(Self.name(file), Array(entry.canonicalText.utf8))
    }

    private static func name(_ file: SafetensorsFile) -> String {
        let resolved = URL(fileURLWithPath: file.path).resolvingSymlinksInPath().path
        return SHA256.hash(data: Data(resolved.utf8)).hexadecimal.prefix(32) + ".json"
    }

    private static func describe(_ identity: FileIdentity) -> JSONValue {
        [
            "device": .string("\(identity.device)"), "inode": .string("\(identity.inode)"), "bytes": .int(identity.byteCount),
            "modified": .int(identity.modified), "changed": .int(identity.changed),
        ]
    }

    private static func check(_ parts: JSONValue?...) -> String {
        SHA256.hash(data: Data(parts.map { $0?.canonicalText ?? "" }.joined().utf8)).hexadecimal
    }
}
