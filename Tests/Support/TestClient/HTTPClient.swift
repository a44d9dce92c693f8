import Foundation
import Glibc
package import JSON

/// An HTTP/1.1 client of one connection, on a socket and in TLS where that is asked for.
package final class HTTPClient: @unchecked Sendable {
    package struct Answer: Sendable {
        package var status = 0
        package var headers: [String: String] = [:]
        package var body: [UInt8] = []

        package var text: String { String(decoding: body, as: UTF8.self) }
        package var json: JSONValue { (try? JSONValue(parsing: body)) ?? .null }
        /// The `data:` lines of a stream.
        package var events: [String] {
            text.split(separator: "\n\n", omittingEmptySubsequences: true).map { String($0.dropFirst("data: ".count)) }
        }
    }

    private let descriptor: Int32
    private let encryption: Encryption?
    private var buffer: [UInt8] = []

    /// Connects to a port of this machine; a server that says nothing for `patience` seconds is an error.
    ///
    /// With TLS, use it in the thread that made it.
    package init(port: Int, patience: Int = 20, tls: ClientTLS? = nil) throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.descriptor = descriptor
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else { throw POSIXError(.ECONNREFUSED) }
        // A server that never answers fails the test instead of holding it up.
        var patience = timeval(tv_sec: patience, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        encryption = try tls.map { try Encryption($0) }
        guard let encryption else { return }
        try transmit(encryption.pending())
        while !encryption.isReady {
            guard let bytes = arriving(), !bytes.isEmpty else { throw POSIXError(.ECONNRESET) }
            buffer += try encryption.opened(bytes)
            try transmit(encryption.pending())
        }
    }

    /// The protocol that ALPN agreed on.
    package var negotiated: String? { encryption?.negotiated }

    deinit { Glibc.close(descriptor) }

    /// Goes away; nothing more may be sent or received.
    package func close() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// Says in TLS that nothing more is sent, and listens on.
    package func sayGoodbye() throws { try transmit(encryption?.farewell() ?? []) }

    /// Shuts the sending side down, without a word in TLS, and listens on.
    package func stopSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    package func send(_ bytes: [UInt8]) throws { try transmit(encryption?.sealed(bytes) ?? bytes) }

    /// Sends bytes as they are, whatever the connection speaks.
    package func transmit(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw POSIXError(.EPIPE) }
            sent += count
        }
    }

    /// Sends spaces for as long as they are taken, and returns how many megabytes were.
    package func flood(megabytes: Int) -> Int {
        var patience = timeval(tv_sec: 1, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        let piece = [UInt8](repeating: 0x20, count: 1 << 20)
        return (0..<megabytes).first { _ in
            Glibc.send(descriptor, piece, piece.count, Int32(MSG_NOSIGNAL)) < piece.count
        } ?? megabytes
    }

    package func send(_ method: String, _ path: String, body: [UInt8] = []) throws {
        let head = "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(body.count)\r\n\r\n"
        try send(Array(head.utf8) + body)
    }

    /// Appends what arrives next to the buffer; false at the end of the connection.
    package func receive() -> Bool {
        guard let bytes = chunk(), !bytes.isEmpty else { return false }
        buffer += bytes
        return true
    }

    /// As `receive`, where more has to come: says whether the server was silent for too long or went away.
    private func receiveMore() throws {
        guard let bytes = chunk() else { throw POSIXError(errno == EAGAIN ? .ETIMEDOUT : .ECONNRESET) }
        guard !bytes.isEmpty else { throw POSIXError(.ECONNRESET) }
        buffer += bytes
    }

    /// What arrives next, decrypted; empty at the end of the connection and nil when that does not come.
    private func chunk() -> [UInt8]? {
        while let bytes = arriving() {
            guard let encryption, !bytes.isEmpty else { return bytes }
            guard let opened = try? encryption.opened(bytes) else { return [] }
            if let pending = try? encryption.pending() { try? transmit(pending) }
            if !opened.isEmpty { return opened }
        }
        return nil
    }

    private func arriving() -> [UInt8]? {
        var chunk = [UInt8](repeating: 0, count: 65536)
        let count = recv(descriptor, &chunk, chunk.count, 0)
        return count < 0 ? nil : Array(chunk[..<count])
    }

    /// Everything up to the end of the connection; nil when the server keeps it open.
    package func rest() -> String? {
        while let bytes = chunk() {
            if bytes.isEmpty { return String(decoding: buffer, as: UTF8.self) }
            buffer += bytes
        }
        return nil
    }

    /// Reads one whole answer.
    package func answer() throws -> Answer {
        var answer = Answer()
        while range(of: "\r\n\r\n", from: 0) == nil { try receiveMore() }
        let end = range(of: "\r\n\r\n", from: 0) ?? 0
        let lines = String(decoding: buffer[..<end], as: UTF8.self).split(separator: "\r\n")
        answer.status = Int(lines.first?.split(separator: " ").dropFirst().first ?? "") ?? 0
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            answer.headers[parts[0].lowercased()] = parts[1].trimmingCharacters(in: .whitespaces)
        }
        buffer.removeFirst(end + 4)
        if answer.status == 100 { return answer }
        if let length = answer.headers["content-length"].flatMap({ Int($0) }) {
            while buffer.count < length { try receiveMore() }
            answer.body = Array(buffer.prefix(length))
            buffer.removeFirst(length)
        } else {
            answer.body = try chunks()
        }
        return answer
    }

    private func chunks() throws -> [UInt8] {
        var body: [UInt8] = []
        while true {
            while range(of: "\r\n", from: 0) == nil { try receiveMore() }
            let end = range(of: "\r\n", from: 0) ?? 0
            let size = Int(String(decoding: buffer[..<end], as: UTF8.self), radix: 16) ?? 0
            while buffer.count < end + 2 + size + 2 { try receiveMore() }
            body += buffer[(end + 2)..<(end + 2 + size)]
            buffer.removeFirst(end + 2 + size + 2)
            if size == 0 { return body }
        }
    }

    private func range(of text: String, from start: Int) -> Int? {
        let pattern = Array(text.utf8)
        guard buffer.count >= pattern.count else { return nil }
        return (start...(buffer.count - pattern.count)).first { buffer[$0..<$0 + pattern.count].elementsEqual(pattern) }
    }
}

/// Runs work that blocks on a thread of its own.
package func blocking<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Result { try work() }) }
    }
}
