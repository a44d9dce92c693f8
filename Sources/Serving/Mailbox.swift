internal import Foundation

/// Hands messages from any thread to the one that owns the mailbox.
final class Mailbox<Message: Sendable>: @unchecked Sendable {
    private let condition = NSCondition()
    private var messages: [Message] = []

    func post(_ message: Message) {
        condition.lock()
        messages.append(message)
        condition.signal()
        condition.unlock()
    }

    /// Appends all messages to `target`; when there are none and `waits`, sleeps until one arrives.
    ///
    /// - Parameter seconds: how long to sleep until then where it does not wait.
    func drain(into target: inout [Message], waits: Bool, seconds: Double = 0) {
        condition.lock()
        while waits, messages.isEmpty { condition.wait() }
        if seconds > 0, messages.isEmpty { _ = condition.wait(until: Date(timeIntervalSinceNow: seconds)) }
        target.append(contentsOf: messages)
        messages.removeAll(keepingCapacity: true)
        condition.unlock()
    }
}
