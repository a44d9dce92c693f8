import CommandLineSupport
import HTTPAPI

/// Keeps a batch's requests at work, several at once, and writes their results as they come.
struct BatchRun: Sendable {
    let files: BatchFiles
    let batch: BatchAnswers
    /// Requests at once.
    let width: Int

    /// What came of a batch.
    struct Figures: Sendable, CustomStringConvertible {
        var answered = 0
        var errors = 0
        var before = 0

        var description: String {
            let total = answered + errors + before
            guard total > 0 else { return "no requests: the input holds none" }
            var parts = ["\(answered) answered"]
            if errors > 0 { parts.append("\(errors) with errors") }
            if before > 0 { parts.append("\(before) had results before") }
            return "\(total) \(total == 1 ? "request" : "requests"): \(parts.joined(separator: ", "))"
        }
    }

    /// - Throws: what keeps results from being written, and `CancellationError`; results that were written stay.
    func run() async throws -> Figures {
        let bar = ProgressBar("requests", of: try files.countLines(), in: { "\($0)" })
        defer { bar.clear() }
        return try await withThrowingTaskGroup(of: BatchResult?.self) { group in
            var figures = Figures()
            func take(_ result: BatchResult?) throws {
                bar.advance()
                guard let result else { return figures.before += 1 }
                try files.write(result.bytes)
                if result.isAnswered { figures.answered += 1 } else { figures.errors += 1 }
            }
            var (record, atWork) = (files.record, 0)
            while let (number, bytes) = try files.nextLine() {
                switch record.work(line: number, bytes, bytesMax: files.lineBytesMax) {
                case .nothing: try take(nil)
                case .tell(let result): try take(result)
                case .ask(let line):
                    if atWork == width, let done = try await group.next() {
                        try take(done)
                        atWork -= 1
                    }
                    group.addTask { [batch] in try await batch.result(line) }
                    atWork += 1
                }
                try Task.checkCancellation()
            }
            while let done = try await group.next() { try take(done) }
            try Task.checkCancellation()
            try files.finish()
            return figures
        }
    }
}
