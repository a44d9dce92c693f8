import ArgumentParser
import CommandLineSupport
import ForeignFlags
import Foundation

/// The words of the command line, those of vLLM and llama.cpp in ours.
enum CommandLineWords {
    /// What `--experimental-dump-help` prints: the flags as they are declared, and whether a value follows.
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

    private static func ownFlags(of command: any ParsableCommand.Type) throws -> [String: Bool] {
        let dump = try JSONDecoder().decode(Dump.self, from: Data(command._dumpHelp().utf8))
        var flags: [String: Bool] = [:]
        for argument in dump.command.arguments ?? [] where argument.kind != "positional" {
            for name in argument.names ?? [] { flags[(name.kind == "long" ? "--" : "-") + name.name] = argument.kind == "option" }
        }
        return flags
    }

    /// A command line in our flags, with what `--config` names, and what has no effect of it.
    ///
    /// - Parameter command: the one whose flags are ours.
    static func read(_ given: [String], of command: any ParsableCommand.Type) throws -> (words: [String], notes: [String]) {
        do {
            let (file, words) = try FlagReader.config(given)
            let config = try file.map { try ConfigFile(InputFile.read($0), name: $0) }
            let reading = try FlagReader(own: ownFlags(of: command)).read(words, entries: config?.entries ?? [], variables: ProcessInfo.processInfo.environment)
            return (reading.arguments, reading.notes.map { "note: \($0)" })
        } catch let error as FlagError {
            throw ValidationError("\(error)")
        } catch let error as FileError {
            throw ValidationError("--config: \(error)")
        }
    }
}
