/// What images are fetched, as whoever starts the server says.
package struct MediaRules: Sendable {
    /// Hosts of `http:` and `https:` URLs; empty for none.
    package var domains: [MediaDomain] = []
    /// Whether a host may have an address that is not of the public internet, such as one of this machine.
    package var allowsPrivateAddresses = false
    package var followsRedirects = false
    /// Seconds that fetching one image may take, from the look-up of its host to its last byte.
    package var timeoutSeconds = 5.0
    /// The directory in which `file:` URLs may lie; nil for none.
    package var localDirectory: LocalMedia?

    package init() {}

    /// Throws for a URL whose host is not on the list.
    package func check(_ url: MediaURL) throws(MediaError) {
        guard !domains.isEmpty else {
            throw MediaError("images and videos are not fetched from addresses (--allowed-media-domains); send a data: URL, such as data:image/png;base64,…")
        }
        guard domains.contains(where: { $0.contains(url) }) else {
            throw MediaError("the URL's host is not one that images and videos are fetched from (--allowed-media-domains)")
        }
    }

    /// Those of a host's addresses that may be connected to.
    package func permitted(_ addresses: [NetworkAddress]) -> [NetworkAddress] {
        allowsPrivateAddresses ? addresses : addresses.filter(\.isPublic)
    }
}
