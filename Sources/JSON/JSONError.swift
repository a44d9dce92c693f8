/// Why a text is not JSON, and where.
package struct JSONError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Lines and columns count from one; a column is one Unicode scalar.
    package var line: Int
    package var column: Int
    package var message: String

    package init(line: Int, column: Int, message: String) {
        self.line = line
        self.column = column
        self.message = message
    }

    package var description: String {
        "invalid JSON at line \(line), column \(column): \(message)"
    }
}
