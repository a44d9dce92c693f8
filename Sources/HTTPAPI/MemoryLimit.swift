/// The bytes that requests may hold together. Large requests leave an eighth of them to small ones.
package struct MemoryLimit: Sendable {
    /// Requests up to this many bytes are small.
    private static let smallBytes = 4 << 20
    package let bytes: Int

    package init(bytes: Int) { self.bytes = bytes }

    package func isSmall(_ count: Int) -> Bool { count <= min(Self.smallBytes, bytes / 8) }

    /// Whether a request that holds `own` bytes may take `more` beside what all hold; one that is too large for all may when
    /// it is alone.
    package func admits(_ more: Int, own: Int, used: Int) -> Bool {
        used - own <= 0 || used + more <= (isSmall(own + more) ? bytes : bytes - bytes / 8)
    }
}
