internal import Foundation

/// An `http:` or `https:` URL, read strictly: what another reader could take for another host is refused.
package struct MediaURL: Sendable, Hashable {
    package let isSecure: Bool
    /// In lower case, without brackets and without a dot at the end.
    package let host: String
    package let port: Int
    /// Path and query, which may hold secrets; percent-encoded.
    package let target: String

    /// Longer ones are no addresses of files.
    private static let bytesMax = 8192

    package init(_ text: String) throws(MediaError) {
        guard text.utf8.count <= Self.bytesMax else { throw .malformed("the URL has more than \(Self.bytesMax) bytes") }
        guard let colon = text.firstIndex(of: ":"), case let scheme = text[..<colon].lowercased(), ["http", "https"].contains(scheme),
            case let rest = text[colon...].dropFirst(), rest.hasPrefix("//")
        else { throw .malformed("the URL must begin with http:// or https://") }
        isSecure = scheme == "https"
        let body = rest.dropFirst(2)
        let authority = body.prefix { !"/?#".contains($0) }
        (host, port) = try Self.place(authority, standard: isSecure ? 443 : 80)
        let target = try Self.encoded(body[authority.endIndex...].prefix { $0 != "#" })
        self.target = target.hasPrefix("/") ? target : "/" + target
    }

    /// Where a redirect from here leads.
    package func redirected(to location: String) throws(MediaError) -> MediaURL {
        guard location.utf8.count <= Self.bytesMax, let base = URL(string: text), let url = URL(string: location, relativeTo: base) else {
            throw .malformed("the redirect leads to no URL")
        }
        return try MediaURL(url.absoluteString)
    }

    /// The host as it stands in a URL.
    private var bracketed: String { host.contains(":") ? "[\(host)]" : host }

    /// The whole URL.
    package var text: String { "\(isSecure ? "https" : "http")://\(bracketed):\(port)\(target)" }

    /// What may be told to whoever runs the server.
    package var origin: String { "\(bracketed):\(port)" }

    private static func place(_ authority: Substring, standard: Int) throws(MediaError) -> (String, Int) {
        guard !authority.contains("@") else { throw .malformed("the URL must not hold a user's name or password") }
        let isBracketed = authority.hasPrefix("[")
        let end = isBracketed ? authority.firstIndex(of: "]").map { authority.index(after: $0) } : authority.firstIndex(of: ":")
        let name = authority[..<(end ?? authority.endIndex)]
        let digits = authority[name.endIndex...]
        var port = standard
        if !digits.isEmpty {
            guard digits.first == ":", digits.dropFirst().utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
                throw .malformed("the URL's host cannot be read")
            }
            if digits.count > 1 {
                guard let number = Int(digits.dropFirst()), (1...65535).contains(number) else {
                    throw .malformed("the URL's port is not in 1 … 65535")
                }
                port = number
            }
        }
        if isBracketed {
            guard name.hasSuffix("]"), let address = NetworkAddress(String(name.dropFirst().dropLast())), address.isIPv6 else {
                throw .malformed("the URL's IPv6 address cannot be read")
            }
            return (address.description, port)
        }
        guard let host = HostName.read(name) else { throw .malformed("the URL's host cannot be read; a name of other letters is written as xn--…") }
        return (host, port)
    }

    /// With what may not stand in a URL percent-encoded, as browsers do; throws for control characters.
    private static func encoded(_ text: Substring) throws(MediaError) -> String {
        var result = ""
        let bytes = Array(text.utf8)
        for (index, byte) in bytes.enumerated() {
            guard byte >= 0x20, byte != 0x7F else { throw .malformed("the URL holds a control character") }
            let isEscape = byte == UInt8(ascii: "%") && bytes.dropFirst(index + 1).prefix(2).count(where: isHexDigit) == 2
            if isEscape || plain.contains(byte) {
                result.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                result += byte < 16 ? "%0" : "%"
                result += String(byte, radix: 16, uppercase: true)
            }
        }
        return result
    }

    private static func isHexDigit(_ byte: UInt8) -> Bool { Character(Unicode.Scalar(byte)).isHexDigit }

    private static let plain = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=:@/?".utf8)
}

/// Names of hosts.
enum HostName {
    /// A name of letters, digits, hyphens, underscores and dots in lower case, without a dot at its end; nil for anything else.
    static func read(_ text: some StringProtocol) -> String? {
        var name = text.lowercased()
        if name.hasSuffix(".") { name.removeLast() }
        let isPlain = name.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || "-._".utf8.contains($0) }
        guard isPlain, (1...253).contains(name.utf8.count), !name.split(separator: ".", omittingEmptySubsequences: false).contains("") else {
            return nil
        }
        return name
    }
}
