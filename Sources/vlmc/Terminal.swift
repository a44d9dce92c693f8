import ArtifactFormat
import CommandLineSupport
import Compiler
import Foundation
import Glibc
import IR
import Synchronization

/// A failure with one message for stderr; the process exits with code 1.
struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }

    /// Runs `body`; what it throws becomes a failure with the same message.
    static func wrapping<R, E: Error>(_ body: () throws(E) -> R) throws(Failure) -> R {
        do { return try body() } catch { throw Failure("\(error)") }
    }
}

/// Words on stderr.
enum Terminal {
    static let isInteractive = isatty(2) == 1
    static let hasColor = isInteractive && (ProcessInfo.processInfo.environment["NO_COLOR"] ?? "").isEmpty

    /// Terminal sequences in the line are shown, not sent.
    static func warn(_ line: String) {
        StandardError.write((hasColor ? "\u{1b}[33mwarning:\u{1b}[0m " : "warning: ") + line.visible() + "\n")
    }
}

/// Tells a program that waits how far a compile is: lines such as `packing 0.42`.
private struct ProgressLines {
    let descriptor: Int32
    private var phase = ""
    private var total = 0
    private var done = 0
    private var percent = -1

    init(to descriptor: Int32) { self.descriptor = descriptor }

    mutating func begin(_ phase: String, of total: Int) {
        (self.phase, self.total, done, percent) = (phase, total, 0, -1)
        advance(by: 0)
    }

    /// One line for each hundredth; nobody need read them.
    mutating func advance(by count: Int) {
        done += count
        let now = total > 0 ? min(100, done * 100 / total) : 100
        guard now > percent else { return }
        percent = now
        let line = "\(phase) \(Double(now) / 100)\n"
        _ = write(descriptor, line, line.utf8.count)
    }
}

/// Shows a compile on stderr: a bar on a terminal, a line per phase elsewhere.
final class CompileDisplay: Sendable {
    /// Of the phase at hand.
    private let bar = Mutex<ProgressBar?>(nil)
    private let lines: Mutex<ProgressLines?>

    /// - Parameter descriptor: where a program that waits reads how far it is; nil for none.
    init(progressTo descriptor: Int32? = nil) { lines = Mutex(descriptor.map { ProgressLines(to: $0) }) }

    func show(_ event: Compilation.Event) {
        switch event {
        case .began(let phase, let total):
            bar.withLock { $0 = ProgressBar(phase, of: total, in: Figures.bytes) }
            lines.withLock { $0?.begin(phase, of: total) }
        case .advanced(let bytes):
            bar.withLock { $0?.advance(by: bytes) }
            lines.withLock { $0?.advance(by: bytes) }
        case .waiting:
            clear()
            StandardError.say("another vlmc compiles the same artifact; waiting for it")
        case .rebuilding(let differences):
            clear()
            guard !differences.isEmpty else { return }
            StandardError.say("compiling, since " + differences.map(\.description).joined(separator: "; "))
        case .replacing(let error):
            clear()
            Terminal.warn("compiling again what the store has: \(error.fact)")
        case .beginning(let model):
            clear()
            StandardError.say("compiling \(model) for the first time, as far as the store knows")
        case .keptName(let error):
            clear()
            Terminal.warn("the artifact keeps the model's earlier name: \(error)")
        }
    }

    func finish(_ report: CompileReport) {
        clear()
        let seconds = String(format: "%.2f s", report.phases.reduce(0) { $0 + $1.seconds })
        switch report.outcome {
        case .hit: StandardError.say("cache hit: nothing changed since this artifact was compiled (\(seconds))")
        case .stopped: StandardError.say("stopped after the passes, as asked; nothing was stored (\(seconds))")
        case .compiled:
            let rewrites = report.passes.reduce(0) { $0 + $1.rewrites.count }
            let program =
                report.reusedProgram
                ? "program of an earlier artifact, from which only weights differ"
                : "\(report.passes.count) passes, \(rewrites) rewrites"
            let arena = report.memory.map(\.arenaBytes).max() ?? 0
            let unshared = report.memory.max { $0.arenaBytes < $1.arenaBytes }?.unsharedBytes ?? 0
            StandardError.say(
                "compiled in \(seconds): \(program); largest arena "
                    + "\(Figures.bytes(arena)) (unshared \(Figures.bytes(unshared)))")
            let weights =
                report.reusedWeights
                ? "shared with an earlier artifact"
                : "\(report.weightsPacked) packed, \(report.weightsCopied) taken over"
            if let calibration = report.calibration { StandardError.say(calibration.summary) }
            StandardError.say("weights: \(Figures.bytes(report.weightBytes)), \(weights)")
        }
    }

    private func clear() { bar.withLock { $0?.clear() } }
}
