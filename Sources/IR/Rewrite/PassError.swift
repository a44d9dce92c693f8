/// A pass that cannot do its work: a bug of the pass, or a module that it cannot take.
package struct PassError: Error, Sendable, Hashable, CustomStringConvertible {
    package var pass: String
    package var reason: String

    package init(_ reason: String, pass: String = "") {
        self.reason = reason
        self.pass = pass
    }

    package var description: String { pass.isEmpty ? reason : "pass \(pass): \(reason)" }
}
