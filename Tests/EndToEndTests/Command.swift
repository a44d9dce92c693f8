import Foundation
import Glibc

/// A program that was built beside the tests, with its arguments.
struct Command {
    struct Outcome {
        /// The exit status; negative for a signal.
        var status: Int32
        var output: String
        var errors: String
    }

    private let process = Process()
    private let output = Pipe()
    private let errors = Pipe()

    init(_ tool: String, _ arguments: [String], environment: [String: String] = [:]) {
        process.executableURL = Self.directory.appending(path: tool)
        process.arguments = arguments
        process.environment = Self.environment(environment)
        process.standardOutput = output
        process.standardError = errors
    }

    /// Kernels are chosen by rates that were measured once: a busy machine that measures again finds others, warns, and has other keys.
    private static func environment(_ more: [String: String]) -> [String: String] {
        ProcessInfo.processInfo.environment.merging(["VLM_MACHINE": rates]) { $1 }.merging(more) { $1 }
    }

    /// What `vlmc machine` measures, in a file; empty where it cannot be measured.
    private static let rates: String = {
        let path = FileManager.default.temporaryDirectory.appending(path: "rates-\(UUID().uuidString)").path
        let (process, output) = (Process(), Pipe())
        process.executableURL = directory.appending(path: "vlmc")
        process.arguments = ["machine", "--store", path]
        (process.standardOutput, process.standardError) = (output, FileHandle.nullDevice)
        guard (try? process.run()) != nil else { return "" }
        let text = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        try? FileManager.default.removeItem(atPath: path)
        guard var machine = try? JSONSerialization.jsonObject(with: text) as? [String: Any] else { return "" }
        machine["unsettled"] = nil
        guard let data = try? JSONSerialization.data(withJSONObject: machine) else { return "" }
        return (try? data.write(to: URL(fileURLWithPath: path + ".json"))) == nil ? "" : path + ".json"
    }()

    /// A line of shell in which the programs are found by name; pipes and redirections are its business.
    init(shell line: String, environment: [String: String] = [:]) {
        process.executableURL = URL(fileURLWithPath: "/bin/bash")
        process.arguments = ["-c", line]
        let path = "\(Self.directory.path):\(ProcessInfo.processInfo.environment["PATH"] ?? "")"
        process.environment = Self.environment(environment).merging(["PATH": path]) { $1 }
        process.standardOutput = output
        process.standardError = errors
    }

    /// Where the build leaves programs: the folder of the test bundle.
    static let directory = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()

    /// Starts the program and sends it a signal after some seconds, however far it is.
    func signalled(_ number: Int32, after seconds: Double) throws -> Outcome {
        process.standardInput = FileHandle.nullDevice
        try process.run()
        Thread.sleep(forTimeInterval: seconds)
        kill(process.processIdentifier, number)
        return outcome()
    }

    /// The same of all that the program has started, as a terminal signals them.
    func signalledWithItsOwn(_ number: Int32, after seconds: Double) throws -> Outcome {
        process.standardInput = FileHandle.nullDevice
        try process.run()
        Thread.sleep(forTimeInterval: seconds)
        kill(-process.processIdentifier, number)
        return outcome()
    }

    /// Starts a program that goes on until `stop`; its standard error is read line by line.
    func start() throws -> Running {
        process.standardInput = FileHandle.nullDevice
        try process.run()
        return Running(process: process, errors: errors.fileHandleForReading)
    }

    /// Runs to the end, with `input` on standard input.
    func run(input: String = "") throws -> Outcome {
        let stdin = Pipe()
        process.standardInput = stdin
        try process.run()
        stdin.fileHandleForWriting.write(Data(input.utf8))
        try stdin.fileHandleForWriting.close()
        return outcome()
    }

    /// What the program that runs has said at its end.
    private func outcome() -> Outcome {
        let collector = Collector(errors)
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        let status = process.terminationReason == .uncaughtSignal ? -process.terminationStatus : process.terminationStatus
        return Outcome(status: status, output: text, errors: collector.text())
    }
}

/// Reads a pipe to its end on a thread of its own, so that a talkative program does not block.
private final class Collector: @unchecked Sendable {
    private var data = Data()
    private let done = DispatchSemaphore(value: 0)

    init(_ pipe: Pipe) {
        DispatchQueue.global().async {
            self.data = pipe.fileHandleForReading.readDataToEndOfFile()
            self.done.signal()
        }
    }

    func text() -> String {
        done.wait()
        return String(decoding: data, as: UTF8.self)
    }
}

/// A program that goes on until it is stopped.
final class Running {
    let process: Process
    private let errors: FileHandle
    private var text = ""

    init(process: Process, errors: FileHandle) {
        self.process = process
        self.errors = errors
    }

    deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

    /// Reads standard error up to a line with `words`; nil when the program ends before.
    func line(with words: String) -> String? {
        while true {
            if let line = text.split(separator: "\n").first(where: { $0.contains(words) }) { return String(line) }
            let data = errors.availableData
            guard !data.isEmpty else { return nil }
            text += String(decoding: data, as: UTF8.self)
        }
    }

    /// Asks the program to end and returns its exit status.
    func stop(by number: Int32 = SIGTERM) -> Int32 {
        kill(process.processIdentifier, number)
        process.waitUntilExit()
        return process.terminationReason == .uncaughtSignal ? -process.terminationStatus : process.terminationStatus
    }
}
