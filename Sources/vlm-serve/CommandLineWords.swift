import ArgumentParser
import CommandLineSupport
import ForeignFlags
import Foundation

/// The words of the command line, those of vLLM and llama.cpp in ours.
enum CommandLineWords {
    /// A command line in our flags, with what `--config` names, and what has no effect of it.
    ///
    /// - Parameter command: the one whose flags are ours.
    static func read(_ given: [String], of command: any ParsableCommand.Type) throws -> (words: [String], notes: [String]) {
        do {
            let (file, words) = try FlagReader.config(given)
            let config = try file.map { try ConfigFile(InputFile.read($0), name: $0) }
            let reading = try FlagReader(own: DeclaredFlags.all(of: command)).read(words, entries: config?.entries ?? [], variables: ProcessInfo.processInfo.environment)
            return (reading.arguments, reading.notes.map { "note: \($0)" })
        } catch let error as FlagError {
            throw ValidationError("\(error)")
        } catch let error as FileError {
            throw ValidationError("--config: \(error)")
        }
    }
}
