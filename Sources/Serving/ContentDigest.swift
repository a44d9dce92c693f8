internal import Crypto

/// SHA-256 of some content, as a value to compare and look up by.
package struct ContentDigest: Sendable, Hashable {
    private var words: (UInt64, UInt64, UInt64, UInt64)

    /// The digest of what `feed` hands to the hasher.
    package init(_ feed: (inout Hasher) -> Void) {
        var hasher = Hasher()
        feed(&hasher)
        words = hasher.finish()
    }

    /// Bytes of a digest.
    package static let byteCount = 32

    /// SHA-256 of the bytes alone.
    package init(sha256Of bytes: UnsafeRawBufferPointer) {
        var hasher = Hasher()
        hasher.append(bytes)
        words = hasher.finish()
    }

    /// A digest that was written down as its first `byteCount` bytes; nil where there are fewer.
    package init?(stored bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= Self.byteCount else { return nil }
        words = bytes.loadUnaligned(as: (UInt64, UInt64, UInt64, UInt64).self)
    }

    /// A digest that was written down as lowercase hexadecimal digits; nil for anything else.
    package init?(hex: some StringProtocol) {
        guard hex.utf8.count == 2 * Self.byteCount else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.byteCount)
        var high: UInt8?
        for digit in hex.utf8 {
            let value: UInt8
            switch digit {
            case 0x30...0x39: value = digit - 0x30
            case 0x61...0x66: value = digit - 0x61 + 10
            default: return nil
            }
            if let first = high { bytes.append(first << 4 | value) }
            high = high == nil ? value : nil
        }
        guard let digest = bytes.withUnsafeBytes({ ContentDigest(stored: $0) }) else { return nil }
        self = digest
    }

    /// As lowercase hexadecimal digits.
    package var hex: String {
        let alphabet = Array("0123456789abcdef".utf8)
        return withUnsafeBytes(of: words) { bytes in
            String(decoding: bytes.flatMap { [alphabet[Int($0 >> 4)], alphabet[Int($0 & 15)]] }, as: UTF8.self)
        }
    }

    /// Writes the digest's bytes to the beginning of a buffer, which has room for them.
    package func write(to buffer: UnsafeMutableRawBufferPointer) {
        withUnsafeBytes(of: words) { buffer.copyMemory(from: $0) }
    }

    package static func == (left: ContentDigest, right: ContentDigest) -> Bool {
        left.words.0 == right.words.0 && left.words.1 == right.words.1
            && left.words.2 == right.words.2 && left.words.3 == right.words.3
    }

    package func hash(into hasher: inout Swift.Hasher) { hasher.combine(words.0) }

    /// Takes content piece by piece; texts and byte runs carry their length, so neighbours never run together.
    package struct Hasher {
        private var state = SHA256()

        package mutating func update(_ value: Int) {
            withUnsafeBytes(of: Int64(value).littleEndian) { state.update(bufferPointer: $0) }
        }

        package mutating func update(_ values: ArraySlice<Int32>) {
            update(values.count)
            values.withUnsafeBytes { state.update(bufferPointer: $0) }
        }

        package mutating func update(_ bytes: UnsafeRawBufferPointer) {
            update(bytes.count)
            state.update(bufferPointer: bytes)
        }

        package mutating func update(_ text: String) {
            var text = text
            text.withUTF8 { bytes in update(UnsafeRawBufferPointer(bytes)) }
        }

        package mutating func update(_ digest: ContentDigest) {
            withUnsafeBytes(of: digest.words) { state.update(bufferPointer: $0) }
        }

        fileprivate mutating func append(_ bytes: UnsafeRawBufferPointer) { state.update(bufferPointer: bytes) }

        fileprivate func finish() -> (UInt64, UInt64, UInt64, UInt64) {
            var result: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
            let digest = state.finalize()
            withUnsafeMutableBytes(of: &result) { target in
                digest.withUnsafeBytes { target.copyMemory(from: $0) }
            }
            return result
        }
    }
}
