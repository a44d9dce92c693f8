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

    /// The message of a parser, with the flag of `command` that was most likely meant in place of the one that it found.
    static func corrected(_ message: String, for command: any ParsableCommand.Type) -> String {
        guard let match = message.firstMatch(of: /Unknown option '(--[^']+)'(\. Did you mean '[^']*'\?)?/) else { return message }
        let flags = (try? all(of: command).keys.filter { $0.hasPrefix("--") }) ?? []
        let meant = Spelling.closest(to: String(match.1), among: flags.sorted())
        return message.replacingCharacters(in: match.range, with: "Unknown option '\(match.1)'" + (meant.map { ". Did you mean '\($0)'?" } ?? ""))
    }
}
