/// Why a picture's URL gives no file.
enum DataURLError: Error, Sendable, CustomStringConvertible {
    case scheme(String)
    case malformed(String)

    var description: String {
        switch self {
        case .scheme(let scheme):
            "pictures by \(scheme) are not supported yet; send a data: URL, such as data:image/png;base64,…"
        case .malformed(let reason): "the picture's data: URL is malformed: \(reason)"
        }
    }
}

/// Files inside `data:` URLs (RFC 2397), base64 only.
enum DataURL {
    /// The file of a URL such as `data:image/png;base64,iVBOR…`; the media type is not looked at.
    static func file(_ url: String) throws(DataURLError) -> [UInt8] {
        let bytes = Array(url.utf8)
        guard bytes.prefix(5).map({ $0 | 0x20 }).elementsEqual("data:".utf8) else {
            guard let colon = bytes.prefix(16).firstIndex(of: UInt8(ascii: ":")), colon > 0 else {
                throw .malformed("it does not begin with data:")
            }
            throw .scheme(String(decoding: bytes[...colon], as: UTF8.self))
        }
        guard let comma = bytes.prefix(1024).firstIndex(of: UInt8(ascii: ",")) else {
            throw .malformed("there is no comma before the data")
        }
        let parameters = String(decoding: bytes[5..<comma], as: UTF8.self).lowercased()
        guard parameters.split(separator: ";").last?.trimmingSpaces == "base64" else {
            throw .malformed("it is not base64")
        }
        return try decode(bytes[(comma + 1)...])
    }

    /// Base64 (RFC 4648), white space skipped, padding optional.
    private static func decode(_ text: ArraySlice<UInt8>) throws(DataURLError) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(text.count / 4 * 3 + 3)
        var bits: UInt32 = 0
        var count = 0
        var isPadded = false
        let table = values
        for (offset, byte) in zip(text.indices, text) {
            let value = table[Int(byte)]
            if value < 64, !isPadded {
                bits = bits << 6 | UInt32(value)
                count += 1
                if count == 4 {
                    for shift in [16, 8, 0] as [UInt32] { output.append(UInt8(truncatingIfNeeded: bits >> shift)) }
                    (bits, count) = (0, 0)
                }
            } else if byte == UInt8(ascii: "=") {
                isPadded = true
            } else if ![0x20, 0x09, 0x0A, 0x0D].contains(byte) {
                throw .malformed("character \(offset - text.startIndex + 1) of the data is not base64")
            }
        }
        switch count {
        case 1: throw .malformed("the base64 data is cut off")
        case 2: output.append(UInt8(truncatingIfNeeded: bits >> 4))
        case 3: output += [UInt8(truncatingIfNeeded: bits >> 10), UInt8(truncatingIfNeeded: bits >> 2)]
        default: break
        }
        return output
    }

    /// The value of each base64 character, 255 for all others.
    private static var values: [UInt8] {
        var table = [UInt8](repeating: 255, count: 256)
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        for (value, character) in alphabet.utf8.enumerated() { table[Int(character)] = UInt8(value) }
        return table
    }
}

extension Substring {
    fileprivate var trimmingSpaces: String { String(filter { $0 != " " }) }
}
