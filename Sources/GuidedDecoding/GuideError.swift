/// Why a guide cannot be made of what a request says.
package struct GuideError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Where inside the guide, such as `/properties/a` of a schema; empty for the whole.
    package var place: String
    package var message: String

    package init(_ message: String, at place: String = "") {
        self.place = place
        self.message = message
    }

    package static let givenUp = GuideError("compiling it was given up")

    package var description: String { place.isEmpty ? message : "\(place): \(message)" }
}

/// What making a guide may still cost, so that no request keeps a worker busy or fills the memory.
final class Effort {
    private var left: Int
    private let isGivenUp: () -> Bool
    /// How much is left when `isGivenUp` is asked next.
    private var nextLook: Int
    private static let stepsPerLook = 1 << 13
    /// Most states of all rules together.
    static let maxStates = 1 << 17

    /// - Parameters:
    ///   - limit: states and edges that may be made or looked at, together.
    ///   - isGivenUp: asked now and then whether nobody waits for the guide any more.
    init(_ limit: Int = 1 << 22, isGivenUp: @escaping () -> Bool = { false }) {
        (left, self.isGivenUp) = (limit, isGivenUp)
        nextLook = limit - Self.stepsPerLook
    }

    func spend(_ count: Int) throws(GuideError) {
        left -= count
        guard left >= 0 else { throw GuideError("it is too large: it takes too many steps to compile") }
        guard left < nextLook else { return }
        nextLook = left - Self.stepsPerLook
        guard !isGivenUp() else { throw .givenUp }
    }

    func check(states count: Int) throws(GuideError) {
        guard count <= Self.maxStates else { throw GuideError("it is too large: it has more than \(Self.maxStates) states") }
    }
}
