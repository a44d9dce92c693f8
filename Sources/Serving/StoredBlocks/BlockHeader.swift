/// What stands before the content of a stored block: 256 bytes, numbers little-endian.
///
/// | bytes | what |
/// |---|---|
/// | 0 ..< 8 | `VLMKVBLK` |
/// | 8, 12 | version of this form, bytes of the header |
/// | 16 ..< 48 | what computed the content, as `BlockKind.identity` |
/// | 48 ..< 80, 80 ..< 112 | the block's key, the key of the block before it or zeros |
/// | 112 ..< 144 | SHA-256 of the content |
/// | 144 ..< 152 | bytes of the content |
/// | 152, 156, 160 | tokens of a block, layers, bytes of an element |
/// | 164 ..< 224 | zeros |
/// | 224 ..< 256 | SHA-256 of the bytes before |
package struct BlockHeader: Sendable, Equatable {
    package static let byteCount = 256
    package static let version: UInt32 = 1

    package var kind: BlockKind
    package var key: ContentDigest
    /// Nil for the first block of a sequence.
    package var parent: ContentDigest?
    package var content: ContentDigest

    private static let magic = Array("VLMKVBLK".utf8)
    private static let numbersEnd = 164
    private static let sumStart = byteCount - ContentDigest.byteCount

    package init(kind: BlockKind, key: ContentDigest, parent: ContentDigest?, content: ContentDigest) {
        (self.kind, self.key, self.parent, self.content) = (kind, key, parent, content)
    }

    /// Reads the first bytes of a file; throws for what `write` never writes.
    package init(reading bytes: UnsafeRawBufferPointer) throws(BlockFault) {
        guard bytes.count >= Self.byteCount else { throw BlockFault("it has \(bytes.count) bytes, less than a header") }
        guard bytes.prefix(Self.magic.count).elementsEqual(Self.magic) else { throw BlockFault("it does not begin as a stored block does") }
        func number(_ offset: Int) -> UInt32 { UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)) }
        guard number(8) == Self.version, number(12) == UInt32(Self.byteCount) else {
            throw BlockFault("its form is version \(number(8)), this program reads \(Self.version)")
        }
        let sum = ContentDigest(sha256Of: UnsafeRawBufferPointer(rebasing: bytes[..<Self.sumStart]))
        guard Self.digest(bytes, Self.sumStart) == sum else { throw BlockFault("its header is not what was written") }
        guard bytes[Self.numbersEnd..<Self.sumStart].allSatisfy({ $0 == 0 }) else { throw BlockFault("its header holds more than is known") }
        let length = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 144, as: UInt64.self))
        guard let contentBytes = Int(exactly: length), contentBytes <= BlockKind.contentBytesMax,
            let identity = Self.digest(bytes, 16), let key = Self.digest(bytes, 48), let content = Self.digest(bytes, 112)
        else { throw BlockFault("its content cannot have \(length) bytes") }
        kind = BlockKind(
            identity: identity, blockSize: Int(number(152)), layers: Int(number(156)), elementBytes: Int(number(160)), contentBytes: contentBytes)
        (self.key, self.content) = (key, content)
        parent = bytes[80..<112].allSatisfy { $0 == 0 } ? nil : Self.digest(bytes, 80)
    }

    /// Writes the header to the beginning of a buffer, which has room for it.
    package func write(to buffer: UnsafeMutableRawBufferPointer) {
        let buffer = UnsafeMutableRawBufferPointer(rebasing: buffer[..<Self.byteCount])
        buffer.initializeMemory(as: UInt8.self, repeating: 0)
        buffer.copyBytes(from: Self.magic)
        func put(_ value: Int, _ offset: Int) { buffer.storeBytes(of: UInt32(truncatingIfNeeded: value).littleEndian, toByteOffset: offset, as: UInt32.self) }
        func put(_ digest: ContentDigest, _ offset: Int) { digest.write(to: UnsafeMutableRawBufferPointer(rebasing: buffer[offset...])) }
        put(Int(Self.version), 8)
        put(Self.byteCount, 12)
        put(kind.identity, 16)
        put(key, 48)
        if let parent { put(parent, 80) }
        put(content, 112)
        buffer.storeBytes(of: UInt64(kind.contentBytes).littleEndian, toByteOffset: 144, as: UInt64.self)
        put(kind.blockSize, 152)
        put(kind.layers, 156)
        put(kind.elementBytes, 160)
        put(ContentDigest(sha256Of: UnsafeRawBufferPointer(rebasing: buffer[..<Self.sumStart])), Self.sumStart)
    }

    private static func digest(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> ContentDigest? {
        ContentDigest(stored: UnsafeRawBufferPointer(rebasing: bytes[offset...]))
    }
}

/// What stored blocks must be of to be of use to a server.
package struct BlockKind: Sendable, Equatable {
    /// Of everything that decides the bits of keys and values: program, weights, kernels, precision, layout.
    package var identity: ContentDigest
    /// Tokens of a block.
    package var blockSize: Int
    package var layers: Int
    package var elementBytes: Int
    /// Bytes of a block's keys and values over all layers.
    package var contentBytes: Int

    package static let contentBytesMax = 1 << 40

    package init(identity: ContentDigest, blockSize: Int, layers: Int, elementBytes: Int, contentBytes: Int) {
        (self.identity, self.blockSize, self.layers) = (identity, blockSize, layers)
        (self.elementBytes, self.contentBytes) = (elementBytes, contentBytes)
    }
}

/// Why a stored block is not taken.
package struct BlockFault: Error, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// The name of a stored block's file: its key and the key of the block before it, so that a folder's names tell which blocks lead to which.
package enum BlockName {
    private static let first = String(repeating: "0", count: 2 * ContentDigest.byteCount)

    package static func text(_ key: ContentDigest, behind parent: ContentDigest?) -> String { "\(key.hex)-\(parent?.hex ?? first)" }

    /// Nil for a name of another form.
    package static func read(_ name: some StringProtocol) -> (key: ContentDigest, parent: ContentDigest?)? {
        let parts = name.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let key = ContentDigest(hex: parts[0]), let parent = ContentDigest(hex: parts[1]) else { return nil }
        return (key, parts[1] == first ? nil : parent)
    }
}
