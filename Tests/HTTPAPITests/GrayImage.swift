/// PNG files of one shade, of any size.
extension TestImages {
    static func gray(width: Int, height: Int, shade: UInt8) -> [UInt8] {
        let row: [UInt8] = [0] + Array(repeating: shade, count: width)
        var file: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
        file += chunk("IHDR", bigEndian(width) + bigEndian(height) + [8, 0, 0, 0, 0])
        file += chunk("IDAT", stored(Array(Array(repeating: row, count: height).joined())))
        return file + chunk("IEND", [])
    }

    private static func bigEndian(_ value: Int) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
    }

    private static func chunk(_ name: String, _ data: [UInt8]) -> [UInt8] {
        let body = Array(name.utf8) + data
        return bigEndian(data.count) + body + bigEndian(checksum(body))
    }

    /// zlib's format without compression.
    private static func stored(_ bytes: [UInt8]) -> [UInt8] {
        var output: [UInt8] = [0x78, 0x01]
        for start in stride(from: 0, to: bytes.count, by: 65535) {
            let piece = bytes[start..<min(start + 65535, bytes.count)]
            let (low, high) = (UInt8(piece.count & 255), UInt8(piece.count >> 8))
            output += [start + piece.count == bytes.count ? 1 : 0, low, high, ~low, ~high] + piece
        }
        var (a, b) = (1, 0)
        for byte in bytes {
            a = (a + Int(byte)) % 65521
            b = (b + a) % 65521
        }
        return output + bigEndian(b << 16 | a)
    }

    /// CRC-32 as PNG uses it.
    private static func checksum(_ bytes: [UInt8]) -> Int {
        var value: UInt32 = .max
        for byte in bytes {
            value ^= UInt32(byte)
            for _ in 0..<8 { value = value >> 1 ^ (value & 1 == 0 ? 0 : 0xEDB8_8320) }
        }
        return Int(~value)
    }
}
