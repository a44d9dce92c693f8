extension Tokenizer {
    /// The tokenizer in a flat binary form that loads without parsing; the same version of this library reads it.
    package var compiled: [UInt8] {
        var writer = FlatWriter()
        writer.write(definition)
        return writer.bytes
    }

    /// Reads what `compiled` wrote.
    ///
    /// Throws with reason `version` for another version's bytes, `malformed` for bytes that contradict themselves.
    package convenience init(compiled bytes: [UInt8]) throws(TokenizerError) {
        var reader = FlatReader(bytes: bytes)
        try self.init(reader.definition())
    }
}

private let signature = Array("vlm tokenizer 2\n".utf8)

/// Little-endian numbers and counted byte strings, one after the other.
private struct FlatWriter {
    var bytes = signature

    mutating func write(_ number: Int) {
        withUnsafeBytes(of: UInt32(truncatingIfNeeded: number).littleEndian) { bytes += $0 }
    }

    mutating func write(_ flag: Bool) {
        bytes.append(flag ? 1 : 0)
    }

    mutating func write(_ text: [UInt8]) {
        write(text.count)
        bytes += text
    }

    mutating func write(_ text: String) {
        write(Array(text.utf8))
    }

    mutating func write(_ numbers: [Int32]) {
        write(numbers.count)
        for number in numbers { write(Int(number)) }
    }

    mutating func write(_ pattern: TextPattern) {
        switch pattern.source {
        case .literal(let text):
            bytes.append(0)
            write(text)
        case .expression(let text):
            bytes.append(1)
            write(text)
        }
    }

    mutating func write(_ definition: TokenizerDefinition) {
        write(definition.addedTokens.count)
        for token in definition.addedTokens {
            write(Int(token.id))
            write(token.content)
            for flag in [token.singleWord, token.stripsLeft, token.stripsRight, token.isNormalized, token.isSpecial] {
                write(flag)
            }
        }
        write(definition.normalizers.count)
        for step in definition.normalizers { write(step) }
        write(definition.preTokenizers.count)
        for step in definition.preTokenizers { write(step) }
        write(definition.prefix)
        write(definition.suffix)
        write(definition.decoders != nil)
        write(definition.decoders?.count ?? 0)
        for step in definition.decoders ?? [] { write(step) }
        write(definition.vocabulary.bytes)
        write(definition.vocabulary.starts.map { Int32(bitPattern: $0) })
        switch definition.model {
        case .bytePair(let model):
            bytes.append(0)
            write(model)
        case .unigram(let model):
            bytes.append(1)
            write(model)
        }
    }

    mutating func write(_ step: NormalizerStep) {
        switch step {
        case .unicode(let form): bytes += [0, form.rawValue]
        case .lowercase: bytes.append(1)
        case .strip(let left, let right): bytes += [2, left ? 1 : 0, right ? 1 : 0]
        case .stripAccents: bytes.append(3)
        case .replace(let pattern, let content):
            bytes.append(4)
            write(pattern)
            write(content)
        case .prepend(let text):
            bytes.append(5)
            write(text)
        case .byteLevel: bytes.append(6)
        case .precompiled(let map):
            bytes.append(7)
            write(map.bytes)
        case .machineTranslation: bytes.append(8)
        case .bert(let cleaning):
            bytes.append(9)
            for flag in [cleaning.cleans, cleaning.separatesChinese, cleaning.stripsAccents, cleaning.lowercases] { write(flag) }
        case .sentencePiece(let normalizer):
            bytes += [10, normalizer.prefix.rawValue]
            write(normalizer.removesSpaces)
            write(normalizer.map?.bytes ?? [])
            write(normalizer.symbols.count)
            for symbol in normalizer.symbols { write(symbol) }
        }
    }

    mutating func write(_ step: PreTokenizerStep) {
        switch step {
        case .split(let pattern, let behavior, let invert):
            bytes += [0, behavior.rawValue, invert ? 1 : 0]
            write(pattern)
        case .byteLevel(let addPrefixSpace, let splitsWords):
            bytes += [1, addPrefixSpace ? 1 : 0, splitsWords ? 1 : 0]
        case .digits(let individual): bytes += [2, individual ? 1 : 0]
        case .metaspace(let replacement, let scheme, let splits):
            bytes += [3, scheme.rawValue, splits ? 1 : 0]
            write(replacement)
        case .whitespaceSplit: bytes.append(4)
        case .whitespace: bytes.append(5)
        case .punctuation(let behavior): bytes += [6, behavior.rawValue]
        }
    }

    mutating func write(_ step: DecoderStep) {
        switch step {
        case .byteLevel: bytes.append(0)
        case .byteFallback: bytes.append(1)
        case .fuse: bytes.append(2)
        case .replace(let pattern, let content):
            bytes.append(3)
            write(pattern)
            write(content)
        case .strip(let content, let start, let stop):
            bytes.append(4)
            write(content)
            write(start)
            write(stop)
        case .metaspace(let replacement, let scheme):
            bytes += [5, scheme.rawValue]
            write(replacement)
        case .endOfWord(let suffix):
            bytes.append(6)
            write(suffix)
        case .pieces(let spaces): bytes += [7, spaces.rawValue]
        }
    }

    mutating func write(_ model: BytePairModel) {
        for flag in [model.fusesUnknown, model.fallsBackToBytes, model.ignoresMerges, model.unknown != nil] { write(flag) }
        write(Int(model.unknown ?? 0))
        write(model.continuingPrefix)
        write(model.endOfWordSuffix)
        write(model.merges.count)
        for merge in model.merges {
            for id in [merge.left, merge.right, merge.result] { write(Int(id)) }
        }
        write(model.ranks)
        write(model.atoms)
    }

    mutating func write(_ model: UnigramModel) {
        for flag in [model.fallsBackToBytes, model.isSinglePrecision] { write(flag) }
        write(Int(model.unknown))
        write(model.unknownScore)
        write(model.scores.count)
        for score in model.scores { write(score) }
    }

    mutating func write(_ number: Double) {
        withUnsafeBytes(of: number.bitPattern.littleEndian) { bytes += $0 }
    }
}

/// Reads what `FlatWriter` wrote and checks every count against the bytes that are left.
private struct FlatReader {
    let bytes: [UInt8]
    var position = 0

    var damaged: TokenizerError { .malformed("byte \(position) of the compiled form", "the bytes contradict themselves") }

    mutating func byte() throws(TokenizerError) -> UInt8 {
        guard position < bytes.count else { throw damaged }
        defer { position += 1 }
        return bytes[position]
    }

    mutating func flag() throws(TokenizerError) -> Bool {
        let byte = try byte()
        guard byte < 2 else { throw damaged }
        return byte == 1
    }

    mutating func number() throws(TokenizerError) -> Int {
        guard bytes.count - position >= 4 else { throw damaged }
        defer { position += 4 }
        return (0..<4).reduce(0) { $0 | Int(bytes[position + $1]) << (8 * $1) }
    }

    /// A count of things that take at least `size` bytes each.
    mutating func count(of size: Int) throws(TokenizerError) -> Int {
        let count = try number()
        guard count <= (bytes.count - position) / size else { throw damaged }
        return count
    }

    mutating func id() throws(TokenizerError) -> Int32 {
        let number = try number()
        guard number <= Vocabulary.maximumID else { throw damaged }
        return Int32(number)
    }

    mutating func data() throws(TokenizerError) -> [UInt8] {
        let count = try count(of: 1)
        defer { position += count }
        return Array(bytes[position..<position + count])
    }

    mutating func text() throws(TokenizerError) -> String {
        guard let text = String(validating: try data(), as: UTF8.self) else { throw damaged }
        return text
    }

    /// Bytes that must be UTF-8, since they become part of the text.
    mutating func textBytes() throws(TokenizerError) -> [UInt8] {
        Array(try text().utf8)
    }

    mutating func character() throws(TokenizerError) -> [UInt8] {
        let text = try text()
        guard text.unicodeScalars.count == 1 else { throw damaged }
        return Array(text.utf8)
    }

    mutating func list<Element>(
        atMost limit: Int = .max, _ element: (inout FlatReader) throws(TokenizerError) -> Element
    ) throws(TokenizerError) -> [Element] {
        let count = try count(of: 1)
        guard count <= limit else { throw damaged }
        var elements: [Element] = []
        for _ in 0..<count { elements.append(try element(&self)) }
        return elements
    }

    mutating func choice<Choice: RawRepresentable<UInt8>>() throws(TokenizerError) -> Choice {
        guard let choice = Choice(rawValue: try byte()) else { throw damaged }
        return choice
    }

    mutating func pattern() throws(TokenizerError) -> TextPattern {
        let isExpression = try flag()
        let text = try text()
        do {
            return try TextPattern(isExpression ? .expression(text) : .literal(text))
        } catch {
            throw damaged
        }
    }

    mutating func definition() throws(TokenizerError) -> TokenizerDefinition {
        guard bytes.starts(with: signature) else {
            throw TokenizerError(reason: .version, place: "byte 0", message: "its signature is not that of this version")
        }
        position = signature.count
        var definition = TokenizerDefinition()
        definition.addedTokens = try list { (reader) throws(TokenizerError) in
            AddedToken(
                id: try reader.id(), content: try reader.text(), singleWord: try reader.flag(),
                stripsLeft: try reader.flag(), stripsRight: try reader.flag(), isNormalized: try reader.flag(),
                isSpecial: try reader.flag())
        }
        let stepsMax = TokenizerDefinition.stepsMax
        definition.normalizers = try list(atMost: stepsMax) { (reader) throws(TokenizerError) in try reader.normalizer() }
        definition.preTokenizers = try list(atMost: stepsMax) { (reader) throws(TokenizerError) in try reader.preTokenizer() }
        definition.prefix = try list { (reader) throws(TokenizerError) in try reader.id() }
        definition.suffix = try list { (reader) throws(TokenizerError) in try reader.id() }
        let hasDecoders = try flag()
        let decoders = try list(atMost: stepsMax) { (reader) throws(TokenizerError) in try reader.decoder() }
        definition.decoders = hasDecoders ? decoders : nil
        guard let vocabulary = Vocabulary(bytes: try data(), starts: try numbers()) else { throw damaged }
        definition.vocabulary = vocabulary
        switch try byte() {
        case 0: definition.model = .bytePair(try bytePairModel(vocabulary))
        case 1: definition.model = .unigram(try unigramModel(vocabulary))
        default: throw damaged
        }
        guard position == bytes.count else { throw damaged }
        return definition
    }

    mutating func normalizer() throws(TokenizerError) -> NormalizerStep {
        switch try byte() {
        case 0: return .unicode(try choice())
        case 1: return .lowercase
        case 2: return .strip(left: try flag(), right: try flag())
        case 3: return .stripAccents
        case 4: return .replace(try pattern(), with: try textBytes())
        case 5: return .prepend(try textBytes())
        case 6: return .byteLevel
        case 7: return .precompiled(try characterMap())
        case 8: return .machineTranslation
        case 9:
            return .bert(
                BertCleaning(
                    cleans: try flag(), separatesChinese: try flag(), stripsAccents: try flag(), lowercases: try flag()))
        case 10: return .sentencePiece(try sentencePieceNormalizer())
        default: throw damaged
        }
    }

    private mutating func characterMap() throws(TokenizerError) -> CharacterMap {
        guard let map = CharacterMap(try data()) else { throw damaged }
        return map
    }

    private mutating func sentencePieceNormalizer() throws(TokenizerError) -> SentencePieceNormalizer {
        let prefix: SentencePieceNormalizer.Prefix = try choice()
        let removesSpaces = try flag()
        let start = position
        let hasMap = try !data().isEmpty
        if hasMap { position = start }
        return SentencePieceNormalizer(
            map: hasMap ? try characterMap() : nil, prefix: prefix, removesSpaces: removesSpaces,
            symbols: try list { (reader) throws(TokenizerError) in try reader.textBytes() })
    }

    mutating func preTokenizer() throws(TokenizerError) -> PreTokenizerStep {
        switch try byte() {
        case 0:
            let behavior: SplitBehavior = try choice()
            let invert = try flag()
            return .split(try pattern(), behavior, invert: invert)
        case 1: return .byteLevel(addPrefixSpace: try flag(), splitsWords: try flag())
        case 2: return .digits(individual: try flag())
        case 3:
            let scheme: PrependScheme = try choice()
            let splits = try flag()
            return .metaspace(replacement: try character(), scheme, splits: splits)
        case 4: return .whitespaceSplit
        case 5: return .whitespace
        case 6: return .punctuation(try choice())
        default: throw damaged
        }
    }

    mutating func decoder() throws(TokenizerError) -> DecoderStep {
        switch try byte() {
        case 0: return .byteLevel
        case 1: return .byteFallback
        case 2: return .fuse
        case 3: return .replace(try pattern(), with: try textBytes())
        case 4: return .strip(content: try character(), start: Int(try id()), stop: Int(try id()))
        case 5:
            let scheme: PrependScheme = try choice()
            return .metaspace(replacement: try character(), scheme)
        case 6: return .endOfWord(suffix: try textBytes())
        case 7: return .pieces(try choice())
        default: throw damaged
        }
    }

    mutating func bytePairModel(_ vocabulary: Vocabulary) throws(TokenizerError) -> BytePairModel {
        var model = BytePairModel()
        model.fusesUnknown = try flag()
        model.fallsBackToBytes = try flag()
        model.ignoresMerges = try flag()
        let hasUnknown = try flag()
        let unknown = try id()
        model.unknown = hasUnknown ? unknown : nil
        model.continuingPrefix = try textBytes()
        model.endOfWordSuffix = try textBytes()
        let mergeCount = try count(of: 12)
        model.merges.reserveCapacity(mergeCount)
        for _ in 0..<mergeCount {
            let merge = BytePairModel.Merge(left: try id(), right: try id(), result: try id())
            guard max(merge.left, merge.right, merge.result) < vocabulary.idLimit else { throw damaged }
            model.merges.append(merge)
        }
        model.ranks = try numbers().map { Int32(truncatingIfNeeded: $0) }
        guard model.ranks.isEmpty || model.ranks.count == mergeCount else { throw damaged }
        model.atoms = try list { (reader) throws(TokenizerError) in try reader.id() }
        return model
    }

    mutating func unigramModel(_ vocabulary: Vocabulary) throws(TokenizerError) -> UnigramModel {
        var model = UnigramModel()
        model.fallsBackToBytes = try flag()
        model.isSinglePrecision = try flag()
        model.unknown = try id()
        model.unknownScore = try real()
        let scoreCount = try count(of: 8)
        guard scoreCount == vocabulary.idLimit, vocabulary.bytes.count <= UnigramModel.textBytesMax, model.unknown < scoreCount else {
            throw damaged
        }
        model.scores.reserveCapacity(scoreCount)
        for _ in 0..<scoreCount { model.scores.append(try real()) }
        return model
    }

    private mutating func real() throws(TokenizerError) -> Double {
        let low = UInt64(try number())
        return Double(bitPattern: low | UInt64(try number()) << 32)
    }

    private mutating func numbers() throws(TokenizerError) -> [UInt32] {
        let count = try count(of: 4)
        var numbers = [UInt32](repeating: 0, count: count)
        for index in 0..<count { numbers[index] = UInt32(try number()) }
        return numbers
    }
}
