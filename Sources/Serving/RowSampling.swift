internal import CKernels
internal import Execution

/// The rows of a batch from which tokens are chosen, several at once; a row's choice depends on no other and on no thread.
final class RowSampling: RowWork {
    private struct Row {
        var logits: UnsafeMutableBufferPointer<Float>
        var parameters: SamplingParameters
        var seen: SeenTokens?
        var position: Int
        /// The logits as they were, for a request that shows them.
        var shown: [Float]?
    }
    private var rows: [Row] = []
    /// By thread.
    private let samplers: [Sampler]
    /// By row; −1 where no logit is a number.
    private let choices: UnsafeMutableBufferPointer<Int32>

    /// - Parameters:
    ///   - threads: most rows that are computed at once.
    ///   - capacity: most rows of a batch.
    init(threads: Int, capacity: Int) {
        samplers = (0..<threads).map { _ in Sampler() }
        choices = .allocate(capacity: capacity)
        rows.reserveCapacity(capacity)
    }

    deinit { choices.deallocate() }

    func removeAll() { rows.removeAll(keepingCapacity: true) }

    /// Adds a request's next row; the logits are changed when its token is chosen.
    func add(_ logits: UnsafeMutableBufferPointer<Float>, of request: ActiveRequest) {
        precondition(rows.count < choices.count, "more rows than sequences")
        let shown = request.request.probe.map { _ in Array(logits) }
        rows.append(
            Row(
                logits: logits, parameters: request.request.sampling, seen: request.seen, position: request.generatedCount, shown: shown))
    }

    /// Chooses a token for each row.
    func run(on model: any LoadedModel) {
        model.run(rows: rows.count, self)
        // A row must not share the tokens that its request goes on with.
        for row in rows.indices { rows[row].seen = nil }
    }

    func run(row: Int, thread: Int) {
        let (sampler, row, index) = (samplers[thread], rows[row], row)
        choices[index] = sampler.sample(row.logits, row.parameters, seen: row.seen, position: row.position) ?? -1
    }

    /// A row's token, nil where no logit is a number, and its logits, where they are shown.
    subscript(row: Int) -> (choice: Int32?, shown: [Float]?) { (choices[row] < 0 ? nil : choices[row], rows[row].shown) }
}
