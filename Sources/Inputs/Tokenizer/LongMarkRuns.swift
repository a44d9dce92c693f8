internal import Foundation
internal import Texts

/// Normal forms in time proportional to the text, however many combining marks follow each other.
///
/// The libraries' own functions are faster on ordinary text and take the square of a run's length. The tables behind both are
/// the libraries': decompositions of single scalars, and the composites that these invert to.
enum LongMarkRuns {
    /// Runs up to this length are left to the libraries.
    private static let shortRun = 32

    /// Whether more marks follow each other somewhere than the libraries are to be given.
    static func areIn(_ text: ArraySlice<UInt8>) -> Bool {
        var run = 0
        var scalars = ScalarReader(slice: text)
        while let scalar = scalars.next() {
            run = isMark(scalar) ? run + 1 : 0
            if run > shortRun { return true }
        }
        return false
    }

    /// Whether the scalar decomposes to nothing but marks; the halfwidth sound marks do in the compatibility forms.
    private static func isMark(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.value < 0x300 { return false }
        if scalar.value == 0xFF9E || scalar.value == 0xFF9F { return true }
        return scalar.properties.generalCategory.isMark || scalar.properties.canonicalCombiningClass != .notReordered
    }

    /// The normal form of text whose every scalar belongs to the reference version.
    static func normalized(_ text: ArraySlice<UInt8>, _ form: UnicodeForm) -> [UInt8] {
        let isCompatible = form == .compatibilityComposition || form == .compatibilityDecomposition
        var known: [Unicode.Scalar: [Unicode.Scalar]] = [:]
        var decomposed: [Unicode.Scalar] = []
        decomposed.reserveCapacity(text.count)
        var scalars = ScalarReader(slice: text)
        while let scalar = scalars.next() {
            if scalar.value < 0x80 {
                decomposed.append(scalar)
            } else if let parts = known[scalar] {
                decomposed += parts
            } else {
                let parts = decomposition(scalar, isCompatible: isCompatible)
                known[scalar] = parts
                decomposed += parts
            }
        }
        let orders = order(&decomposed)
        switch form {
        case .canonicalComposition, .compatibilityComposition: return encoded(composed(decomposed, orders))
        case .canonicalDecomposition, .compatibilityDecomposition: return encoded(decomposed)
        }
    }

    private static func decomposition(_ scalar: Unicode.Scalar, isCompatible: Bool) -> [Unicode.Scalar] {
        let text = String(scalar)
        return Array(
            (isCompatible ? text.decomposedStringWithCompatibilityMapping : text.decomposedStringWithCanonicalMapping)
                .unicodeScalars)
    }

    private static func encoded(_ scalars: [Unicode.Scalar]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(scalars.count * 2)
        for scalar in scalars { output += UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter }
        return output
    }

    /// Puts every run of marks into canonical order and gives the combining class of each scalar.
    private static func order(_ scalars: inout [Unicode.Scalar]) -> [UInt8] {
        var classes = scalars.map { $0.value < 0x300 ? 0 : $0.properties.canonicalCombiningClass.rawValue }
        var start = 0
        while start < scalars.count {
            guard classes[start] != 0 else {
                start += 1
                continue
            }
            var end = start
            while end < scalars.count, classes[end] != 0 { end += 1 }
            let sorted = (start..<end).sorted { (classes[$0], $0) < (classes[$1], $1) }.map { (scalars[$0], classes[$0]) }
            for (offset, element) in sorted.enumerated() { (scalars[start + offset], classes[start + offset]) = element }
            start = end
        }
        return classes
    }

    private static func composed(_ scalars: [Unicode.Scalar], _ classes: [UInt8]) -> [Unicode.Scalar] {
        var output: [Unicode.Scalar] = []
        output.reserveCapacity(scalars.count)
        var starter: Int?
        // The class of the scalar before, when it stands between the starter and this one; -1 right after the starter.
        var between = -1
        for (scalar, order) in zip(scalars, classes) {
            if let starter, between < Int(order), let composite = composite(output[starter], scalar) {
                output[starter] = composite
                continue
            }
            if order == 0 {
                starter = output.count
                between = -1
            } else {
                between = Int(order)
            }
            output.append(scalar)
        }
        return output
    }

    private static func composite(_ first: Unicode.Scalar, _ second: Unicode.Scalar) -> Unicode.Scalar? {
        let (left, right) = (first.value, second.value)
        if (0x1100..<0x1113).contains(left), (0x1161..<0x1176).contains(right) {
            return Unicode.Scalar(0xAC00 + ((left - 0x1100) * 21 + right - 0x1161) * 28)
        }
        if (0xAC00..<0xD7A4).contains(left), (left - 0xAC00) % 28 == 0, (0x11A8..<0x11C3).contains(right) {
            return Unicode.Scalar(left + right - 0x11A7)
        }
        return composites[Pair(first: first, second: second)]
    }

    private struct Pair: Hashable {
        var first: Unicode.Scalar
        var second: Unicode.Scalar
    }

    /// The primary composites: what equals its own NFC and decomposes to a composed part and one more scalar.
    private static let composites: [Pair: Unicode.Scalar] = {
        var pairs: [Pair: Unicode.Scalar] = [:]
        for value in [0xC0..<0x3100, 0x11000..<0x12000].joined() {
            guard let scalar = Unicode.Scalar(UInt32(value)), !UnicodeNormalization.isTooYoung(scalar) else { continue }
            let parts = decomposition(scalar, isCompatible: false)
            guard parts.count > 1, let last = parts.last, String(scalar)._nfcCodeUnits == Array(String(scalar).utf8) else { continue }
            var view = String.UnicodeScalarView()
            view.append(contentsOf: parts.dropLast())
            let head = Array(String(decoding: String(view)._nfcCodeUnits, as: UTF8.self).unicodeScalars)
            if head.count == 1 { pairs[Pair(first: head[0], second: last)] = scalar }
        }
        return pairs
    }()
}
