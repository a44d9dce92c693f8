import LoopbackSite
import MediaFetching
import Synchronization
import Testing

/// Fetches from a site on this machine that behaves and misbehaves.
@Suite struct FetchTests {
    private final class Held: Sendable {}

    private static func rules(_ change: (inout MediaRules) -> Void = { _ in }) -> MediaRules {
        var rules = MediaRules()
        rules.domains = ["127.0.0.1", "localhost"].compactMap(MediaDomain.init)
        rules.allowsPrivateAddresses = true
        // Other tests may keep all threads for seconds.
        rules.timeoutSeconds = 300
        change(&rules)
        return rules
    }

    private static func fetch(
        _ site: LoopbackSite, _ path: String, _ rules: MediaRules = rules(), host: String = "127.0.0.1", bytesMax: Int = 1 << 20,
        take: @escaping @Sendable (Int) throws(MediaError) -> Void = { _ in }
    ) async throws -> [UInt8] {
        let url = try MediaURL("http://\(host):\(site.port)\(path)")
        return try await MediaFetcher(rules: rules).file(at: url, bytesMax: bytesMax, holding: Held(), take: take)
    }

    private static func fault(_ fetch: () async throws -> [UInt8]) async -> MediaError? {
        do {
            _ = try await fetch()
            return nil
        } catch {
            return error as? MediaError
        }
    }

    @Test func filesComeWhole() async throws {
        let file = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 * 7) }
        let site = try LoopbackSite([
            "/length?key=1": LoopbackSite.file(file),
            "/chunks": [.text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"), .wait(milliseconds: 20), .text("2\r\nde\r\n0\r\n\r\n")],
            "/end": [.text("HTTP/1.1 200 OK\r\n\r\nabc")],
        ])
        defer { site.close() }
        let taken = Mutex(0)
        #expect(try await Self.fetch(site, "/length?key=1") { count in taken.withLock { $0 += count } } == file)
        #expect(taken.withLock { $0 } == file.count)
        #expect(try await Self.fetch(site, "/chunks") == Array("abcde".utf8))
        #expect(try await Self.fetch(site, "/end", host: "localhost") == Array("abc".utf8))
        #expect(site.heads[0].hasPrefix("GET /length?key=1 HTTP/1.1\r\n"))
        #expect(site.heads[2].lowercased().contains("host: localhost:\(site.port)\r\n"))
    }

    /// What cannot be reached and what may not be are told in the same words.
    @Test func privateAddressesLookLikeNone() async throws {
        let site = try LoopbackSite(["/": LoopbackSite.file([1])])
        let words = "the URL's host cannot be reached"
        for host in ["127.0.0.1", "localhost"] {
            let fault = await Self.fault { try await Self.fetch(site, "/", Self.rules { $0.allowsPrivateAddresses = false }, host: host) }
            #expect(fault?.description == words)
            #expect(fault?.detail?.contains("no public address") == true)
        }
        #expect(site.heads.isEmpty)
        let all = Self.rules { $0.domains = [MediaDomain("*")].compactMap(\.self) }
        #expect(await Self.fault { try await Self.fetch(site, "/", all, host: "does-not-exist.invalid") }?.description == words)
        site.close()
        #expect(await Self.fault { try await Self.fetch(site, "/") }?.description == words)
        #expect(await Self.fault { try await Self.fetch(site, "/", host: "example.com") }?.description.contains("not one that images and videos are fetched from") == true)
    }

    @Test func redirectsAreCheckedLikeTheFirst() async throws {
        let inner = try LoopbackSite(["/": LoopbackSite.file([7])])
        let site = try LoopbackSite([
            "/a": LoopbackSite.redirect("/b"), "/b": LoopbackSite.redirect("c", status: 308), "/c": LoopbackSite.file([1, 2]),
            "/loop": LoopbackSite.redirect("/loop"), "/out": LoopbackSite.redirect("http://localhost:\(inner.port)/"),
            "/file": LoopbackSite.redirect("file:///etc/passwd"),
        ])
        defer {
            site.close()
            inner.close()
        }
        let off = await Self.fault { try await Self.fetch(site, "/a") }
        #expect(off?.description.contains("--media-redirects") == true)
        let rules = Self.rules {
            $0.followsRedirects = true
            $0.domains = [MediaDomain("127.0.0.1")].compactMap(\.self)
        }
        #expect(try await Self.fetch(site, "/a", rules) == [1, 2])
        #expect(await Self.fault { try await Self.fetch(site, "/loop", rules) }?.description.contains("more than 10 redirects") == true)
        #expect(await Self.fault { try await Self.fetch(site, "/out", rules) }?.description.contains("not one that images and videos are fetched from") == true)
        #expect(await Self.fault { try await Self.fetch(site, "/file", rules) }?.description.contains("must begin with http") == true)
        #expect(inner.heads.isEmpty)
    }

    @Test(arguments: [
        ("/missing", "the status 404"), ("/short", "ends before it is whole"), ("/cut", "ends before it is whole"), ("/gzip", "compressed"),
        ("/announced", "more than 1000 bytes"), ("/longer", "more than 1000 bytes"), ("/endless", "more than 1000 bytes"), ("/nothing", "cannot be reached"),
        ("/garbage", "cannot be reached"), ("/empty", "the status 204"),
    ])
    func faultsAreTold(_ path: String, _ words: String) async throws {
        let ok = "HTTP/1.1 200 OK\r\n"
        let site = try LoopbackSite([
            "/short": [.text(ok + "Content-Length: 10\r\n\r\nabc")], "/cut": [.text(ok + "Transfer-Encoding: chunked\r\n\r\n9\r\nabc")],
            "/gzip": LoopbackSite.file([1], "Content-Encoding: gzip\r\n"), "/announced": [.text(ok + "Content-Length: 1001\r\n\r\n"), .hold],
            "/longer": [.text(ok + "\r\n"), .bytes(Array(repeating: 1, count: 1001)), .hold], "/endless": [.text(ok + "\r\n"), .endless(Array(repeating: 1, count: 500))],
            "/nothing": [], "/garbage": [.text("garbage\r\n\r\n")], "/empty": [.text("HTTP/1.1 204 No Content\r\n\r\n")],
        ])
        defer { site.close() }
        let fault = await Self.fault { try await Self.fetch(site, path, bytesMax: 1000) }
        #expect(fault?.description.contains(words) == true, "\(fault?.description ?? "none")")
    }

    @Test func slowSitesAreGivenUp() async throws {
        let site = try LoopbackSite([
            "/head": [.hold], "/body": [.text("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), .hold],
            "/drip": [.text("HTTP/1.1 200 OK\r\n\r\n")] + Array(repeating: [.bytes([1]), .wait(milliseconds: 50)], count: 2000).flatMap(\.self),
        ])
        defer { site.close() }
        let rules = Self.rules { $0.timeoutSeconds = 0.3 }
        for path in ["/head", "/body", "/drip"] {
            let began = ContinuousClock.now
            #expect(await Self.fault { try await Self.fetch(site, path, rules) }?.description.contains("more than 0.3 s") == true, "\(path)")
            #expect(ContinuousClock.now - began < .seconds(30), "\(path)")
        }
        while site.departures < 2 { try await Task.sleep(for: .milliseconds(5)) }
    }

    @Test func cancelledFetchesLeave() async throws {
        let site = try LoopbackSite(["/": [.text("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), .hold]])
        defer { site.close() }
        let task = Task { try await Self.fetch(site, "/", Self.rules { $0.timeoutSeconds = 60 }) }
        while site.heads.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        while site.departures < 1 { try await Task.sleep(for: .milliseconds(5)) }
    }

    @Test func whoeverTakesTheBytesMayRefuseThem() async throws {
        let site = try LoopbackSite(["/": [.text("HTTP/1.1 200 OK\r\n\r\n"), .endless([1, 2, 3, 4])]])
        defer { site.close() }
        let fault = await Self.fault { try await Self.fetch(site, "/") { _ throws(MediaError) in throw .noRoom } }
        #expect(fault == .noRoom)
    }
}
