internal import ArgumentParser
import Foundation
@preconcurrency import Glibc
import Synchronization

/// The `vlmc` that lies beside this program, or is it: models are compiled by a process of their own, and no server links a compiler.
package enum SiblingCompiler {
    /// The process that compiles; 0 for none.
    private static let running = Atomic<Int32>(0)
    /// Whether a signal has ended this process, which waits for the compiler.
    private static let isStopping = Atomic(false)

    private static let latest = Mutex<(phase: String, share: Double)>(("compiling", 0))
    /// Where the compiler writes that, in its own numbers.
    private static let progressDescriptor: Int32 = 3

    /// Have the compiler say how far it is, and end with the program that started it; without them `progress` says nothing.
    static let progressFlags = ["--progress-to", "\(progressDescriptor)"]

    /// With which a compiler that was started so ends where a signal ended it, without a word.
    static let interruptedCode: Int32 = 130

    /// Whether a program started this one so.
    static var isThisProcess: Bool { CommandLine.arguments.contains(progressFlags[0]) }

    /// What the compiler that runs is at, and how much of that is done, from 0 to 1.
    @Sendable package static func progress() -> (phase: String, share: Double) { latest.withLock { $0 } }

    /// Runs `vlmc compile` and returns the line that it prints. Its progress and its errors go to this process's stderr.
    ///
    /// - Throws: `ExitCode.failure` where it failed, which it has then explained.
    static func run(_ arguments: [String]) throws -> String {
        let path = try executable()
        let (output, news) = (Pipe(), Pipe())
        for pipe in [output, news] {
            for end in [pipe.fileHandleForReading, pipe.fileHandleForWriting] { _ = fcntl(end.fileDescriptor, F_SETFD, FD_CLOEXEC) }
        }
        let code = start(path, arguments, output.fileHandleForWriting, news.fileHandleForWriting)
        for pipe in [output, news] { try pipe.fileHandleForWriting.close() }
        guard code == 0 else { throw ChoiceError("cannot run \(path): \(String(cString: strerror(code)))") }
        Thread { follow(news.fileHandleForReading) }.start()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        var status: Int32 = 0
        while waitpid(running.load(ordering: .relaxed), &status, 0) < 0, errno == EINTR {}
        running.store(0, ordering: .relaxed)
        // Who stopped the compiler ends this process.
        while isStopping.load(ordering: .relaxed) { pause() }
        let signal = status & 0x7F
        if signal != 0 { throw ChoiceError("\(path) was ended by signal \(signal)\(signal == SIGKILL ? ", perhaps for lack of memory" : "")") }
        if status >> 8 == interruptedCode {
            // What interrupted the compiler, such as a terminal, has most likely told this process as well.
            sleep(1)
            throw ChoiceError("interrupted")
        }
        guard status == 0 else { throw ExitCode.failure }
        guard text.last == "\n", !text.dropLast().contains("\n") else { throw ChoiceError("\(path) printed no path; is it of another version?") }
        return String(text.dropLast())
    }

    /// Takes note of each line until the compiler ends.
    private static func follow(_ news: FileHandle) {
        while case let data = news.availableData, !data.isEmpty {
            let words = String(decoding: data, as: UTF8.self).split(separator: "\n").last?.split(separator: " ") ?? []
            if words.count == 2, let share = Double(words[1]) { latest.withLock { $0 = (String(words[0]), share) } }
        }
    }

    /// Has the compile that runs end, and waits until it has tidied up; may be called by a signal's handler.
    package static func stop(_ signal: Int32) {
        let process = running.load(ordering: .relaxed)
        guard process > 0 else { return }
        isStopping.store(true, ordering: .relaxed)
        kill(process, signal)
        waitpid(process, nil, 0)
    }

    private static func executable() throws -> String {
        guard let path = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") else {
            throw ChoiceError("cannot tell where this program lies")
        }
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        let sibling = "\(folder)/vlmc"
        guard access(sibling, X_OK) == 0 else {
            throw ChoiceError("a model directory is compiled first, and \(folder) holds no vlmc; put it there, or serve what vlmc compile prints elsewhere")
        }
        return sibling
    }

    /// Starts the program, in this process's group: what a terminal interrupts is both. It has standard streams and the pipe of news, and no
    /// other descriptor of this process, such as the port that it listens on. Returns an error as in `errno`, or 0.
    private static func start(_ path: String, _ arguments: [String], _ output: FileHandle, _ news: FileHandle) -> Int32 {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output.fileDescriptor, STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, news.fileDescriptor, progressDescriptor)
        let code = close(&actions, from: progressDescriptor + 1)
        guard code == 0 else { return code }
        var words = ([path] + arguments).map { strdup($0) } + [nil]
        defer { words.forEach { free($0) } }
        var process: pid_t = 0
        let error = posix_spawn(&process, path, &actions, nil, &words, environ)
        if error == 0 { running.store(process, ordering: .relaxed) }
        return error
    }

    /// Has the program that is started close these descriptors. Returns an error as in `errno`, or 0.
    private static func close(_ actions: inout posix_spawn_file_actions_t, from first: Int32) -> Int32 {
        typealias AddCloseFrom = @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32
        // The Glibc module does not import `posix_spawn_file_actions_addclosefrom_np`, the library has it since 2.34.
        guard let symbol = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np") else { return ENOSYS }
        return unsafeBitCast(symbol, to: AddCloseFrom.self)(&actions, first)
    }
}
