/// Why an op does not accept its operands.
package struct TypeError: Error, Sendable, Hashable, CustomStringConvertible {
    package var reason: String
    /// The op's name in text; empty while unknown.
    package var op: String
    /// Where in the model; empty while unknown.
    package var origin: String

    package init(_ reason: String, op: String = "", origin: String = "") {
        self.reason = reason
        self.op = op
        self.origin = origin
    }

    package var description: String {
        var text = op.isEmpty ? reason : "\(op): \(reason)"
        if !origin.isEmpty { text += " (in \(origin))" }
        return text
    }
}
