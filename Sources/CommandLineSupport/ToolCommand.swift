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
            var command = try parseAsRoot()
            try command.run()
            try StandardOutput.finish()
            exit()
        } catch let error as OutputError where error.isReaderGone {
            exit()
        } catch where exitCode(for: error) == .failure && !(error is ExitCode) {
            StandardError.say("error: \(message(for: error).visible(keeping: ["\n"]))")
            exit(withError: ExitCode.failure)
        } catch where exitCode(for: error) != .success && !(error is ExitCode) {
            // The words of the command line are among these.
            StandardError.say(fullMessage(for: error))
            exit(withError: exitCode(for: error))
        } catch {
            exit(withError: error)
        }
    }
}
