package import ArgumentParser
import Foundation

/// The flags of a command as they are declared.
package enum DeclaredFlags {
    /// What `--experimental-dump-help` prints.
    private struct Dump: Decodable {
        struct Command: Decodable { var arguments: [Argument]? }
        struct Argument: Decodable {
            var kind: String
            var names: [Name]?
        }
        struct Name: Decodable {
            var kind: String
            var name: String
        }
        var command: Command
    }

    /// The flags with their dashes, and whether a value follows.
    package static func all(of command: any ParsableCommand.Type) throws -> [String: Bool] {
        let dump = try JSONDecoder().decode(Dump.self, from: Data(command._dumpHelp().utf8))
        var flags: [String: Bool] = [:]
        for argument in dump.command.arguments ?? [] where argument.kind != "positional" {
            for name in argument.names ?? [] { flags[(name.kind == "long" ? "--" : "-") + name.name] = argument.kind == "option" }
        }
        return flags
    }

    /// The words with `=` between a flag and the number below 0 behind it, which would else be taken for a flag.
    package static func joiningNumbers(_ words: [String], of command: any ParsableCommand.Type) -> [String] {
        guard words.contains(where: isNegative), let flags = try? all(of: command) else { return words }
        var joined: [String] = []
        for (index, word) in words.enumerated() {
            guard isNegative(word), index > 0, case let flag = words[index - 1], flag.hasPrefix("--"), flags[flag] == true, joined.last == flag else {
                joined.append(word)
                continue
            }
            joined[joined.count - 1] = "\(flag)=\(word)"
        }
        return joined
    }

    private static func isNegative(_ word: String) -> Bool { word.hasPrefix("-") && word.dropFirst().first?.isNumber == true }

    /// What every command has.
    private static let builtIn: Set<String> = ["-h", "--help", "--help-hidden", "--version", "--experimental-dump-help", "--generate-completion-script"]

    /// The first of the words that is meant as a flag and is none of `command`.
    static func unknown(in words: [String], of command: any ParsableCommand.Type) -> String? {
        guard let flags = try? all(of: command) else { return nil }
        var isValue = false
        for word in words {
            guard word != "--" else { return nil }
            let name = String(word.prefix { $0 != "=" })
            defer { isValue = flags[name] == true && name == word }
            guard word.hasPrefix("-"), word != "-", !isNegative(word), !builtIn.contains(name), flags[name] == nil else { continue }
            // A short flag with its value behind it, or several of them.
            if !word.hasPrefix("--"), flags[String(word.prefix(2))] != nil { continue }
            if !isValue { return name }
        }
        return nil
    }

    /// The message of a parser, with the flag of `command` that was most likely meant in place of the one that it found, and what may stand behind a number.
    static func corrected(_ message: String, for command: any ParsableCommand.Type) -> String {
        guard let match = message.firstMatch(of: /Unknown option '(-[^']+)'(\. Did you mean '[^']*'\?)?/) else {
            guard let size = message.firstMatch(of: /The value '[0-9.]+[A-Za-z]+' is invalid for '[^']*'/) else { return message }
            return message.replacingCharacters(in: size.range, with: "\(size.0): sizes end in \(Size.suffixes)")
        }
        let meant = closest(to: String(match.1), among: (try? all(of: command)) ?? [:])
        return message.replacingCharacters(in: match.range, with: "Unknown option '\(match.1)'" + (meant.map { ". Did you mean '\($0)'?" } ?? ""))
    }

    /// The flag that was most likely meant; nil for a dash and few letters, which are like too many.
    static func closest(to word: String, among flags: [String: Bool]) -> String? {
        guard word.hasPrefix("--") || word.count > 4 else { return nil }
        return Spelling.closest(to: word, among: Set(flags.keys).union(builtIn).filter { $0.hasPrefix("--") }.sorted())
    }

    /// The message of a parser, with what was written in place of the first flag that it names.
    ///
    /// - Parameter origins: by flags, where something else than the flag was written.
    package static func placed(_ message: String, _ origins: [String: String]) -> String {
        let line = message.prefix { $0 != "\n" }
        guard line.hasPrefix("error: ") else { return message }
        guard let flag = line.firstMatch(of: /--[a-z0-9-]+/)?.0 else { return message }
        let plain = flag.hasPrefix("--no-") ? "--" + flag.dropFirst("--no-".count) : String(flag)
        guard let origin = origins[String(flag)] ?? origins[plain], !line.contains(origin) else { return message }
        return "error: \(origin): " + message.dropFirst("error: ".count)
    }
}
