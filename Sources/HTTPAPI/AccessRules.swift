internal import HTTPTypes
internal import Inputs
internal import NIOHTTP1

/// Who may ask this server: by key, by the host that a request names, and by the page that a browser sends it from.
///
/// Decided from a request's head alone.
package struct AccessRules: Sendable {
    /// One of them must stand in `Authorization: Bearer …` or `x-api-key` for every path but those of probes and pages; none lets everybody in.
    package var apiKeys: [String] = []
    /// Origins of browser pages that may use the answers, such as `https://chat.example`; `*` for every page.
    package var allowedOrigins: [String] = []
    /// Names that `Host` may hold beside `localhost` and literal addresses, which no foreign name server can point at this
    /// machine; `*` for every name.
    package var allowedHosts: [String] = ["*"]
    /// Told of what is answered before it becomes a request.
    private(set) var refusals: RefusalLog?

    package init() {}

    /// Whether `allowedOrigins` may hold it: an origin, `null` for pages that have none, or `*`.
    package static func isOrigin(_ text: String) -> Bool { text == "*" || text == "null" || Origin(text) != nil }

    /// The same rules, whose refusals `log` is told of.
    func telling(_ log: RefusalLog) -> AccessRules {
        var rules = self
        rules.refusals = log
        return rules
    }

    /// Why a head is refused before anything is read behind it, nil when it may pass.
    func refusal(_ head: HTTPRequestHead) -> APIError? {
        let hosts = head.headers[canonicalForm: "host"]
        if hosts.count > 1 { return .invalid("the request names \(hosts.count) hosts", code: "invalid_host") }
        if hosts.isEmpty, head.version == .http1_1 {
            return .invalid("a Host header is required", code: "invalid_host")
        }
        if let host = hosts.first, !isAllowed(host: String(host)) {
            return .invalid(
                "this server does not answer to the host \(host.prefix(100)); --allowed-hosts allows names", code: "invalid_host",
                status: 403)
        }
        let codings = head.headers[canonicalForm: "transfer-encoding"]
        guard codings.isEmpty || codings.count == 1 && codings[0].lowercased() == "chunked" else {
            return .invalid(
                "bodies in Transfer-Encoding \(quoted: codings.joined(separator: ", ")) are not read; chunked alone is",
                code: "unsupported_encoding", status: 501)
        }
        return nil
    }

    func isAllowed(host: String) -> Bool {
        if allowedHosts.contains("*") { return true }
        // An IPv6 address stands in brackets; what follows the last colon of anything else is a port.
        let name = Origin.canonical(host.hasPrefix("[") ? String(host.prefix { $0 != "]" }) + "]" : String(host.prefix { $0 != ":" }))
        return Self.isAddress(name) || name == "localhost" || allowedHosts.contains { Origin.canonical($0) == name }
    }

    /// Whether a name, without its port, is a literal address: digits and dots, or hexadecimal digits, colons and dots in brackets.
    private static func isAddress(_ name: String) -> Bool {
        let isInBrackets = name.hasPrefix("[")
        let digits = isInBrackets ? name.dropFirst().dropLast() : name[...]
        return digits.contains(where: \.isHexDigit)
            && digits.allSatisfy { $0.isASCII && (isInBrackets ? $0.isHexDigit || $0 == ":" : $0.isNumber) || $0 == "." }
    }

    /// Where Anthropic's clients send a key.
    private static let keyHeader = HTTPField.Name("x-api-key") ?? .authorization

    /// What needs no key: probes, which tell no more than whether the server is there, and pages that are the same for everybody.
    private static let open: Set<[Substring]> = [["health"], ["ready"], ["live"], ["ping"], [], ["docs"], ["openapi.json"]]

    /// Whether a request for this path must hold a key.
    func needsKey(path: String) -> Bool {
        !apiKeys.isEmpty && !Self.open.contains(path.split(separator: "/"))
    }

    /// Throws when a request may not run: without a key where one is needed, or from a page that is not allowed.
    ///
    /// - Parameter path: the one that the router sees; as there, slashes may be doubled.
    func check(_ request: HTTPRequest, path: String) throws(APIError) {
        if let origin = request.headerFields[.origin], request.method != .get, request.method != .head {
            guard isAllowed(origin: origin, authority: request.authority) else {
                throw .invalid(
                    "pages of \(origin.prefix(100)) may not use this server; --allowed-origins allows them",
                    code: "origin_not_allowed", status: 403)
            }
            let type = (request.headerFields[.contentType] ?? "").prefix { $0 != ";" }.filter { $0 != " " }.lowercased()
            // Pages may send other types without asking first.
            guard type == "application/json" else {
                throw .invalid("requests of pages must be application/json", code: "unsupported_media_type", status: 415)
            }
        }
        guard needsKey(path: path) else { return }
        let given = [Self.bearer(request.headerFields[.authorization] ?? ""), request.headerFields[Self.keyHeader] ?? ""]
        // Every key is compared, so that the time tells nothing.
        let matches = apiKeys.flatMap { key in given.map { !$0.isEmpty && Self.isSame(key, $0) } }
        guard matches.contains(true) else {
            let isMissing = given.allSatisfy(\.isEmpty)
            throw APIError(
                status: 401,
                message: isMissing ? "an API key is required: Authorization: Bearer KEY, or x-api-key: KEY" : "the API key is wrong",
                type: "invalid_request_error", code: "invalid_api_key")
        }
    }

    /// The headers that let a page read an answer, and tell caches that it depends on the page; none where no page is allowed.
    func headers(for request: HTTPRequest) -> HTTPFields {
        guard !allowedOrigins.isEmpty else { return [:] }
        guard let origin = request.headerFields[.origin] else { return [.vary: "Origin"] }
        guard isListed(origin: origin) else { return [.vary: "Origin"] }
        return [.accessControlAllowOrigin: origin, .accessControlExposeHeaders: "x-request-id, retry-after", .vary: "Origin"]
    }

    /// Whether a browser asks what a page may send, which is answered without running anything.
    func isPreflight(_ request: HTTPRequest) -> Bool {
        request.method == .options && request.headerFields[.origin] != nil
            && request.headerFields[.accessControlRequestMethod] != nil
    }

    /// The answer's headers to a preflight; throws when the page is not allowed.
    func preflight(_ request: HTTPRequest) throws(APIError) -> HTTPFields {
        var fields = headers(for: request)
        guard fields[.accessControlAllowOrigin] != nil else {
            throw .invalid("pages of this origin may not use this server; --allowed-origins allows them", code: "origin_not_allowed", status: 403)
        }
        fields[.accessControlAllowMethods] = "GET, POST, OPTIONS"
        fields[.accessControlAllowHeaders] = request.headerFields[.accessControlRequestHeaders] ?? "authorization, content-type"
        fields[.accessControlMaxAge] = "86400"
        return fields
    }

    private func isAllowed(origin: String, authority: String?) -> Bool {
        if isListed(origin: origin) { return true }
        // A page of this very server, whatever terminates TLS before it.
        guard let authority, let page = Origin(origin), page.isOfWeb else { return false }
        return page.loaded(from: authority) == page
    }

    private func isListed(origin: String) -> Bool {
        if allowedOrigins.contains("*") || allowedOrigins.contains(origin) { return true }
        guard let page = Origin(origin) else { return false }
        return allowedOrigins.contains { Origin($0) == page }
    }

    /// The token of `Bearer TOKEN`, the scheme in any case and the space of any width; empty for other schemes.
    private static func bearer(_ authorization: String) -> String {
        func isSpace(_ character: Character) -> Bool { character == " " || character == "\t" }
        let scheme = authorization.prefix { !isSpace($0) }
        guard scheme.lowercased() == "bearer" else { return "" }
        let token = authorization.dropFirst(scheme.count).drop(while: isSpace)
        return String(token.reversed().drop(while: isSpace).reversed())
    }

    /// Takes as long for keys that differ early as for keys that differ late.
    private static func isSame(_ key: String, _ given: String) -> Bool {
        let (left, right) = (Array(key.utf8), Array(given.utf8))
        var difference = left.count ^ right.count
        for index in left.indices { difference |= Int(left[index] ^ (index < right.count ? right[index] : 0)) }
        return difference == 0
    }
}
