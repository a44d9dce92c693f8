import ArgumentParser
import CommandLineSupport
import Foundation
import IR

/// What `VLM_DEBUG` asks for: each level shows more, and none changes an artifact.
enum DebugLevel: Int, Comparable {
    case off, verify, timing, counts, rewrites, dumps

    /// The level that the environment names; a number beyond the last one means that.
    static var current: DebugLevel {
        get throws(ValidationError) {
            guard let text = ProcessInfo.processInfo.environment["VLM_DEBUG"], !text.isEmpty else { return .off }
            guard let number = Int(text), number >= 0 else { throw ValidationError("VLM_DEBUG=\(text) is no level; 0 to \(DebugLevel.dumps.rawValue) are") }
            return DebugLevel(rawValue: number) ?? .dumps
        }
    }

    static func < (left: DebugLevel, right: DebugLevel) -> Bool { left.rawValue < right.rawValue }

    /// Where level 5 writes the IR after each pass that changed it, in the working directory.
    static let dumpDirectory = "vlm-debug"
}

/// Tells on stderr what each pass did, as far as the level asks.
final class PassPrinter: PassObserver {
    private let level: DebugLevel
    private let clock = ContinuousClock()
    private var start: ContinuousClock.Instant?

    init(_ level: DebugLevel) { self.level = level }

    func willRun(_ pass: Pass, on module: Module) { start = clock.now }

    func didRun(_ pass: Pass, _ report: PassReport, before: Module, after: Module) {
        guard let start else { return }
        let parts = (clock.now - start).components
        let milliseconds = Double(parts.seconds) * 1e3 + Double(parts.attoseconds) * 1e-15
        var line = String(format: "%8.1f ms  ", milliseconds) + pass.name
        if level >= .counts {
            line += ": \(report.rewrites.count) rewrites, \(report.missCount) misses, \(report.nodesBefore) → \(report.nodesAfter) nodes"
        }
        StandardError.say(line)
        guard level >= .rewrites else { return }
        for rewrite in report.rewrites { StandardError.say("    \(rewrite.rule): \(rewrite.at)") }
        for miss in report.misses { StandardError.say("    not \(miss.rule): \(miss.reason), at \(miss.at)") }
    }
}
