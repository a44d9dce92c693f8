internal import HTTPTypes

/// What a request is called: in `X-Request-Id` of its answer, in the log, and behind the kind in its answer's id.
struct RequestID: Sendable {
    static let header = HTTPField.Name("x-request-id") ?? .authorization
    /// The header, as NIO looks for it.
    static let headerName = header.canonicalName
    static let bytesMax = 256

    let text: String
    /// Whether the client said it.
    let isGiven: Bool

    /// That of the header `X-Request-Id`, where it may be one; else one that no other request has.
    init(_ head: HTTPRequest) { self.init(given: head.headerFields[values: Self.header]) }

    /// - Parameter lines: what headers `X-Request-Id` say.
    init(given lines: [String]) {
        let given = lines.count == 1 && Self.isAllowed(lines[0]) ? lines[0] : nil
        (text, isGiven) = (given ?? AnswerHead.newID(), given != nil)
    }

    /// Throws for a header that is none.
    static func check(_ head: HTTPRequest) throws(APIError) {
        let lines = head.headerFields[values: header]
        guard lines.count < 2 else { throw .invalid("X-Request-Id is there \(lines.count) times, and may be there once", param: "X-Request-Id") }
        guard let text = lines.first, !isAllowed(text) else { return }
        throw .invalid("X-Request-Id \(rule)", param: "X-Request-Id")
    }

    static let rule = "must be 1 to \(bytesMax) characters of ASCII without spaces"

    /// It stands in headers and lines of the log.
    static func isAllowed(_ text: String) -> Bool {
        (1...bytesMax).contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }
}
