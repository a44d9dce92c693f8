internal import Glibc

/// An IPv4 or IPv6 address, and whether it is one of the public internet.
package struct NetworkAddress: Sendable, Hashable, CustomStringConvertible {
    /// Four bytes, or sixteen.
    private let bytes: [UInt8]

    /// Reads the usual notation: four decimal numbers, or IPv6 without brackets and zone.
    package init?(_ text: String) {
        guard !text.utf8.contains(0) else { return nil }
        for (family, count) in [(AF_INET, 4), (AF_INET6, 16)] {
            var bytes = [UInt8](repeating: 0, count: count)
            guard inet_pton(family, text, &bytes) == 1 else { continue }
            self.bytes = bytes
            return
        }
        return nil
    }

    /// The address of a socket; nil for families other than IPv4 and IPv6.
    init?(_ address: UnsafePointer<sockaddr>) {
        let raw = UnsafeRawPointer(address)
        switch Int32(address.pointee.sa_family) {
        case AF_INET: bytes = withUnsafeBytes(of: raw.loadUnaligned(as: sockaddr_in.self).sin_addr) { Array($0) }
        case AF_INET6: bytes = withUnsafeBytes(of: raw.loadUnaligned(as: sockaddr_in6.self).sin6_addr) { Array($0) }
        default: return nil
        }
    }

    package var isIPv6: Bool { bytes.count == 16 }

    package var description: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        inet_ntop(isIPv6 ? AF_INET6 : AF_INET, bytes, &text, socklen_t(text.count))
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Whether the address is one that anybody on the internet may have; what carries an IPv4 address inside an IPv6 one never is,
    /// since it may lead anywhere.
    ///
    /// By IANA's registries of special-purpose addresses; of IPv6 only 2000::/3 is given to sites at all.
    package var isPublic: Bool {
        guard isIPv6 else { return !Self.special4.contains(where: lies) }
        return lies(in: Self.global6) && !Self.special6.contains(where: lies)
    }

    private struct Network: Sendable {
        var address: NetworkAddress
        var bits: Int

        /// - Parameter text: such as `10.0.0.0/8`.
        init(_ text: String) {
            let parts = text.split(separator: "/")
            guard parts.count == 2, let address = NetworkAddress(String(parts[0])), let bits = Int(parts[1]) else {
                preconditionFailure("\(text) is no network")
            }
            (self.address, self.bits) = (address, bits)
        }
    }

    private func lies(in network: Network) -> Bool {
        guard network.address.bytes.count == bytes.count else { return false }
        return bytes.indices.allSatisfy { index in
            let bits = min(max(network.bits - 8 * index, 0), 8)
            let mask = UInt8(truncatingIfNeeded: 0xFF00 >> bits)
            return bytes[index] & mask == network.address.bytes[index] & mask
        }
    }

    private static let special4 = [
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
        "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    ].map(Network.init)
    private static let global6 = Network("2000::/3")
    /// Protocols (Teredo among them), documentation, and 6to4.
    private static let special6 = ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"].map(Network.init)
}
