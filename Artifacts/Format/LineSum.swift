/// A checksum that is as fast as memory: running sums over 64-byte lines, so that weights are checked at every start.
///
/// It finds every single changed byte and most other damage; SHA-256 in `verify` finds all of it. With line `i` as eight
/// little-endian u64 `x[i]`: `a = Σ x[i]`, `b = Σ (n − i) · x[i]`, lane by lane modulo 2⁶⁴, folded into one number.
package struct LineSum {
    private var a = SIMD8<UInt64>()
    private var b = SIMD8<UInt64>()
    private var pending: [UInt8] = []
    private var byteCount: UInt64 = 0

    package init() {}

    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        byteCount &+= UInt64(bytes.count)
        var start = 0
        if !pending.isEmpty {
            start = min(64 - pending.count, bytes.count)
            pending += bytes[..<start]
            guard pending.count == 64 else { return }
            let line = pending
            pending = []
            line.withUnsafeBytes { add($0) }
        }
        let whole = (bytes.count - start) / 64 * 64
        add(UnsafeRawBufferPointer(rebasing: bytes[start..<start + whole]))
        pending += bytes[(start + whole)...]
    }

    /// Adds whole lines.
    private mutating func add(_ lines: UnsafeRawBufferPointer) {
        var (a, b) = (a, b)
        for offset in stride(from: 0, to: lines.count, by: 64) {
            a &+= lines.loadUnaligned(fromByteOffset: offset, as: SIMD8<UInt64>.self)
            b &+= a
        }
        (self.a, self.b) = (a, b)
    }

    /// The checksum of everything so far, the last line filled with zeros.
    package var value: UInt64 {
        var copy = self
        if !pending.isEmpty {
            let line = pending + [UInt8](repeating: 0, count: 64 - pending.count)
            line.withUnsafeBytes { copy.add($0) }
        }
        var result = byteCount
        for lane in 0..<8 {
            for word in [copy.a[lane], copy.b[lane]] {
                result = (result ^ word) &* 0x9e37_79b9_7f4a_7c15
                result ^= result >> 29
            }
        }
        return result
    }

    /// The checksum of a piece of memory.
    package static func of(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var sum = LineSum()
        sum.update(bytes)
        return sum.value
    }
}
