import Glibc
import Synchronization

/// A bar on stderr for work that takes a while; on what is no terminal nothing is drawn.
package final class ProgressBar: Sendable {
    private struct State {
        var done = 0
        var drawn = ""
    }
    private let label: String
    private let total: Int
    private let figure: @Sendable (Int) -> String
    private let state = Mutex(State())

    /// Whether somebody watches.
    package static let isShown = isatty(STDERR_FILENO) == 1
    private static let cells = 30

    /// - Parameters:
    ///   - label: what is done, in a word.
    ///   - total: how much of it there is; nothing is drawn for 0.
    ///   - figure: says a part or all of it in words.
    package init(_ label: String, of total: Int, in figure: @escaping @Sendable (Int) -> String) {
        (self.label, self.total, self.figure) = (label, total, figure)
        advance(by: 0)
    }

    package func advance(by count: Int = 1) {
        guard Self.isShown, total > 0 else { return }
        let line: String? = state.withLock { state in
            state.done += count
            let line = Self.line(label, done: state.done, of: total, figure)
            guard line != state.drawn else { return nil }
            state.drawn = line
            return line
        }
        if let line { StandardError.write("\r\(line)") }
    }

    /// The bar's words, such as `packing   ███░░ 60 % of 1.2 GB`.
    static func line(_ label: String, done: Int, of total: Int, _ figure: (Int) -> String) -> String {
        let share = min(1, Double(done) / Double(total))
        let full = Int(share * Double(cells))
        let bar = String(repeating: "█", count: full) + String(repeating: "░", count: cells - full)
        let name = label + String(repeating: " ", count: max(9 - label.count, 0))
        return "\(name) \(bar) \(Int(share * 100)) % of \(figure(total))"
    }

    /// Takes the bar away.
    package func clear() {
        guard Self.isShown, total > 0 else { return }
        StandardError.write("\r\u{1b}[K")
    }
}
