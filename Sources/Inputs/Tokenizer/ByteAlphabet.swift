internal import Texts

/// The printable characters that stand for the 256 byte values in byte-level vocabularies (GPT-2's `bytes_to_unicode`).
enum ByteAlphabet {
    /// The character of each byte.
    static let scalars: [Unicode.Scalar] = {
        var next: UInt32 = 0x100
        return (UInt8.min...UInt8.max).map { byte in
            switch byte {
            case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: return Unicode.Scalar(byte)
            default:
                defer { next += 1 }
                return Unicode.Scalar(next) ?? "\u{FFFD}"
            }
        }
    }()

    /// The UTF-8 of each byte's character.
    static let spellings: [[UInt8]] = scalars.map { Array(String($0).utf8) }

    /// The byte of each character below U+0144, or nil.
    private static let bytesByScalar: [UInt8?] = {
        var table = [UInt8?](repeating: nil, count: 0x144)
        for (byte, scalar) in scalars.enumerated() { table[Int(scalar.value)] = UInt8(byte) }
        return table
    }()

    static func byte(of scalar: Unicode.Scalar) -> UInt8? {
        scalar.value < 0x144 ? bytesByScalar[Int(scalar.value)] : nil
    }

    /// The bytes written in the alphabet.
    static func spelled(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count * 2)
        for byte in bytes { output += spellings[Int(byte)] }
        return output
    }

    /// The bytes that a token spells, or the token's own UTF-8 when a character is not of the alphabet.
    static func bytes(spelledBy token: ArraySlice<UInt8>) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(token.count)
        var scalars = ScalarReader(slice: token)
        while let scalar = scalars.next() {
            guard let byte = byte(of: scalar) else { return Array(token) }
            output.append(byte)
        }
        return output
    }
}
