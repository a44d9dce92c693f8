package import JSON
internal import Serving
internal import Synchronization

/// A line for the log: what happened, in words for people and in fields for programs; never a payload.
package struct LogLine: Sendable {
    package enum Level: Sendable {
        case info, error
    }

    package var level = Level.info
    package var message: String
    package var fields: [(name: String, value: JSONValue)] = []
}

/// What the line of a request tells of its tokens, once they are known.
final class TokenTally: Sendable {
    private let counts = Mutex<(prompt: Int, completion: Int)?>(nil)

    /// Nil where no token was read or written.
    var known: (prompt: Int, completion: Int)? { counts.withLock { $0 } }

    func note(prompt: Int, completion: Int) { counts.withLock { $0 = (prompt, completion) } }

    func note(_ usage: Usage) { note(prompt: usage.promptTokens, completion: usage.completionTokens) }
}

/// What the log says of one request, without its content.
struct RequestLine: Sendable {
    let id: String
    let method: String
    /// The first bytes of it where it is long.
    let path: String
    let status: Int
    /// Why it was not answered; nil where it was.
    let fault: String?

    private static let pathBytesMax = 500

    init(id: String, method: String, path: String, status: Int, fault: String?) {
        let isLong = path.utf8.count > Self.pathBytesMax
        (self.id, self.method, self.path) = (id, method, isLong ? String(decoding: path.utf8.prefix(Self.pathBytesMax), as: UTF8.self) + "…" : path)
        (self.status, self.fault) = (status, fault)
    }

    /// - Parameter tokens: nil where none were read or written.
    func whole(seconds: Double, _ tokens: (prompt: Int, completion: Int)?) -> LogLine {
        let milliseconds = (seconds * 1e4).rounded() / 10
        var line = LogLine(
            level: status == 500 ? .error : .info, message: "\(method) \(path) \(status) \(milliseconds) ms, request \(id)",
            fields: [
                ("request_id", .string(id)), ("method", .string(method)), ("path", .string(path)), ("status", .int(status)), ("ms", .double(milliseconds)),
            ])
        if let tokens {
            line.message += ", \(tokens.prompt) prompt tokens, \(tokens.completion) completion tokens"
            line.fields += [("prompt_tokens", .int(tokens.prompt)), ("completion_tokens", .int(tokens.completion))]
        }
        if let fault {
            line.message += ": \(fault)"
            line.fields.append(("error", .string(fault)))
        }
        return line
    }
}
