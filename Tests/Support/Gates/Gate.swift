import Foundation

/// Holds back whoever passes while it is closed, so that a test can look at a state that would otherwise pass by itself.
package final class Gate: @unchecked Sendable {
    private let condition = NSCondition()
    private var free = Int.max

    /// An open gate.
    package init() {}

    /// Lets `count` more pass.
    package func close(after count: Int = 0) {
        condition.withLock { free = count }
    }

    package func open() {
        condition.withLock {
            free = .max
            condition.broadcast()
        }
    }

    package func pass() {
        condition.withLock {
            while free == 0 { condition.wait() }
            if free < .max { free -= 1 }
        }
    }
}
