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
