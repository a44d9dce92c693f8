internal import Texts

/// The division of a word into tokens whose scores have the greatest sum (Viterbi's algorithm over the places between characters).
///
/// Follows HuggingFace's `Unigram` model and sentencepiece's `EncodeOptimized`; of equal sums the one that is found first stands.
struct UnigramEncoder: Sendable {
    private let model: UnigramModel
    private let vocabulary: Vocabulary
    /// The ids of tokens that are found in text.
    private let trie: ByteTrie
    /// The id of `<0xNN>` for each byte, or -1.
    private let fallbackIDs: [Int32]

    /// The best division of the word up to a place: its score, and its last token with the place where that starts.
    private struct Node {
        var score = 0.0
        var start: Int32 = -1
        var id: Int32 = -1
    }

    init(_ model: UnigramModel, _ vocabulary: Vocabulary) {
        self.model = model
        self.vocabulary = vocabulary
        fallbackIDs = vocabulary.fallbackIDs
        let found = (0..<Int32(model.scores.count)).lazy.filter { !model.scores[Int($0)].isNaN }
        trie = ByteTrie(found.map { (vocabulary.text($0) ?? [], $0) })
    }

    /// What a character costs besides the tokens that begin with it, in units of the budget.
    private static let unitsPerCharacter = 50

    /// Appends the ids of one word to `output`; charges `work`, and throws when that does.
    func encode(_ word: ArraySlice<UInt8>, _ work: TokenizationWork, into output: inout [Int32]) throws(TokenizationError) {
        let nodes = try nodes(of: word, work)
        var pieces: [(range: Range<Int>, id: Int32)] = []
        var end = word.count
        while end > 0 {
            let node = nodes[end]
            let range = word.startIndex + Int(node.start)..<word.startIndex + end
            if node.id == model.unknown, let last = pieces.last, last.id == model.unknown {
                pieces[pieces.count - 1].range = range.lowerBound..<last.range.upperBound
            } else {
                pieces.append((range, node.id))
            }
            end = Int(node.start)
        }
        for piece in pieces.reversed() {
            if piece.id != model.unknown { output.append(piece.id) } else { appendUnknown(word[piece.range], to: &output) }
        }
    }

    private func nodes(of word: ArraySlice<UInt8>, _ work: TokenizationWork) throws(TokenizationError) -> [Node] {
        var nodes = [Node](repeating: Node(), count: word.count + 1)
        var scalars = ScalarReader(slice: word)
        var start = word.startIndex
        while scalars.next() != nil {
            let next = scalars.position
            let before = nodes[start - word.startIndex].score
            var isCovered = false
            var trieNode = ByteTrie.root
            var position = start
            try work.charge(Self.unitsPerCharacter)
            while position < word.endIndex, let child = trie.child(of: trieNode, word[position]) {
                trieNode = child
                position += 1
                try work.charge(ByteTrie.unitsPerByte)
                guard let id = trie.value(child) else { continue }
                improve(&nodes[position - word.startIndex], before + model.scores[Int(id)], from: start - word.startIndex, id)
                if position == next { isCovered = true }
            }
            if !isCovered {
                improve(&nodes[next - word.startIndex], before + model.unknownScore, from: start - word.startIndex, model.unknown)
            }
            start = next
        }
        return nodes
    }

    private func improve(_ node: inout Node, _ score: Double, from start: Int, _ id: Int32) {
        guard node.start < 0 || score > node.score else { return }
        node = Node(score: model.isSinglePrecision ? Double(Float(score)) : score, start: Int32(truncatingIfNeeded: start), id: id)
    }

    /// A run of unknown characters is one token if the vocabulary has it, else its bytes or the unknown token.
    private func appendUnknown(_ text: ArraySlice<UInt8>, to output: inout [Int32]) {
        if let id = vocabulary.id(text) {
            output.append(id)
        } else if model.fallsBackToBytes, text.allSatisfy({ fallbackIDs[Int($0)] >= 0 }) {
            for byte in text { output.append(fallbackIDs[Int(byte)]) }
        } else {
            output.append(model.unknown)
        }
    }
}
