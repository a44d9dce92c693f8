/// A flag of `vllm serve` or `llama-server`, and what it means to `vlm-serve`.
package struct ForeignFlag: Sendable {
    /// What follows a flag on the command line.
    package enum Words: Sendable, Equatable {
        case none, one
        /// A number, or one of these.
        case number(or: [String] = [])
        /// At least one, up to the next flag.
        case several
        /// One of these, or nothing.
        case maybe([String])
    }

    package enum Meaning: Sendable {
        /// Another name of one of ours.
        case ours(String)
        /// Words of ours for the value; throws for values that cannot be said. The first string says in words what becomes of it.
        case becomes(String, @Sendable (String) throws(FlagError) -> [String])
        /// Nothing, for this reason: accepted, and said so.
        case nothing(String)
        /// These values are what is done anyway; others are refused, for this reason.
        case only([String], String)
        /// An error with this reason, or what to use instead.
        case refused(String)
    }

    /// Every spelling, with its dashes.
    package let names: [String]
    package let words: Words
    package let meaning: Meaning

    /// - Parameter names: the spellings, with spaces between.
    init(_ names: String, _ words: Words, _ meaning: Meaning) {
        self.names = names.split(separator: " ").map(String.init)
        self.words = words
        self.meaning = meaning
    }

    package static let all = vllm + llama

    /// What `--no-` before a flag of vLLM without a value says: those that are not in the table themselves.
    static let withdrawn: [String: ForeignFlag] = {
        var flags: [String: ForeignFlag] = [:]
        for flag in vllm where flag.words == .none || flag.words == .maybe(["true", "false"]) {
            for name in flag.names where name.hasPrefix("--") && !name.hasPrefix("--no-") {
                let opposite = "--no-" + name.dropFirst(2)
                if byName[opposite] == nil { flags[opposite] = ForeignFlag(opposite, .none, flag.meaning.withdrawn) }
            }
        }
        return flags
    }()

    static let byName = Dictionary(all.flatMap { flag in flag.names.map { ($0, flag) } }, uniquingKeysWith: { first, _ in first })
}

extension ForeignFlag.Meaning {
    /// What taking back a flag without a value says: the contrary of one of ours, else what is done without it.
    fileprivate var withdrawn: ForeignFlag.Meaning {
        switch self {
        case .ours(let name): .ours(name.hasPrefix("--no-") ? "--" + name.dropFirst("--no-".count) : "--no-" + name.dropFirst(2))
        case .nothing(let reason): .nothing(reason)
        case .becomes, .only, .refused: .nothing("that is how it always is")
        }
    }
}

extension ForeignFlag {
    /// Our words for the flag with a value, or what to tell instead.
    package enum Outcome: Sendable, Equatable {
        case words([String])
        case note(String)
        case refusal(String)
    }

    /// - Parameters:
    ///   - name: as it was spelled.
    ///   - value: its words, with spaces between; nil for none.
    func outcome(_ name: String, _ value: String?) throws(FlagError) -> Outcome {
        switch meaning {
        case .ours(let ours): return .words([ours] + (value.map { [$0] } ?? []))
        case .becomes(_, let words): return .words(try words(value ?? ""))
        case .nothing(let reason): return .note("\(name) has no effect: \(reason)")
        case .only(let values, let reason):
            let isDone = value.map { values.contains($0.lowercased()) } ?? false
            return isDone ? .note("\(name) \(value ?? "") has no effect: it is what is done anyway") : .refusal("\(name) \(value ?? ""): \(reason)")
        case .refused(let reason): return .refusal("\(name): \(reason)")
        }
    }

    /// The flags that mean something here, a line each, for `--help`.
    package static var translations: [String] {
        all.compactMap { flag in
            switch flag.meaning {
            case .ours(let ours): "\(flag.names.joined(separator: ", ")): \(ours)"
            case .becomes(let what, _): "\(flag.names.joined(separator: ", ")): \(what)"
            case .nothing, .only, .refused: nil
            }
        }
    }
}

extension ForeignFlag {
    /// The flags that change nothing here, with the values of those that take no others, for `--help`.
    package static var effectless: String {
        all.compactMap { flag in
            switch flag.meaning {
            case .nothing: flag.names.joined(separator: ", ")
            case .only(let values, _): flag.names.joined(separator: ", ") + " (\(values.joined(separator: ", ")))"
            case .ours, .becomes, .refused: nil
            }
        }.joined(separator: ", ")
    }
}

/// Why a command line or a configuration file cannot be read.
package struct FlagError: Error, Equatable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
