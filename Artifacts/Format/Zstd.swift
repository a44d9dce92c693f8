import CZstd

/// Compressed text sections.
enum Zstd {
    /// No text section is larger than this when unpacked.
    static let largestText = 64 << 20

    static func compress(_ bytes: [UInt8]) throws(ArtifactError) -> [UInt8] {
        let bound = ZSTD_compressBound(bytes.count)
        var result = 0
        let packed = [UInt8](unsafeUninitializedCapacity: bound) { buffer, count in
            result = ZSTD_compress(buffer.baseAddress, bound, bytes, bytes.count, 3)
            count = ZSTD_isError(result) == 0 ? result : 0
        }
        guard ZSTD_isError(result) == 0 else { throw .refused("a section cannot be compressed") }
        return packed
    }

    /// The unpacked bytes; nil when `packed` is no frame of a known, reasonable size.
    static func decompress(_ packed: [UInt8]) -> [UInt8]? {
        let size = ZSTD_getFrameContentSize(packed, packed.count)
        guard size <= UInt64(largestText) else { return nil }
        var result = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: Int(size)) { buffer, count in
            result = ZSTD_decompress(buffer.baseAddress, Int(size), packed, packed.count)
            count = ZSTD_isError(result) == 0 ? result : 0
        }
        return bytes.count == Int(size) && ZSTD_isError(result) == 0 ? bytes : nil
    }
}
