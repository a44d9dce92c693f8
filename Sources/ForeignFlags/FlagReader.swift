internal import JSON

/// Reads a command line of `vllm serve` or `llama-server`, or one of ours, as one of ours.
package struct FlagReader: Sendable {
    /// Our flags with their dashes, and whether a value follows.
    private let own: [String: Bool]
    /// Which of some words was meant by one that is none of them.
    private let closest: @Sendable (_ word: String, _ words: [String]) -> String?

    /// The words of our command line, and what to say about those that were of another.
    package struct Reading: Sendable, Equatable {
        package var arguments: [String] = []
        package var notes: [String] = []
        /// What a person wrote for flags of ours that the command line does not give under their own names.
        package var origins: [String: String] = [:]
    }

    /// What a flag became; the model has the name `model`.
    fileprivate struct Part {
        var name: String
        var words: [String]
        /// What a person wrote for it; nil for the same.
        var origin: String?
    }

    /// Ours that vLLM gives several values behind one another.
    private static let several: Set<String> = ["--served-model-name", "--api-key", "--allowed-origins", "--allowed-media-domains", "--lora-modules"]

    /// Ours whose values add up, the last of what they both say.
    private static let merged: Set<String> = ["--override-generation-config"]

    package init(own: [String: Bool], closest: @escaping @Sendable (_ word: String, _ words: [String]) -> String? = { _, _ in nil }) {
        (self.own, self.closest) = (own, closest)
    }

    /// - Parameters:
    ///   - entries: of a configuration file; those that the command line says as well do not count.
    ///   - variables: of the environment; they count where neither says anything.
    package func read(
        _ words: [String], entries: [ConfigFile.Entry] = [], variables: [String: String] = [:]
    ) throws(FlagError) -> Reading {
        var notes: [String] = []
        var rest: [String] = []
        let given = try parts(words, &notes, rest: &rest)
        let names = Set(given.map(\.name)).subtracting(Self.merged)
        var parts: [Part] = []
        for entry in entries {
            do throws(FlagError) {
                let words = try self.words(entry)
                var ignored: [String] = []
                parts += try self.parts(words, &notes, rest: &ignored).filter { !names.contains($0.name) }.written(entry.place)
            } catch { throw FlagError("\(entry.place): \(error)") }
        }
        parts += given
        let said = Set(parts.map(\.name))
        for variable in ForeignVariable.all {
            guard let value = variables[variable.name] else { continue }
            let (words, note) = try variable.outcome(value, given: said)
            parts += ownParts(words).written("\(variable.name)=\(value)")
            notes += note.map { [$0] } ?? []
        }
        parts = Self.standing(parts)
        if let second = parts.filter({ $0.name == "model" }).dropFirst().first {
            let first = parts.first { $0.name == "model" }
            throw FlagError("the model is named twice: \(first?.words.joined() ?? "") and \(second.words.joined())")
        }
        var unique: [String] = []
        for note in notes where !unique.contains(note) { unique.append(note) }
        var origins: [String: String] = [:]
        for part in parts where !part.words.isEmpty { origins[part.name] = part.origin }
        return Reading(arguments: parts.flatMap(\.words) + rest, notes: unique, origins: origins)
    }

    /// The value of `--config`, which is read before everything else, and the other words.
    package static func config(_ words: [String]) throws(FlagError) -> (file: String?, rest: [String]) {
        var rest = words
        var file: String?
        while let index = rest.firstIndex(where: { $0 == "--config" || $0.hasPrefix("--config=") || $0 == "--" }), rest[index] != "--" {
            guard file == nil else { throw FlagError("--config is given twice") }
            if rest[index] == "--config" {
                guard index + 1 < rest.count else { throw FlagError("--config needs a file") }
                file = rest.remove(at: index + 1)
            } else {
                file = String(rest[index].dropFirst("--config=".count))
            }
            rest.remove(at: index)
        }
        return (file, rest)
    }
}

extension FlagReader {
    private func parts(_ words: [String], _ notes: inout [String], rest: inout [String]) throws(FlagError) -> [Part] {
        var parts: [Part] = []
        var refusals: [String] = []
        var line = Line(try JoinedFlags.join(words))
        while let word = line.next() {
            guard word != "--" else {
                rest = ["--"] + line.remaining
                break
            }
            guard word.hasPrefix("-"), word != "-" else {
                parts.append(Part(name: "model", words: [word]))
                continue
            }
            let (name, value) = Self.split(word)
            if let isOn = switched(name, value, &line) {
                parts += try self.parts(isOn ? [name] : opposite(name).map { [$0] } ?? [], &notes, rest: &rest)
            } else if let takesValue = own[name] {
                parts += try ownParts(name, value, takesValue, &line, hasModel: parts.contains { $0.name == "model" })
            } else if let plain = withdrawn(name), value == nil {
                parts.append(Part(name: plain, words: []))
            } else if let flag = ForeignFlag.withdrawn[name], value == nil, case .ours(let ours) = flag.meaning {
                parts += try self.parts([ours], &notes, rest: &rest)
            } else if let flag = ForeignFlag.byName[name] ?? ForeignFlag.withdrawn[name] {
                let given = try Self.value(of: flag, name, value, &line)
                switch try flag.outcome(name, given) {
                case .words(let words): parts += ownParts(words).written(([name] + (given.map { [$0] } ?? [])).joined(separator: " "))
                case .note(let note): notes.append(note)
                case .refusal(let refusal): refusals.append(refusal)
                }
            } else {
                // Whoever parses our flags says what it is like; a word behind it may be its value.
                parts.append(Part(name: name, words: [word] + (value == nil ? line.nextValue().map { [$0] } ?? [] : [])))
            }
        }
        guard refusals.isEmpty else { throw FlagError(refusals.joined(separator: "\n")) }
        return parts
    }

    /// What the word behind a flag without a value says of it, as vLLM takes `true` and `false` there; nil where there is none.
    private func switched(_ name: String, _ inline: String?, _ line: inout Line) -> Bool? {
        guard own[name] == false || own[name] == nil && ForeignFlag.byName[name]?.words == ForeignFlag.Words.none else { return nil }
        return (inline ?? line.next { Self.switches[$0.lowercased()] != nil }).flatMap { Self.switches[$0.lowercased()] }
    }

    private static let switches = ["true": true, "false": false]

    /// The flag that says the contrary; nil where leaving the flag out says it.
    private func opposite(_ name: String) -> String? {
        let other = name.hasPrefix("--no-") ? "--" + name.dropFirst("--no-".count) : "--no-" + name.drop { $0 == "-" }
        return own[other] == false || ForeignFlag.byName[other] != nil || withdrawn(other) != nil ? other : nil
    }

    /// The flag of ours without a value and without a contrary that `name`, `--no-` before it, takes back; nil for other names.
    private func withdrawn(_ name: String) -> String? {
        guard name.hasPrefix("--no-"), own[name] == nil, ForeignFlag.byName[name] == nil else { return nil }
        let plain = "--" + name.dropFirst("--no-".count)
        return own[plain] == false && !plain.hasPrefix("--no-") ? plain : nil
    }

    /// Without those that a later one takes back.
    private static func standing(_ parts: [Part]) -> [Part] {
        parts.enumerated().filter { index, part in
            !parts[(index + 1)...].contains { $0.words.isEmpty && $0.name == part.name }
        }.map(\.element)
    }

    /// One name for a flag and its opposite.
    private func canonical(_ name: String) -> String {
        let plain = name.replacing("--no-", with: "--", maxReplacements: 1)
        return own[plain] == false ? plain : name
    }

    /// One of ours with its values.
    private func ownParts(
        _ name: String, _ inline: String?, _ takesValue: Bool, _ line: inout Line, hasModel: Bool
    ) throws(FlagError) -> [Part] {
        let canonical = canonical(name)
        guard takesValue else { return [Part(name: canonical, words: inline.map { ["\(name)=\($0)"] } ?? [name])] }
        // Where the value is missing, the flag behind is not in its place.
        let next = inline ?? line.next { word in own[Self.split(word).name] == nil && ForeignFlag.byName[Self.split(word).name] == nil }
        var values = next.map { [$0] } ?? []
        // Behind the model, words that are no flags can only be further values.
        while Self.several.contains(name), inline == nil, let more = hasModel ? line.nextValue() : line.nextPair(behind: name) { values.append(more) }
        if Self.several.contains(name), values.count == 1, values[0].hasPrefix("[") { values = try Self.list(name, values[0]) }
        return values.isEmpty ? [Part(name: canonical, words: [name])] : values.map { Part(name: canonical, words: [name, $0]) }
    }

    /// Our words, flag by flag; words without a flag are the model.
    private func ownParts(_ words: [String]) -> [Part] {
        var line = Line(words)
        var parts: [Part] = []
        while let word = line.next() {
            guard let takesValue = own[word] else {
                parts.append(Part(name: "model", words: [word]))
                continue
            }
            parts.append(Part(name: canonical(word), words: [word] + (takesValue ? line.next().map { [$0] } ?? [] : [])))
        }
        return parts
    }

    /// The value of a foreign flag: what stands behind `=`, or the words that follow it.
    private static func value(of flag: ForeignFlag, _ name: String, _ inline: String?, _ line: inout Line) throws(FlagError) -> String? {
        switch flag.words {
        case .none:
            guard let inline else { return nil }
            throw FlagError("\(name) takes no value, such as \(inline)")
        case .one, .number:
            guard let value = inline ?? line.next() else { throw FlagError("\(name) needs a value") }
            guard case .number(let words) = flag.words, Double(value) == nil, !words.contains(value.lowercased()) else { return value }
            throw FlagError("\(name) \(value) is no number" + (words.isEmpty ? "" : ", and none of \(words.joined(separator: ", "))"))
        case .several:
            var values = inline.map { [$0] } ?? []
            while inline == nil, let value = line.nextValue() { values.append(value) }
            guard !values.isEmpty else { throw FlagError("\(name) needs a value") }
            return values.joined(separator: " ")
        case .maybe(let known): return inline ?? line.next { known.contains($0.lowercased()) }
        }
    }

    /// `--max_model_len=1` is `--max-model-len` with the value 1: vLLM takes both.
    private static func split(_ word: String) -> (name: String, value: String?) {
        let equals = word.firstIndex(of: "=")
        let name = equals.map { String(word[..<$0]) } ?? word
        let value = equals.map { String(word[word.index(after: $0)...]) }
        return (name.hasPrefix("--") ? name.replacing("_", with: "-") : name, value)
    }

    /// The strings of a JSON list, which vLLM takes where one value may stand.
    private static func list(_ name: String, _ text: String) throws(FlagError) -> [String] {
        guard let list = (try? JSONValue(parsing: Array(text.utf8)))?.arrayValue, case let strings = list.compactMap(\.stringValue), strings.count == list.count else {
            throw FlagError("\(name) \(text) is no JSON list of strings")
        }
        return strings
    }

    /// The words that an entry of a configuration file would be on a command line.
    private func words(_ entry: ConfigFile.Entry) throws(FlagError) -> [String] {
        let name = "--" + entry.name.replacing("_", with: "-")
        let takesValue = own[name] ?? ForeignFlag.byName[name].map { $0.words != .none } ?? (withdrawn(name) ?? ForeignFlag.withdrawn[name]?.names[0]).map { _ in false }
        guard let takesValue else {
            let meant = closest(name, own.keys.filter { $0.hasPrefix("--") }.sorted())
            throw FlagError("vlm-serve has no flag \(name)" + (meant.map { "; did you mean \($0.dropFirst(2))?" } ?? ""))
        }
        switch entry.value {
        case .flag(let isOn) where !takesValue:
            let opposite = "--no-" + name.dropFirst(2)
            return isOn ? [name] : own[opposite] == false ? [opposite] : []
        case .flag(let isOn): return [name, isOn ? "true" : "false"]
        case .text where !takesValue: throw FlagError("\(entry.name) is on or off: it must be true or false")
        case .text(let text): return ["\(name)=\(text)"]
        case .list(let values):
            guard takesValue else { throw FlagError("\(entry.name) is on or off: it must be true or false") }
            if own[name] != nil { return values.map { "\(name)=\($0)" } }
            return [name] + values
        }
    }
}

extension [FlagReader.Part] {
    /// The same, for which a person wrote this.
    fileprivate func written(_ origin: String) -> [FlagReader.Part] {
        map { FlagReader.Part(name: $0.name, words: $0.words, origin: origin) }
    }
}

/// Words of a command line, one after another.
private struct Line {
    private var words: ArraySlice<String>

    init(_ words: [String]) { self.words = words[...] }

    var remaining: [String] { Array(words) }

    mutating func next() -> String? { words.popFirst() }

    mutating func next(where isWanted: (String) -> Bool) -> String? {
        guard let first = words.first, isWanted(first) else { return nil }
        return words.popFirst()
    }

    /// The next `name=directory`, or object of JSON, behind a flag that takes such words alone.
    mutating func nextPair(behind name: String) -> String? {
        name == "--lora-modules" ? next { !$0.hasPrefix("-") && ($0.contains("=") || $0.hasPrefix("{")) } : nil
    }

    /// The next word when it is no flag.
    mutating func nextValue() -> String? { next { !$0.hasPrefix("-") } }
}
