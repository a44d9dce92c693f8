import MediaFetching
import Testing

/// Addresses, URLs and allow lists, without a socket.
@Suite struct AddressTests {
    @Test(arguments: [
        "8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "192.169.0.0",
        "198.17.255.255", "198.20.0.0", "223.255.255.255", "2606:4700:4700::1111", "2001:4860:4860::8888", "2001:200::1", "2a00:1450::1",
    ])
    func isPublic(_ text: String) throws {
        #expect(try #require(NetworkAddress(text)).isPublic)
    }

    @Test(arguments: [
        // This host, private, shared, loopback, link-local with the clouds' metadata.
        "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.255", "169.254.169.254",
        "172.16.0.1", "172.31.255.255", "192.168.0.1",
        // Protocols, documentation, relays, measurements, multicast, reserved, broadcast.
        "192.0.0.1", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255",
        "240.0.0.1", "255.255.255.255",
        // Unspecified, loopback, link-local, site-local, unique local, multicast, discard, segment routing.
        "::", "::1", "fe80::1", "febf::1", "fec0::1", "fc00::1", "fd12:3456::1", "ff02::1", "100::1", "5f00::1",
        // IPv4 inside: mapped, compatible, translated, NAT64, 6to4, Teredo; public ones as well.
        "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1",
        "2002:7f00:1::", "2002:808:808::", "2001:0:7f00:1::",
        // ORCHID and documentation.
        "2001:10::1", "2001:20::1", "2001:db8::1", "3fff::1",
    ])
    func isNotPublic(_ text: String) throws {
        #expect(try !#require(NetworkAddress(text)).isPublic)
    }

    @Test(arguments: ["", "localhost", "127.1", "0x7f.0.0.1", "2130706433", "1.2.3.4.5", "[::1]", "fe80::1%eth0", "1.2.3.4\0", "256.1.1.1"])
    func isNoAddress(_ text: String) { #expect(NetworkAddress(text) == nil) }

    @Test func addressesReadBack() {
        for text in ["1.2.3.4", "::1", "2001:db8::1:0:0:1"] { #expect(NetworkAddress(text)?.description == text) }
    }

    @Test(arguments: [
        ("http://example.com", "http://example.com:80/"), ("HTTPS://Example.COM/a.png", "https://example.com:443/a.png"),
        ("http://example.com:8080/a?b=c#d", "http://example.com:8080/a?b=c"), ("http://example.com.:/x", "http://example.com:80/x"),
        ("http://example.com?a", "http://example.com:80/?a"), ("http://[::1]:81/", "http://[::1]:81/"), ("http://[2001:DB8:0::1]/", "http://[2001:db8::1]:80/"),
        ("http://127.0.0.1/ä b\"%zz%41", "http://127.0.0.1:80/%C3%A4%20b%22%25zz%41"), ("http://a_b.c-d/[x]", "http://a_b.c-d:80/%5Bx%5D"),
    ])
    func reads(_ text: String, _ whole: String) throws {
        #expect(try MediaURL(text).text == whole)
    }

    @Test(arguments: [
        ("ftp://x/y", "must begin with"), ("http:/x/y", "must begin with"), ("//x/y", "must begin with"), ("x", "must begin with"),
        ("http://", "host cannot be read"), ("http:///x", "host cannot be read"), ("http://a@b/", "user's name"), ("http://a:p@b/", "user's name"),
        ("http://good.example\\@evil.example/", "user's name"), ("http://good.example\\.evil.example/", "host cannot be read"),
        ("http://a b/", "host cannot be read"), ("http://ex%61mple.com/", "host cannot be read"), ("http://bücher.example/", "xn--"),
        ("http://a..b/", "host cannot be read"), ("http://.a/", "host cannot be read"), ("http://a:0/", "port"), ("http://a:65536/", "port"),
        ("http://a:99999999999999999999/", "port"), ("http://a:+80/", "host cannot be read"), ("http://[::1/", "IPv6"), ("http://[1.2.3.4]/", "IPv6"),
        ("http://[fe80::1%25lo]/", "IPv6"), ("http://[::1]x/", "host cannot be read"), ("http://a/\n", "control character"), ("http://a\t/", "host cannot be read"),
        ("http://a/\u{7F}", "control character"), ("http://a/" + String(repeating: "x", count: 9000), "bytes"),
    ])
    func refuses(_ text: String, _ words: String) {
        let error = #expect(throws: MediaError.self) { try MediaURL(text) }
        #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
    }

    @Test(arguments: [
        ("/c", "http://a.example:80/c"), ("c?q", "http://a.example:80/x/c?q"), ("../c", "http://a.example:80/c"), ("//b.example/c", "http://b.example:80/c"),
        ("https://b.example", "https://b.example:443/"), ("http://a.example:81/", "http://a.example:81/"), ("?q", "http://a.example:80/x/y?q"),
    ])
    func followsRedirects(_ location: String, _ whole: String) throws {
        #expect(try MediaURL("http://a.example/x/y?z").redirected(to: location).text == whole)
    }

    @Test func refusesRedirectsElsewhere() throws {
        let url = try MediaURL("http://a.example/")
        for location in ["file:///etc/passwd", "gopher://x/", "http://u:p@b/", "http://"] {
            #expect(throws: MediaError.self, "\(location)") { try url.redirected(to: location) }
        }
    }

    @Test(arguments: [
        ("example.com", "http://example.com/", true), ("example.com", "https://EXAMPLE.com.:8443/", true), ("Example.com.", "http://example.com/", true),
        ("example.com", "http://www.example.com/", false), ("example.com", "http://badexample.com/", false), ("example.com:80", "http://example.com/", true),
        ("example.com:80", "https://example.com/", false), ("*.example.com", "http://www.example.com/", true), ("*.example.com", "http://a.b.example.com/", true),
        ("*.example.com", "http://example.com/", false), ("*.example.com", "http://badexample.com/", false), ("*", "http://anything.example/", true),
        ("[::1]", "http://[::1]:9/", true), ("[::1]:9", "http://[::1]:9/", true), ("[::1]:9", "http://[::1]:8/", false), ("127.0.0.1", "http://127.0.0.1:5/", true),
    ])
    func domainsContain(_ domain: String, _ url: String, _ isContained: Bool) throws {
        #expect(try #require(MediaDomain(domain)).contains(MediaURL(url)) == isContained)
    }

    @Test(arguments: ["", "*.", "http://example.com", "example.com/", "example.com/x", "a@b", "a*.example.com", "*.*", "a:b", "a:0", "a b", "::1", "?"])
    func isNoDomain(_ text: String) { #expect(MediaDomain(text) == nil, "\(text)") }

    @Test func rulesRefuseByDefault() throws {
        let url = try MediaURL("http://example.com/")
        #expect(throws: MediaError.self) { try MediaRules().check(url) }
        var rules = MediaRules()
        rules.domains = [try #require(MediaDomain("example.com"))]
        try rules.check(url)
        #expect(throws: MediaError.self) { try rules.check(MediaURL("http://example.org/")) }
        let addresses = try ["127.0.0.1", "8.8.8.8", "::1"].map { try #require(NetworkAddress($0)) }
        #expect(rules.permitted(addresses) == [addresses[1]])
        rules.allowsPrivateAddresses = true
        #expect(rules.permitted(addresses) == addresses)
    }
}
