/// Where and why IR text is not a module.
package struct ParseError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Counted from 1.
    package var line: Int
    /// In bytes, counted from 1.
    package var column: Int
    package var reason: String

    package var description: String { "\(line):\(column): \(reason)" }
}
