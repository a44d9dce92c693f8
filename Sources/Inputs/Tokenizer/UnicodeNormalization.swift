internal import Foundation
internal import Texts

/// The four Unicode normalization forms with the Unicode 9 tables of HuggingFace's tokenizers.
///
/// A scalar that a later Unicode version assigned counts as an unassigned starter: it is kept, and nothing moves or composes
/// across it.
enum UnicodeNormalization {
    static let referenceVersion = UnicodeVersion(major: 9, minor: 0)

    static func normalized(_ text: [UInt8], _ form: UnicodeForm) -> [UInt8] {
        if isStable(text, form) { return text }
        var output: [UInt8] = []
        output.reserveCapacity(text.count)
        var known = 0
        var position = 0
        var scalars = ScalarReader(text)
        while let scalar = scalars.next() {
            if scalar.value >= 0x300, isTooYoung(scalar) {
                output += mapped(text[known..<position], form)
                output += text[position..<scalars.position]
                known = scalars.position
            }
            position = scalars.position
        }
        output += mapped(text[known...], form)
        return output
    }

    /// Whether a Unicode version later than the reference assigned the scalar.
    static func isTooYoung(_ scalar: Unicode.Scalar) -> Bool {
        guard let age = scalar.properties.age else { return true }
        return UnicodeVersion(major: age.major, minor: age.minor) > referenceVersion
    }

    private static func mapped(_ text: ArraySlice<UInt8>, _ form: UnicodeForm) -> [UInt8] {
        if text.isEmpty { return [] }
        if LongMarkRuns.areIn(text) { return LongMarkRuns.normalized(text, form) }
        let string = String(decoding: text, as: UTF8.self)
        let decomposed =
            switch form {
            case .canonicalComposition, .canonicalDecomposition: string.decomposedStringWithCanonicalMapping
            case .compatibilityComposition, .compatibilityDecomposition: string.decomposedStringWithCompatibilityMapping
            }
        let ordered = reordered(decomposed)
        // Composition is the standard library's: Foundation's leaves Hangul syllables and final consonants apart, and confuses
        // scalars beyond U+FFFF with those of the same lower sixteen bits.
        return switch form {
        case .canonicalComposition, .compatibilityComposition: ordered._nfcCodeUnits
        case .canonicalDecomposition, .compatibilityDecomposition: Array(ordered.utf8)
        }
    }

    /// The canonical order of combining marks, which Foundation does not establish between marks of different scalars.
    private static func reordered(_ text: String) -> String {
        var output = String.UnicodeScalarView()
        var marks: [(order: UInt8, scalar: Unicode.Scalar)] = []
        func flush() {
            guard !marks.isEmpty else { return }
            let sorted = marks.enumerated().sorted { ($0.element.order, $0.offset) < ($1.element.order, $1.offset) }
            output.append(contentsOf: sorted.lazy.map(\.element.scalar))
            marks.removeAll(keepingCapacity: true)
        }
        for scalar in text.unicodeScalars {
            let order = scalar.value < 0x300 ? 0 : scalar.properties.canonicalCombiningClass.rawValue
            if order == 0 {
                flush()
                output.append(scalar)
            } else {
                marks.append((order, scalar))
            }
        }
        flush()
        return String(output)
    }

    /// Whether the text surely equals its own normal form: ASCII, and for NFC also the great ranges of starters that neither
    /// decompose nor compose with what precedes them.
    private static func isStable(_ text: [UInt8], _ form: UnicodeForm) -> Bool {
        guard form == .canonicalComposition else { return text.allSatisfy { $0 < 0x80 } }
        if text.allSatisfy({ $0 < 0xCC }) { return true }
        var scalars = ScalarReader(text)
        while let scalar = scalars.next() {
            switch scalar.value {
            case 0..<0x300, 0x400...0x482, 0x2010...0x2026, 0x3041...0x3096, 0x30A1...0x30FF, 0x3000...0x3029,
                0x4E00...0x9FEA, 0xAC00...0xD7A3, 0xFF01...0xFF9D, 0x1F300...0x1F6D4:
                continue
            default: return false
            }
        }
        return true
    }
}
