internal import Texts

struct UnicodeVersion: Comparable, Sendable {
    var major: Int
    var minor: Int

    static func < (left: UnicodeVersion, right: UnicodeVersion) -> Bool {
        (left.major, left.minor) < (right.major, right.minor)
    }
}

/// A text and its twin for regular expressions, byte for byte as long.
///
/// HuggingFace's tokenizers match with Oniguruma's Unicode 16 tables; the system's PCRE2 may know fewer or more characters. In
/// the twin, each scalar that the two libraries classify differently is replaced by one of the same general category and length
/// that both know.
struct MatchableText: Sendable {
    /// The Unicode version of the Oniguruma inside HuggingFace's tokenizers 0.23.
    static let referenceVersion = UnicodeVersion(major: 16, minor: 0)

    let bytes: [UInt8]
    let masked: [UInt8]

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        masked = Self.masked(bytes)
    }

    private static func masked(_ bytes: [UInt8]) -> [UInt8] {
        guard bytes.contains(where: { $0 >= 0xD6 }) else { return bytes }
        var output = bytes
        let version = RegularExpression.libraryUnicodeVersion
        var position = 0
        var scalars = ScalarReader(bytes)
        while let scalar = scalars.next() {
            defer { position = scalars.position }
            guard !isLongKnown(scalar.value), let twin = twin(of: scalar, in: version) else { continue }
            let encoded = Array(String(twin).utf8)
            guard encoded.count == scalars.position - position else { continue }
            output.replaceSubrange(position..<scalars.position, with: encoded)
        }
        return output
    }

    /// Ranges whose every scalar was assigned, with its present category, by Unicode 10.
    private static func isLongKnown(_ value: UInt32) -> Bool {
        switch value {
        case 0..<0x560, 0x2010...0x205E, 0x3000...0x3096, 0x30A1...0x30FF, 0x4E00...0x9FEA, 0xAC00...0xD7A3: true
        default: false
        }
    }

    private static func twin(of scalar: Unicode.Scalar, in version: UnicodeVersion) -> Unicode.Scalar? {
        let isLong = scalar.value > 0xFFFF
        // PCRE2 counts U+180E as space; it has been a format character since Unicode 6.3.
        if scalar.value == 0x180E { return "\u{200B}" }
        guard let age = scalar.properties.age else { return nil }
        let assigned = UnicodeVersion(major: age.major, minor: age.minor)
        if assigned > referenceVersion { return assigned > version ? nil : isLong ? "\u{E0080}" : "\u{2FE0}" }
        guard assigned > version else { return nil }
        return representative(of: scalar.properties.generalCategory, isLong: isLong, isHan: isHan(scalar.value))
    }

    private static func isHan(_ value: UInt32) -> Bool {
        (0x20000..<0x40000).contains(value) || (0x4E00..<0xA000).contains(value)
    }

    /// A scalar of that category, of three or four bytes in UTF-8, known since Unicode 7.
    private static func representative(
        of category: Unicode.GeneralCategory, isLong: Bool, isHan: Bool
    ) -> Unicode.Scalar? {
        switch category {
        case .uppercaseLetter: isLong ? "\u{10400}" : "\u{2C00}"
        case .lowercaseLetter: isLong ? "\u{10428}" : "\u{2C30}"
        case .titlecaseLetter: isLong ? nil : "\u{1F88}"
        case .modifierLetter: isLong ? "\u{16F93}" : "\u{2C7C}"
        case .otherLetter: isHan ? (isLong ? "\u{20000}" : "\u{4E00}") : (isLong ? "\u{10300}" : "\u{0F40}")
        case .nonspacingMark: isLong ? "\u{10A01}" : "\u{0F71}"
        case .spacingMark: isLong ? "\u{11000}" : "\u{0F3E}"
        case .enclosingMark: isLong ? nil : "\u{20DD}"
        case .decimalNumber: isLong ? "\u{104A0}" : "\u{0F20}"
        case .letterNumber: isLong ? "\u{10140}" : "\u{2160}"
        case .otherNumber: isLong ? "\u{10107}" : "\u{2460}"
        case .connectorPunctuation: isLong ? nil : "\u{203F}"
        case .dashPunctuation: isLong ? nil : "\u{2010}"
        case .openPunctuation: isLong ? nil : "\u{2045}"
        case .closePunctuation: isLong ? nil : "\u{2046}"
        case .initialPunctuation: isLong ? nil : "\u{2018}"
        case .finalPunctuation: isLong ? nil : "\u{2019}"
        case .otherPunctuation: isLong ? "\u{10100}" : "\u{2020}"
        case .mathSymbol: isLong ? "\u{1D6C1}" : "\u{2190}"
        case .currencySymbol: isLong ? nil : "\u{20A0}"
        case .modifierSymbol: isLong ? "\u{1F3FB}" : "\u{309B}"
        case .otherSymbol: isLong ? "\u{1D000}" : "\u{2300}"
        case .format: isLong ? "\u{1D173}" : "\u{200B}"
        default: nil
        }
    }
}
