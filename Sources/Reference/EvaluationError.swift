/// Why a graph has no value for these inputs.
package struct EvaluationError: Error, Sendable, Hashable, CustomStringConvertible {
    package var reason: String
    /// The op in text and its origin; empty while unknown.
    package var place: String

    package init(_ reason: String, place: String = "") {
        self.reason = reason
        self.place = place
    }

    package var description: String { place.isEmpty ? reason : "\(place): \(reason)" }
}
