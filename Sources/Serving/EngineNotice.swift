/// What the engine tells its operator.
package enum EngineNotice: Sendable, Equatable {
    case report(String)
    /// Something is lost or slower than it should be.
    case warning(String)

    package var text: String {
        switch self {
        case .report(let text), .warning(let text): text
        }
    }
}
