internal import AsyncHTTPClient
internal import Foundation
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL

/// Fetches images by HTTP as the rules allow: each host is looked up once, and the connection goes to the address that was checked.
package struct MediaFetcher: Sendable {
    package let rules: MediaRules

    /// A file of certificates that are trusted instead of the system's; nil for those.
    private let trustedCertificates: String?

    package init(rules: MediaRules, trustedCertificates: String? = nil) {
        self.rules = rules
        self.trustedCertificates = trustedCertificates
    }

    /// As aiohttp, which vLLM fetches with.
    private static let redirectsMax = 10
    /// Addresses of one host that are tried.
    private static let addressesMax = 3

    private enum Answer {
        case file([UInt8])
        case redirect(String)
    }

    /// The file at a URL; a cancelled task gives up at once.
    ///
    /// - Parameters:
    ///   - bytesMax: a larger file is given up as soon as that is known.
    ///   - holding: kept until nothing of the fetch is left.
    ///   - take: told of bytes that have arrived, before they are kept; what it throws ends the fetch.
    package func file(
        at url: MediaURL, bytesMax: Int, holding: any AnyObject & Sendable, take: @escaping @Sendable (_ count: Int) throws(MediaError) -> Void
    ) async throws -> [UInt8] {
        try rules.check(url)
        let seconds = rules.timeoutSeconds
        return try await withThrowingTaskGroup(of: [UInt8].self) { group in
            group.addTask { try await followed(url, bytesMax, holding, take) }
            group.addTask {
                try await Task.sleep(for: .nanoseconds(Int64(seconds * 1e9)))
                throw MediaError.timedOut(seconds: seconds)
            }
            defer { group.cancelAll() }
            guard let file = try await group.next() else { throw CancellationError() }
            return file
        }
    }

    private func followed(
        _ first: MediaURL, _ bytesMax: Int, _ holding: any AnyObject & Sendable, _ take: @Sendable (Int) throws(MediaError) -> Void
    ) async throws -> [UInt8] {
        var url = first
        for _ in 0...Self.redirectsMax {
            try rules.check(url)
            let found = try await AddressLookup.addresses(of: url.host, holding: holding)
            let permitted = rules.permitted(found)
            guard !permitted.isEmpty else {
                throw MediaError.unreachable("it has no public address, but \(found.map(\.description).joined(separator: ", "))")
            }
            switch try await answer(url, permitted.prefix(Self.addressesMax), bytesMax, take) {
            case .file(let file): return file
            case .redirect(let location):
                guard rules.followsRedirects else {
                    throw MediaError("the URL's host answers with a redirect, and those are not followed (--media-redirects)")
                }
                url = try url.redirected(to: location)
            }
        }
        throw MediaError("the URL's host answers with more than \(Self.redirectsMax) redirects")
    }

    /// What the first address says that takes a connection.
    private func answer(
        _ url: MediaURL, _ addresses: ArraySlice<NetworkAddress>, _ bytesMax: Int, _ take: @Sendable (Int) throws(MediaError) -> Void
    ) async throws -> Answer {
        var faults: [String] = []
        for address in addresses {
            let client = try client(url, address)
            do {
                let answer = try await self.answer(client, url, bytesMax, take)
                try await client.shutdown()
                return answer
            } catch {
                try? await client.shutdown()
                try Task.checkCancellation()
                guard let fault = error as? NoAnswer else { throw error }
                faults.append("\(address): \(fault.reason)")
            }
        }
        throw MediaError.unreachable(faults.joined(separator: "; "))
    }

    /// Nothing came of a connection.
    private struct NoAnswer: Error {
        var reason: String
    }

    /// A client that knows one address for the URL's host. A certificate is checked for the name all the same.
    private func client(_ url: MediaURL, _ address: NetworkAddress) throws -> HTTPClient {
        // Two readers of a URL must not find two hosts in it: the client would look the other one up by itself.
        guard let read = URL(string: url.text), read.host?.trimmingCharacters(in: ["[", "]"]) == url.host, read.port == url.port else {
            throw MediaError("the URL's host cannot be read")
        }
        var configuration = HTTPClient.Configuration()
        if NetworkAddress(url.host) == nil { configuration.dnsOverride = [url.host: "\(address)"] }
        if let trustedCertificates {
            var tls = TLSConfiguration.makeClientConfiguration()
            tls.trustRoots = .file(trustedCertificates)
            configuration.tlsConfiguration = tls
        }
        configuration.redirectConfiguration = .disallow
        configuration.httpVersion = .http1Only
        configuration.timeout.connect = .nanoseconds(Int64(rules.timeoutSeconds * 1e9))
        configuration.connectionPool.retryConnectionEstablishment = false
        return HTTPClient(eventLoopGroupProvider: .shared(MultiThreadedEventLoopGroup.singleton), configuration: configuration)
    }

    private func answer(
        _ client: HTTPClient, _ url: MediaURL, _ bytesMax: Int, _ take: @Sendable (Int) throws(MediaError) -> Void
    ) async throws -> Answer {
        var request = HTTPClientRequest(url: url.text)
        request.headers = ["user-agent": "vlm-serve", "accept": "image/*, video/*, */*;q=0.5"]
        let response: HTTPClientResponse
        do {
            response = try await client.execute(request, deadline: .distantFuture)
        } catch {
            throw NoAnswer(reason: "\(error)")
        }
        if (300..<400).contains(response.status.code), let location = response.headers.first(name: "location") { return .redirect(location) }
        guard response.status == .ok else { throw MediaError("the URL's host answers with the status \(response.status.code)") }
        if let coding = response.headers.first(name: "content-encoding"), coding.lowercased() != "identity" {
            throw MediaError("the URL's host answers with a compressed file, which was not asked for")
        }
        if let announced = response.headers.first(name: "content-length").flatMap({ Int($0) }), announced > bytesMax {
            throw MediaError.tooLarge(limit: bytesMax)
        }
        return .file(try await file(response.body, bytesMax, take))
    }

    private func file(_ body: HTTPClientResponse.Body, _ bytesMax: Int, _ take: @Sendable (Int) throws(MediaError) -> Void) async throws -> [UInt8] {
        var file: [UInt8] = []
        do {
            for try await part in body {
                guard file.count + part.readableBytes <= bytesMax else { throw MediaError.tooLarge(limit: bytesMax) }
                try take(part.readableBytes)
                file.append(contentsOf: part.readableBytesView)
            }
            // A cancelled body ends like a whole one.
            try Task.checkCancellation()
            return file
        } catch let error as MediaError {
            throw error
        } catch {
            try Task.checkCancellation()
            throw MediaError("the file ends before it is whole", detail: "\(error)")
        }
    }
}
