import Dispatch
import Foundation
import Glibc
import Synchronization

/// What the tools make of signals that would end them without a word, and of streams that are not open.
package enum ProcessSignals {
    /// To be called first thing by every tool.
    ///
    /// A reader that goes away (SIGPIPE) and a file size limit (SIGXFSZ) become errors of `write`. A mapped file that got
    /// shorter under its reader (SIGBUS) ends the process with code 74, `EX_IOERR`, and a message. Standard streams that
    /// are closed are opened on nothing, so that no other file takes their place; writing there is an error.
    package static func prepare() {
        signal(SIGPIPE, SIG_IGN)
        signal(SIGXFSZ, SIG_IGN)
        signal(SIGBUS) { _ in
            let message: StaticString =
                "error: a file that is mapped into memory became shorter or unreadable: an artifact's weights.bin or a model's safetensors; restore it and start again\n"
            // Nothing here may allocate: the fault can come at any instruction.
            message.withUTF8Buffer { _ = Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
            _exit(74)
        }
        for stream in STDIN_FILENO...STDERR_FILENO where fcntl(stream, F_GETFD) == -1 {
            _ = open("/dev/null", O_RDONLY)
        }
    }

    /// Has SIGINT, SIGTERM and SIGHUP end the process with code 1 and a message, after `undo` took back what was begun; a compiler that another
    /// program started leaves the message to that one.
    ///
    /// Those that the process was started to ignore, as under `nohup`, stay ignored.
    package static func endOrderly(undoing undo: @escaping @Sendable (_ end: () -> Never) -> Never) {
        for number in [SIGINT, SIGTERM, SIGHUP] {
            var earlier = sigaction()
            sigaction(number, nil, &earlier)
            if unsafeBitCast(earlier.__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self) { continue }
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                if number == SIGINT, let obey = interruption.withLock({ $0 }) { return obey() }
                end(undoing: undo)
            }
            source.resume()
            sources.append(source)
        }
    }

    private static func end(undoing undo: (_ end: () -> Never) -> Never) -> Never {
        undo {
            if SiblingCompiler.isThisProcess { _exit(SiblingCompiler.interruptedCode) }
            StandardError.sayLast("error: interrupted")
            _exit(1)
        }
    }

    /// Ends the process in the same way once nobody has the other end of a pipe open for reading: who started it is gone, by whatever signal.
    ///
    /// - Parameter descriptor: the end that is written to; nothing happens for what is no pipe.
    package static func endWithReader(of descriptor: Int32, undoing undo: @escaping @Sendable (_ end: () -> Never) -> Never) {
        Thread {
            var pipe = pollfd(fd: descriptor, events: 0, revents: 0)
            while poll(&pipe, 1, -1) < 0, errno == EINTR {}
            if pipe.revents & Int16(POLLERR) != 0 { end(undoing: undo) }
        }.start()
    }

    /// Has SIGINT, such as a terminal's Ctrl-C, do this instead of ending the process, where `endOrderly` was called.
    package static func onInterrupt(_ obey: @escaping @Sendable () -> Void) { interruption.withLock { $0 = obey } }

    private static let interruption = Mutex<(@Sendable () -> Void)?>(nil)

    /// Alive as long as the process; filled before there is a second thread.
    nonisolated(unsafe) private static var sources: [any DispatchSourceSignal] = []
}
