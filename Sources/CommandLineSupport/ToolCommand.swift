package import ArgumentParser
import Glibc

/// A tool's root command: runs the verb that is asked for and answers with an exit code and one message.
package protocol ToolCommand: ParsableCommand {}

extension ToolCommand {
    /// The tool's `main`: code 0, or what went wrong on stderr and a code between 1 and 125.
    ///
    /// - Parameter undo: takes back what was begun when a signal asks the tool to end, then calls its argument.
    package static func runTool(undoing undo: @escaping @Sendable (_ end: () -> Never) -> Never) -> Never {
        ProcessSignals.prepare()
        ProcessSignals.endOrderly(undoing: undo)
        do {
            try checkVerb(CommandLine.arguments.dropFirst().first)
            var command = try parseAsRoot()
            do { try command.run() } catch let error as ValidationError { endMisused(type(of: command), error) }
            try StandardOutput.finish()
            exit()
        } catch let error as OutputError where error.isReaderGone {
            exit()
        } catch {
            let verb = configuration.subcommands.first { $0._commandName == CommandLine.arguments.dropFirst().first }
            end(with: error, of: verb)
        }
    }

    package static var _errorPrefix: String { "error: " }

    /// Ends the process as for a command line that is wrong in itself, with the usage of the verb.
    private static func endMisused(_ verb: any ParsableCommand.Type, _ error: ValidationError) -> Never {
        let name = verb == Self.self ? _commandName : "\(_commandName) \(verb._commandName)"
        StandardError.say("error: \(error.message)\nUsage: \(usageString(for: verb))\n  See '\(name) --help' for more information.")
        exit(withError: ExitCode.validationFailure)
    }

    /// Throws for a first word that is no verb, with the one that it resembles.
    private static func checkVerb(_ word: String?) throws {
        let verbs = configuration.subcommands.map { $0._commandName }
        guard let word, !word.hasPrefix("-"), word != "help", !verbs.contains(word) else { return }
        let closest = Spelling.closest(to: word, among: verbs)
        throw ValidationError("\(_commandName) has no verb \(word)" + (closest.map { "; did you mean \($0)?" } ?? "; it has \(verbs.joined(separator: ", "))"))
    }
}

extension ParsableCommand {
    /// Says on stderr what went wrong, and ends the process: with code 64 and the usage for a command line that is wrong in itself, else with
    /// code 1; with 0 where help was asked for.
    ///
    /// - Parameter verb: the command whose flags were given; nil for this one.
    package static func end(with error: any Error, of verb: (any ParsableCommand.Type)? = nil) -> Never {
        let code = exitCode(for: error)
        guard code != .success, !(error is ExitCode) else { exit(withError: error) }
        // The words of the command line are among these.
        StandardError.say(code == .failure ? "error: \(message(for: error).visible(keeping: ["\n"]))" : DeclaredFlags.corrected(fullMessage(for: error), for: verb ?? self))
        exit(withError: code)
    }
}
