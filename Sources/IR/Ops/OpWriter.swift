/// Something that ops can be written to: a graph under construction, a pattern, a graph under edit.
///
/// The family files extend it with one method per op, so that models, patterns and rewrites are spelled alike.
package protocol OpWriter {
    associatedtype Operand

    /// Writes one op; returns as many values as its schema has results.
    func write(_ op: any Op, _ operands: [Operand]) -> [Operand]
}

extension OpWriter {
    /// Writes one op and returns its first result.
    package func one(_ op: any Op, _ operands: Operand...) -> Operand { write(op, operands)[0] }
}
