/// Why a guide cannot be made of what a request says.
package struct GuideError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Where inside the guide, such as `/properties/a` of a schema; empty for the whole.
    package var place: String
    package var message: String

    package init(_ message: String, at place: String = "") {
        self.place = place
        self.message = message
    }

    package var description: String { place.isEmpty ? message : "\(place): \(message)" }
}

/// What making a guide may still cost, so that no request keeps a worker busy or fills the memory.
final class Effort {
    private var left: Int
    /// Most states of all rules together.
    static let maxStates = 1 << 17

    /// - Parameter limit: states and edges that may be made or looked at, together.
    init(_ limit: Int = 1 << 22) { left = limit }

    func spend(_ count: Int) throws(GuideError) {
        left -= count
        guard left >= 0 else { throw GuideError("it is too large: it takes too many steps to compile") }
    }

    func check(states count: Int) throws(GuideError) {
        guard count <= Self.maxStates else { throw GuideError("it is too large: it has more than \(Self.maxStates) states") }
    }
}
