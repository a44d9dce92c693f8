import ArgumentParser
import CommandLineSupport
import ForeignFlags
import Foundation

/// The words of the command line, those of vLLM and llama.cpp in ours.
enum CommandLineWords {
    /// A command line in our flags, with what `--config` names, what has no effect of it, and what was written for flags of ours.
    struct Reading {
        var words: [String]
        var notes: [String] = []
        var origins: [String: String] = [:]
    }

    /// - Parameter command: the one whose flags are ours.
    static func read(_ given: [String], of command: any ParsableCommand.Type) throws -> Reading {
        do {
            let (file, words) = try FlagReader.config(given)
            let config = try file.map { try ConfigFile(InputFile.read($0), name: $0) }
            let reader = FlagReader(own: try DeclaredFlags.all(of: command)) { Spelling.closest(to: $0, among: $1) }
            let reading = try reader.read(words, entries: config?.entries ?? [], variables: ProcessInfo.processInfo.environment)
            return Reading(
                words: DeclaredFlags.joiningNumbers(reading.arguments, of: command), notes: reading.notes.map { "note: \($0)" }, origins: reading.origins)
        } catch let error as FlagError {
            throw ValidationError("\(error)")
        } catch let error as FileError {
            throw ValidationError("--config: \(error)")
        }
    }
}
