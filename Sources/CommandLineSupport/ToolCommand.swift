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
        let words = Array(CommandLine.arguments.dropFirst())
        let verb = configuration.subcommands.first { $0._commandName == words.first }
        do {
            try checkVerb(words.first)
            var command = try parseAsRoot(verb.map { DeclaredFlags.joiningNumbers(words, of: $0) } ?? words)
            do { try command.run() } catch let error as ValidationError { endMisused(type(of: command), error) }
            try StandardOutput.finish()
            exit()
        } catch let error as OutputError where error.isReaderGone {
            exit()
        } catch {
            end(with: error, of: verb, words: words)
        }
    }

    package static var _errorPrefix: String { "error: " }

    /// Ends the process as for a command line that is wrong in itself, with the usage of the verb.
    private static func endMisused(_ verb: any ParsableCommand.Type, _ error: ValidationError) -> Never {
        StandardError.say(misuse(error.message, of: verb))
        exit(withError: ExitCode.validationFailure)
    }

    /// Throws for a first word that is no verb, with the one that it resembles.
    private static func checkVerb(_ word: String?) throws {
        let verbs = configuration.subcommands.map { $0._commandName }
        guard let word, !word.hasPrefix("-"), word != "help", !verbs.contains(word) else { return }
        let closest = Verbs.elsewhere(word, than: _commandName) ?? Spelling.closest(to: word, among: verbs)
        throw ValidationError("\(_commandName) has no verb \(word)" + (closest.map { "; did you mean \($0)?" } ?? "; it has \(verbs.joined(separator: ", "))"))
    }
}

extension ParsableCommand {
    /// Says on stderr what went wrong, and ends the process: with code 64 and the usage for a command line that is wrong in itself, else with
    /// code 1; with 0 where help was asked for.
    ///
    /// - Parameters:
    ///   - verb: the command whose flags were given; nil for this one.
    ///   - words: those that were given, in its flags.
    ///   - origins: what was written for flags, where that was something else.
    package static func end(
        with error: any Error, of verb: (any ParsableCommand.Type)? = nil, words: [String] = [], origins: [String: String] = [:]
    ) -> Never {
        let code = exitCode(for: error)
        guard code != .success, !(error is ExitCode) else { exit(withError: error) }
        let text: String
        if code == .failure {
            text = "error: \(message(for: error).visible(keeping: ["\n"]))"
        } else {
            let told = fullMessage(for: error)
            // Who mistyped a flag is told so before anything that is missing.
            let unknown = told.contains("Missing expected argument") ? DeclaredFlags.unknown(in: words, of: verb ?? self) : nil
            text = DeclaredFlags.corrected(unknown.map { misuse("Unknown option '\($0)'", of: verb ?? self) } ?? told, for: verb ?? self)
        }
        // The words of the command line are among these.
        StandardError.say(DeclaredFlags.placed(text, origins))
        exit(withError: code)
    }

    /// What is said of a command line that is wrong in itself, with the usage of the verb.
    fileprivate static func misuse(_ message: String, of verb: any ParsableCommand.Type) -> String {
        let name = verb == Self.self ? _commandName : "\(_commandName) \(verb._commandName)"
        return "error: \(message)\nUsage: \(usageString(for: verb))\n  See '\(name) --help' for more information."
    }
}
