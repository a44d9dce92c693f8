/// Hosts that images may be fetched from: `HOST`, `HOST:PORT`, `*.DOMAIN` for the hosts below a domain, or `*` for all.
package struct MediaDomain: Sendable, Hashable {
    private enum Hosts: Hashable {
        case all
        case below(String)
        case one(String)
    }
    private let hosts: Hosts
    /// Nil for all.
    private let port: Int?

    /// Nil where the text is none of these.
    package init?(_ text: String) {
        if text == "*" {
            (hosts, port) = (.all, nil)
            return
        }
        let isBelow = text.hasPrefix("*.")
        let place = isBelow ? String(text.dropFirst(2)) : text
        guard !place.contains(where: { "/?#@".contains($0) }), let url = try? MediaURL("http://\(place)/") else { return nil }
        hosts = isBelow ? .below(url.host) : .one(url.host)
        let hasPort = place.hasPrefix("[") ? place.contains("]:") : place.contains(":")
        port = hasPort ? url.port : nil
    }

    package func contains(_ url: MediaURL) -> Bool {
        guard port == nil || port == url.port else { return false }
        return switch hosts {
        case .all: true
        case .below(let domain): url.host.hasSuffix("." + domain)
        case .one(let host): url.host == host
        }
    }
}
