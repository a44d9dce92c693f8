/// A text read scalar by scalar, for the parsers of patterns and grammars.
struct ScalarReader {
    private let scalars: [Unicode.Scalar]
    private(set) var position = 0

    init(_ text: String) { scalars = Array(text.unicodeScalars) }

    var current: Unicode.Scalar? { position < scalars.count ? scalars[position] : nil }
    var next: Unicode.Scalar? { position + 1 < scalars.count ? scalars[position + 1] : nil }
    var isAtEnd: Bool { position >= scalars.count }

    mutating func skip(_ count: Int = 1) { position = min(position + count, scalars.count) }

    mutating func go(to place: Int) { position = place }

    mutating func take() -> Unicode.Scalar? {
        defer { skip() }
        return current
    }

    mutating func take(_ text: String) -> Bool {
        let wanted = Array(text.unicodeScalars)
        guard position + wanted.count <= scalars.count, scalars[position..<position + wanted.count].elementsEqual(wanted) else { return false }
        position += wanted.count
        return true
    }

    /// A whole number of up to six digits; nil where there is no digit.
    mutating func number() throws(GuideError) -> Int? {
        var digits = 0
        var value = 0
        while let scalar = current, ("0"..."9").contains(scalar) {
            digits += 1
            guard digits <= 6 else { throw error("a repetition count has more than six digits") }
            value = value * 10 + Int(scalar.value - 48)
            skip()
        }
        return digits == 0 ? nil : value
    }

    /// A scalar of so many hexadecimal digits.
    mutating func hexadecimal(_ count: Int) throws(GuideError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<count {
            guard let scalar = take(), let digit = Character(scalar).hexDigitValue, scalar.isASCII else {
                throw error("an escape needs \(count) hexadecimal digits")
            }
            value = value << 4 | UInt32(digit)
        }
        return value
    }

    /// The scalar of an escape, behind its backslash: one of `literals` itself, a control by its letter, or hexadecimal digits behind x, u or U.
    mutating func escape(of literals: String, controls: [Unicode.Scalar: UInt32]) throws(GuideError) -> Unicode.Scalar {
        guard let letter = take() else { throw error("the grammar ends in a backslash") }
        let value: UInt32
        switch letter {
        case "x": value = try hexadecimal(2)
        case "u": value = try hexadecimal(4)
        case "U": value = try hexadecimal(8)
        case _ where literals.unicodeScalars.contains(letter): value = letter.value
        default:
            guard let control = controls[letter] else { throw error("\\\(letter) is no escape") }
            value = control
        }
        guard let scalar = Unicode.Scalar(value) else { throw error("an escape is no character") }
        return scalar
    }

    func error(_ message: String) -> GuideError { GuideError("\(message), at character \(position)") }
}
