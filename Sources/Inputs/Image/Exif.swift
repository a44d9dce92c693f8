/// Finds the orientation in EXIF and XMP metadata, as Pillow's `exif_transpose` does.
enum Exif {
    static let prefix: [UInt8] = Array("Exif\0\0".utf8)
    static let xmpPrefix: [UInt8] = Array("http://ns.adobe.com/xap/1.0/\0".utf8)
    static let pngName: [UInt8] = Array("eXIf".utf8)
    static let pngTextName: [UInt8] = Array("iTXt".utf8)
    /// Keyword, then "not compressed".
    static let pngXMPPrefix: [UInt8] = Array("XML:com.adobe.xmp\0\0".utf8)

    /// The Orientation entry of the first directory of a TIFF structure; nil where there is none or it is damaged.
    static func orientation(tiff: ArraySlice<UInt8>) -> Int? {
        let bytes = Array(tiff)
        let little: Bool
        if bytes.starts(with: [0x49, 0x49, 0x2A, 0]) {
            little = true
        } else if bytes.starts(with: [0x4D, 0x4D, 0, 0x2A]) {
            little = false
        } else {
            return nil
        }
        func number(at offset: Int, count: Int) -> Int? {
            guard offset >= 0, offset <= bytes.count - count else { return nil }
            let field = bytes[offset..<offset + count]
            return little
                ? field.reversed().reduce(0) { $0 << 8 | Int($1) } : field.reduce(0) { $0 << 8 | Int($1) }
        }
        guard let directory = number(at: 4, count: 4), let entries = number(at: directory, count: 2) else { return nil }
        for entry in 0..<entries {
            let offset = directory + 2 + 12 * entry
            guard let tag = number(at: offset, count: 2), let type = number(at: offset + 2, count: 2) else { return nil }
            guard tag == 0x0112 else { continue }
            switch type {
            case 3: return number(at: offset + 8, count: 2)
            case 4: return number(at: offset + 8, count: 4)
            default: return nil
            }
        }
        return nil
    }

    /// The digit behind the first `tiff:Orientation="` or `tiff:Orientation>` of an XMP packet.
    static func orientation(xmp: ArraySlice<UInt8>) -> Int? {
        let name = Array("tiff:Orientation".utf8)
        var rest = xmp
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
