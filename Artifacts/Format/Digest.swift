import Crypto

/// SHA-256 of bytes that arrive piece by piece.
package struct Digest: Sendable {
    private var state = SHA256()

    package init() {}

    package mutating func update(_ bytes: UnsafeRawBufferPointer) { state.update(bufferPointer: bytes) }

    package mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { state.update(bufferPointer: $0) } }

    /// Adds a text with its length before it, so that neighbouring texts never run together.
    package mutating func update(line: String) {
        let bytes = Array(line.utf8)
        update(Array("\(bytes.count):".utf8))
        update(bytes)
    }

    /// The digest as lowercase hexadecimal digits, at most 64 of them.
    package func finish(digits: Int = 64) -> String {
        let alphabet = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(64)
        for byte in state.finalize() {
            text.append(alphabet[Int(byte >> 4)])
            text.append(alphabet[Int(byte & 15)])
        }
        return String(decoding: text.prefix(digits), as: UTF8.self)
    }

    /// SHA-256 of `bytes` as 64 hexadecimal digits.
    package static func of(_ bytes: [UInt8]) -> String {
        var digest = Digest()
        digest.update(bytes)
        return digest.finish()
    }
}
