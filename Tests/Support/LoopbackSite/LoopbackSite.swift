import Foundation
import Glibc
import Synchronization

/// A site on a free loopback port whose pages say byte for byte what is sent.
package final class LoopbackSite: Sendable {
    package enum Piece: Sendable {
        case text(String)
        case bytes([UInt8])
        case wait(milliseconds: Int)
        /// The same bytes, over and over, while they are taken.
        case endless([UInt8])
        /// Nothing, until the client goes away.
        case hold
    }
    private struct State {
        var heads: [String] = []
        var departures = 0
        var sent = 0
    }
    package let port: Int
    private let listener: Int32
    private let pages: [String: [Piece]]
    private let state = Mutex(State())

    /// - Parameter pages: by path, with its query.
    package init(_ pages: [String: [Piece]]) throws {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let (descriptor, size) = (listener, length)
        let status = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, size) + listen(descriptor, 64) + getsockname(descriptor, $0, &length) }
        }
        guard status == 0 else { throw POSIXError(.EADDRINUSE) }
        port = Int(in_port_t(bigEndian: address.sin_port))
        self.pages = pages
        Thread.detachNewThread { [self] in
            while case let client = accept(listener, nil, nil), client >= 0 { Thread.detachNewThread { self.serve(client) } }
        }
    }

    /// A page with a file and its length.
    package static func file(_ bytes: [UInt8], _ headers: String = "") -> [Piece] {
        [.text("HTTP/1.1 200 OK\r\nContent-Length: \(bytes.count)\r\n\(headers)\r\n"), .bytes(bytes)]
    }

    package static func redirect(_ location: String, status: Int = 302) -> [Piece] {
        [.text("HTTP/1.1 \(status) Found\r\nLocation: \(location)\r\nContent-Length: 0\r\n\r\n")]
    }

    /// The heads of the requests so far.
    package var heads: [String] { state.withLock { $0.heads } }
    /// Clients that went away from a `hold`.
    package var departures: Int { state.withLock { $0.departures } }
    /// Bytes that clients took of what is endless.
    package var sent: Int { state.withLock { $0.sent } }

    package func close() { shutdown(listener, Int32(SHUT_RDWR)) }

    private func serve(_ client: Int32) {
        defer { Glibc.close(client) }
        var head: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while !String(decoding: head, as: UTF8.self).contains("\r\n\r\n") {
            let count = recv(client, &chunk, chunk.count, 0)
            guard count > 0 else { return }
            head += chunk[..<count]
        }
        let text = String(decoding: head, as: UTF8.self)
        state.withLock { $0.heads.append(text) }
        let path = text.split(separator: " ").dropFirst().first.map(String.init) ?? ""
        for piece in pages[path] ?? [.text("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")] {
            guard play(piece, client) else { return }
        }
    }

    private func play(_ piece: Piece, _ client: Int32) -> Bool {
        switch piece {
        case .text(let text): return send(Array(text.utf8), client)
        case .bytes(let bytes): return send(bytes, client)
        case .wait(let milliseconds): Thread.sleep(forTimeInterval: Double(milliseconds) / 1000)
        case .endless(let bytes): while send(bytes, client) { state.withLock { $0.sent += bytes.count } }
        case .hold:
            var byte: UInt8 = 0
            while recv(client, &byte, 1, 0) > 0 {}
            state.withLock { $0.departures += 1 }
        }
        return true
    }

    private func send(_ bytes: [UInt8], _ client: Int32) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.send(client, $0.baseAddress.map { $0 + sent }, bytes.count - sent, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }
}
