internal import CUTF8Proc
internal import Texts

/// The four Unicode normalization forms with the Unicode 9 tables of HuggingFace's tokenizers, in time proportional to the text
/// however many combining marks follow each other.
///
/// The tables are utf8proc's. A scalar that a later Unicode version assigned counts as an unassigned starter: it is kept, and
/// nothing moves or composes across it.
enum UnicodeNormalization {
    static let referenceVersion = UnicodeVersion(major: 9, minor: 0)

    static func normalized(_ text: [UInt8], _ form: UnicodeForm) -> [UInt8] {
        if isStable(text, form) { return text }
        var output: [UInt8] = []
        output.reserveCapacity(text.count)
        var known = Decomposition(form)
        var scalars = ScalarReader(text)
        while let scalar = scalars.next() {
            if scalar.value >= 0x300, isTooYoung(scalar) {
                known.finish(into: &output)
                output += UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter
            } else {
                known.append(scalar)
            }
        }
        known.finish(into: &output)
        return output
    }

    /// Whether a Unicode version later than the reference assigned the scalar.
    static func isTooYoung(_ scalar: Unicode.Scalar) -> Bool {
        guard let age = scalar.properties.age else { return true }
        return UnicodeVersion(major: age.major, minor: age.minor) > referenceVersion
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

/// Scalars of the reference version, decomposed one by one, that become text in a normal form.
private struct Decomposition {
    private let composes: Bool
    private let options: utf8proc_option_t
    private var scalars: [utf8proc_int32_t] = []
    /// The longest decomposition has 18 scalars.
    private var parts = [utf8proc_int32_t](repeating: 0, count: 32)

    init(_ form: UnicodeForm) {
        composes = form == .canonicalComposition || form == .compatibilityComposition
        let isCompatible = form == .compatibilityComposition || form == .compatibilityDecomposition
        options = utf8proc_option_t(
            UTF8PROC_STABLE.rawValue | UTF8PROC_DECOMPOSE.rawValue | (isCompatible ? UTF8PROC_COMPAT.rawValue : 0))
    }

    mutating func append(_ scalar: Unicode.Scalar) {
        let value = utf8proc_int32_t(scalar.value)
        if value < 0x80 { return scalars.append(value) }
        let count = utf8proc_decompose_char(value, &parts, parts.count, options, nil)
        if count > 0, count <= parts.count { scalars += parts[..<count] } else { scalars.append(value) }
    }

    /// Writes the normal form of what was appended, and begins anew.
    mutating func finish(into output: inout [UInt8]) {
        order()
        var count = scalars.count
        if composes {
            let options = utf8proc_option_t(UTF8PROC_STABLE.rawValue | UTF8PROC_COMPOSE.rawValue)
            count = min(max(utf8proc_normalize_utf32(&scalars, count, options), 0), count)
        }
        for value in scalars[..<count] {
            if value < 0x80 { output.append(UInt8(value)) } else {
                output += Unicode.Scalar(UInt32(value)).flatMap { UTF8.encode($0) } ?? UTF8.encodedReplacementCharacter
            }
        }
        scalars.removeAll(keepingCapacity: true)
    }

    /// Puts every run of marks into canonical order: that of their combining classes, marks of one class as they stand.
    private mutating func order() {
        var start: Int?
        for index in 0...scalars.count {
            let isMark = index < scalars.count && Self.order(scalars[index]) > 0
            if isMark, start == nil { start = index }
            if !isMark, let first = start {
                start = nil
                if index - first > 1 { sort(first..<index) }
            }
        }
    }

    private mutating func sort(_ range: Range<Int>) {
        let orders = range.map { Self.order(scalars[$0]) }
        guard zip(orders, orders.dropFirst()).contains(where: >) else { return }
        let sorted = range.sorted { (orders[$0 - range.lowerBound], $0) < (orders[$1 - range.lowerBound], $1) }
        scalars.replaceSubrange(range, with: sorted.map { scalars[$0] })
    }

    /// The canonical combining class.
    private static func order(_ scalar: utf8proc_int32_t) -> utf8proc_propval_t {
        scalar < 0x300 ? 0 : utf8proc_get_property(scalar).pointee.combining_class
    }
}
