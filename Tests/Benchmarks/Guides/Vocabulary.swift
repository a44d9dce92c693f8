import GuidedDecoding
import Seeded

/// A made-up vocabulary that looks as those of byte-level tokenizers do: all bytes, words with and without a space before them, forms of
/// code, runs of space, other scripts, and parts of characters.
struct Vocabulary {
    private(set) var texts: [[UInt8]] = []
    private var known: Set<[UInt8]> = []
    private var dice = Dice(150_000)
    private let size: Int

    init(size: Int = 151_936) {
        self.size = size
        for byte in UInt8.min ... .max { add([byte]) }
        addSpaces()
        addSigns()
        addFragments()
        addScripts()
        addLatin()
    }

    private mutating func add(_ text: [UInt8]) {
        if texts.count < size, known.insert(text).inserted { texts.append(text) }
    }

    private mutating func add(_ text: String) { add(Array(text.utf8)) }

    private mutating func addSpaces() {
        for count in 2...80 { add(String(repeating: " ", count: count)) }
        for count in 1...12 {
            add(String(repeating: "\t", count: count))
            add(String(repeating: "\n", count: count))
            for spaces in 1...24 { add(String(repeating: "\n", count: count % 3 + 1) + String(repeating: " ", count: spaces)) }
        }
    }

    /// Runs of signs as code and JSON have them.
    private mutating func addSigns() {
        let signs = Array("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
        for first in signs { for second in signs { for space in ["", " "] { add(space + String([first, second])) } } }
        for _ in 0..<4000 {
            let run = String((0..<3 + dice.below(4)).map { _ in signs[dice.below(signs.count)] })
            add(dice.once(in: 3) ? " " + run : dice.once(in: 3) ? run + "\n" : run)
        }
        for sign in signs { for count in [3, 4, 8, 16, 32, 64] { add(String(repeating: sign, count: count)) } }
    }

    /// Bytes that are no whole characters, or such behind whole ones.
    private mutating func addFragments() {
        for first in UInt8(0xC2)...0xF4 {
            for _ in 0..<40 {
                let second = UInt8(0x80 + dice.below(64))
                add([first, second])
                add([0x20, first, second])
                add([first, second, UInt8(0x80 + dice.below(64))])
                add([second, first])
            }
        }
    }

    /// Words of other scripts: their ranges, how many characters, how many words.
    private mutating func addScripts() {
        let scripts: [(ClosedRange<UInt32>, ClosedRange<Int>, Int, spaced: Bool)] = [
            (0x4E00...0x7FFF, 1...4, 26_000, false), (0x3041...0x3093, 1...5, 2500, false), (0x30A1...0x30F6, 2...6, 2500, false),
            (0xAC00...0xC4FF, 1...4, 5000, true), (0x430...0x44F, 2...11, 9000, true), (0x3B1...0x3C9, 2...8, 1500, true),
            (0x5D0...0x5EA, 2...6, 3000, true), (0x627...0x64A, 2...7, 4500, true), (0xE01...0xE2E, 2...8, 2500, false),
            (0x905...0x939, 1...6, 1500, true), (0x1F300...0x1F64F, 1...2, 1200, true),
        ]
        for (range, lengths, count, spaced) in scripts {
            for _ in 0..<count {
                let word = word(lengths) { UInt32(range.lowerBound) + UInt32($0.below(Int(range.upperBound - range.lowerBound) + 1)) }
                add(spaced && dice.once(in: 2) ? " " + word : word)
            }
        }
    }

    private mutating func word(_ lengths: ClosedRange<Int>, _ scalar: (inout Dice) -> UInt32) -> String {
        var word = ""
        for _ in 0..<lengths.lowerBound + dice.below(lengths.count) { if let scalar = Unicode.Scalar(scalar(&dice)) { word.unicodeScalars.append(scalar) } }
        return word
    }

    /// Words of syllables, in the forms in which texts and code have them.
    private mutating func addLatin() {
        let (heads, vowels) = (["", "b", "c", "ch", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "pr", "qu", "r", "s", "st", "t", "th", "tr", "v", "w", "x", "z"], ["a", "e", "i", "o", "u", "ea", "ou", "é", "ö", "y"])
        let tails = ["", "", "n", "r", "s", "t", "l", "ng", "nd", "st", "ct", "m"]
        while texts.count < size {
            var word = ""
            for _ in 0..<1 + dice.below(4) { for part in [heads, vowels, tails] { word += part[dice.below(part.count)] } }
            let capital = word.prefix(1).uppercased() + word.dropFirst()
            for form in [word, " " + word, capital, " " + capital] where dice.below(3) > 0 { add(form) }
            switch dice.below(8) {
            case 0: add(word.uppercased())
            case 1: add("_" + word)
            case 2: add("." + word)
            case 3: add(word + "(")
            case 4: add(capital + capital)
            case 5: add(word + "\":")
            default: break
            }
        }
    }
}
