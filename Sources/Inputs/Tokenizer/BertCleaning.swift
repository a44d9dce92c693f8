internal import Texts

/// What HuggingFace's `BertNormalizer` does, in its order.
struct BertCleaning: Sendable {
    /// Takes control characters away and makes each white space a space.
    var cleans = true
    /// Puts spaces around Chinese characters.
    var separatesChinese = true
    var stripsAccents = true
    var lowercases = true

    /// The text with the first two steps done.
    func cleaned(_ text: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(text.count)
        var scalars = ScalarReader(text)
        while let scalar = scalars.next() {
            if cleans, Self.vanishes(scalar) { continue }
            let shown: Unicode.Scalar = cleans && scalar.properties.isWhitespace ? " " : scalar
            if separatesChinese, Self.isChinese(shown.value) {
                output += " \(shown) ".utf8
            } else {
                output += UTF8.encode(shown) ?? UTF8.encodedReplacementCharacter
            }
        }
        return output
    }

    private static func vanishes(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "\t", "\n", "\r": return false
        case "\0", "\u{FFFD}": return true
        default: break
        }
        switch scalar.properties.generalCategory {
        case .control, .privateUse: return true
        case .format: return scalar.isOfUnicode8
        default: return false
        }
    }

    /// Whether the decomposed text loses the scalar with its accents: the nonspacing marks of Unicode 8, some of which are others now.
    static func isAccent(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x1734: true
        case 0x1885, 0x1886, 0xA9BD, 0x111C9: false
        default: scalar.properties.generalCategory == .nonspacingMark && scalar.isOfUnicode8
        }
    }

    private static func isChinese(_ value: UInt32) -> Bool {
        switch value {
        case 0x4E00...0x9FFF, 0x3400...0x4DBF, 0x20000...0x2A6DF, 0x2A700...0x2B73F, 0x2B740...0x2B81F, 0x2B920...0x2CEAF,
            0xF900...0xFAFF, 0x2F800...0x2FA1F:
            true
        default: false
        }
    }
}
