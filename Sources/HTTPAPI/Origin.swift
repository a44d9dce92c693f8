/// Where a page comes from, as browsers compare it: scheme, host and port (RFC 6454).
struct Origin: Equatable {
    private let scheme: String
    private let host: String
    /// Nil for schemes without a default one, where none is given.
    private let port: Int?

    /// An `Origin` header's value, such as `https://chat.example`; nil for `null` and whatever else names no host.
    init?(_ text: String) {
        guard let colon = text.firstRange(of: "://") else { return nil }
        var authority = text[colon.upperBound...]
        if authority.hasSuffix("/") { authority.removeLast() }
        self.init(scheme: String(text[..<colon.lowerBound]), authority: String(authority))
    }

    /// What a page of this scheme that was loaded from `authority`, a `Host` header's value, has as its origin.
    init?(scheme: String, authority: String) {
        guard !scheme.isEmpty, !authority.contains(where: { "/@?#, ".contains($0) }) else { return nil }
        self.scheme = scheme.lowercased()
        let end = authority.hasPrefix("[") ? authority.firstIndex(of: "]").map(authority.index(after:)) : authority.firstIndex(of: ":")
        let name = authority[..<(end ?? authority.endIndex)]
        let rest = authority[name.endIndex...]
        guard !name.isEmpty, rest.isEmpty || rest.hasPrefix(":") else { return nil }
        host = Self.canonical(String(name))
        guard rest.count > 1 else {
            port = ["http": 80, "https": 443][self.scheme]
            return
        }
        guard let number = UInt16(rest.dropFirst()) else { return nil }
        port = Int(number)
    }

    /// A host's name in the form in which equal names are equal: in lower case, without the dot that names the root.
    static func canonical(_ host: String) -> String {
        let name = host.lowercased()
        return name.count > 1 && name.hasSuffix(".") ? String(name.dropLast()) : name
    }

    var isOfWeb: Bool { scheme == "http" || scheme == "https" }

    /// The same page's origin if it was loaded from `authority`.
    func loaded(from authority: String) -> Origin? { Origin(scheme: scheme, authority: authority) }
}
