/// Why a text is not JSON, and where.
package struct JSONError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Lines and columns count from one; a column is one Unicode scalar.
    package var line: Int
    package var column: Int
    package var message: String

    package var description: String {
        "invalid JSON at line \(line), column \(column): \(message)"
    }
}
