import GuidedDecoding
import Seeded
import ThreadTime

/// What the tokens of random answers cost under one guide.
struct GuideRun {
    private let compile: Duration
    /// Microseconds of each token.
    private(set) var tokens: [Double] = []

    private static let answers = 20
    private static let tokensMax = 200

    init(_ guide: Guide, _ trie: TokenTrie, _ vocabularySize: Int) throws {
        var made: Grammar?
        compile = try threadTime { made = try guide.compiled() }
        guard let grammar = made else { preconditionFailure("nothing was compiled") }
        let guide = TokenGuide(grammar, trie)
        let logits = UnsafeMutableBufferPointer<Float>.allocate(capacity: vocabularySize)
        defer { logits.deallocate() }
        var dice = Dice(7)
        for _ in 0..<Self.answers { answer(guide, logits, &dice) }
    }

    private mutating func answer(_ guide: TokenGuide, _ logits: UnsafeMutableBufferPointer<Float>, _ dice: inout Dice) {
        var state = guide.start
        for _ in 0..<Self.tokensMax where !state.isComplete {
            logits.initialize(repeating: 0)
            let masking = threadTime { guide.mask(state).apply(to: logits) }
            let possible = logits.indices.filter { logits[$0] == 0 }
            guard let token = dice.pick(possible), !state.accepts || dice.below(40) > 0 else { return tokens.append(masking.microseconds) }
            let advancing = threadTime { state = guide.advanced(state, Int32(token)) }
            tokens.append((masking + advancing).microseconds)
        }
    }

    var row: String { compile.milliseconds.padded(-11) + Self.row(tokens) }

    static func row(_ tokens: [Double]) -> String {
        let sorted = tokens.sorted()
        guard let most = sorted.last else { return "no tokens" }
        let told = [sorted[sorted.count / 2], sorted[sorted.count * 99 / 100], most].map { "\(($0 * 10).rounded() / 10)" }
        return (["\(sorted.count)"] + told).map { $0.padded(-11) }.joined()
    }
}

extension Duration {
    var microseconds: Double { Double(components.seconds) * 1e6 + Double(components.attoseconds) / 1e12 }
    var milliseconds: String { "\((microseconds / 100).rounded() / 10)" }
}

extension String {
    /// So many characters wide, to the right where `width` is negative.
    func padded(_ width: Int) -> String {
        let space = String(repeating: " ", count: max(abs(width) - count, 0))
        return width < 0 ? space + self : self + space
    }
}
