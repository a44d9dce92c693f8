internal import CImage

/// Finds the orientation in EXIF and XMP metadata, as Pillow's `exif_transpose` does.
enum Exif {
    static let prefix: [UInt8] = Array("Exif\0\0".utf8)
    static let xmpPrefix: [UInt8] = Array("http://ns.adobe.com/xap/1.0/\0".utf8)

    /// The Orientation entry of EXIF bytes, in front of which the prefix may stand up to twice; nil where there is none,
    /// zero where it holds no number.
    static func orientation(exif: [UInt8]) -> Int? {
        var tiff = exif[...]
        for _ in 0..<2 where tiff.starts(with: prefix) { tiff = tiff.dropFirst(prefix.count) }
        return TIFFDirectory(Array(tiff))?.value(of: 0x0112)
    }

    /// The digit behind the first `tiff:Orientation="` or `tiff:Orientation>` of an XMP packet.
    static func orientation(xmp: some Collection<UInt8>) -> Int? {
        let name = Array("tiff:Orientation".utf8)
        var rest = Array(xmp)[...]
        while let first = rest.firstIndex(of: name[0]) {
            rest = rest[first...]
            if rest.starts(with: name) {
                var value = rest.dropFirst(name.count)
                if value.starts(with: Array("=\"".utf8)) {
                    value = value.dropFirst(2)
                } else if value.first == UInt8(ascii: ">") {
                    value = value.dropFirst()
                } else {
                    value = []
                }
                if let digit = value.first, (0x30...0x39).contains(digit) { return Int(digit) - 0x30 }
            }
            rest = rest.dropFirst()
        }
        return nil
    }
}

/// What the chunks of a PNG file say about its orientation, the last of each kind as in Pillow.
struct PNGMetadata {
    private enum Text {
        case plain(ArraySlice<UInt8>)
        case deflated(ArraySlice<UInt8>)

        /// Inflated only here: a file may hold thousands of texts, of which the last counts.
        var bytes: [UInt8] {
            switch self {
            case .plain(let bytes): Array(bytes)
            case .deflated(let stream): PNGMetadata.inflated(stream)
            }
        }
    }
    private var exif: [UInt8]?
    private var rawProfile: Text?
    private var xmp: Text?

    /// EXIF comes before XMP, a chunk of its own before a profile in text.
    var orientation: Int? {
        let found = exif ?? rawProfile.flatMap { Self.profile($0.bytes) }
        return found.flatMap(Exif.orientation(exif:)) ?? xmp.flatMap { Exif.orientation(xmp: $0.bytes) }
    }

    /// Takes note of a chunk.
    mutating func read(_ name: ArraySlice<UInt8>, _ body: ArraySlice<UInt8>) {
        switch String(decoding: name, as: UTF8.self) {
        case "eXIf": exif = Exif.prefix + body
        case "tEXt":
            let (keyword, text) = Self.split(body)
            if keyword == "exif" { exif = Array(text) } else { note(keyword, .plain(text)) }
        case "zTXt":
            let (keyword, rest) = Self.split(body)
            if rest.first == 0 { note(keyword, .deflated(rest.dropFirst())) }
        case "iTXt":
            let (keyword, rest) = Self.split(body)
            guard let flag = rest.first, let method = rest.dropFirst().first, flag == 0 || method == 0 else { return }
            let text = Self.split(Self.split(rest.dropFirst(2)).rest).rest
            note(keyword, flag == 0 ? .plain(text) : .deflated(text))
        default: break
        }
    }

    private mutating func note(_ keyword: String, _ text: Text) {
        switch keyword {
        case "Raw profile type exif": rawProfile = text
        case "XML:com.adobe.xmp": xmp = text
        default: break
        }
    }

    /// What stands in front of the first NUL and behind it.
    ///
    /// The keyword is given up to 80 bytes, one more than PNG allows: what is longer is none of those looked for.
    private static func split(_ text: ArraySlice<UInt8>) -> (keyword: String, rest: ArraySlice<UInt8>) {
        let keyword = text.prefix { $0 != 0 }
        return (String(decoding: keyword.prefix(80), as: UTF8.self), text[keyword.endIndex...].dropFirst())
    }

    /// The bytes of a profile in ImageMagick's notation: two lines of heading, then hexadecimal digits.
    private static func profile(_ text: [UInt8]) -> [UInt8]? {
        let lines = text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropFirst(3)
        let digits = lines.joined().filter { !(9...13).contains($0) && $0 != 32 }
        var bytes: [UInt8] = []
        for start in stride(from: 0, to: digits.count, by: 2) {
            guard start + 1 < digits.count, digits[start...start + 1].allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
                let byte = UInt8(String(decoding: digits[start...start + 1], as: UTF8.self), radix: 16)
            else { return nil }
            bytes.append(byte)
        }
        return bytes
    }

    /// The text of a zlib stream, empty where it is damaged or beyond a mebibyte.
    fileprivate static func inflated(_ stream: ArraySlice<UInt8>) -> [UInt8] {
        let limit = 1 << 20
        let compressed = Array(stream)
        return [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            count = cimage_inflate_text(compressed, compressed.count, buffer.baseAddress, limit)
        }
    }
}
