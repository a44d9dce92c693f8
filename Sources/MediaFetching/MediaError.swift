/// Why an image is not fetched.
package struct MediaError: Error, Sendable, Equatable, CustomStringConvertible {
    /// For the client: it names no address, and tells no more of a host that may not be reached than that it is not.
    package var description: String
    /// For whoever runs the server; nil where there is no more to say.
    package var detail: String?
    /// Whether it is the server that has no room.
    package var isOverload = false

    package init(_ description: String, detail: String? = nil) {
        self.description = description
        self.detail = detail
    }

    /// The URL itself is wrong.
    static func malformed(_ fault: String) -> MediaError { MediaError(fault) }

    /// The same words for names that do not exist, addresses that are not allowed and servers that do not answer.
    static func unreachable(_ detail: String) -> MediaError { MediaError("the URL's host cannot be reached", detail: detail) }

    static func tooLarge(limit: Int) -> MediaError { MediaError("the file has more than \(limit) bytes (--max-body-bytes)") }

    static func timedOut(seconds: Double) -> MediaError {
        let text = seconds == seconds.rounded() ? "\(Int(seconds))" : "\(seconds)"
        return MediaError("fetching the file takes more than \(text) s (--image-fetch-timeout)")
    }

    /// Requests hold all the memory for what arrives.
    package static var noRoom: MediaError {
        var error = MediaError("the server is busy: other requests fill the memory for files that are fetched")
        error.isOverload = true
        return error
    }
}
