import Glibc

/// One connection to a server of this machine.
final class FuzzConnection {
    /// An answer's status and body; a stream's body is left out.
    struct Answer {
        var status: Int
        var body: ArraySlice<UInt8>
    }

    private let descriptor: Int32

    init(port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else { throw Finding("the server cannot be reached any more") }
    }

    deinit { close(descriptor) }

    /// Sends bytes and returns what comes back until the server closes, or `patience` milliseconds pass without a byte.
    func exchange(_ bytes: [UInt8], patience: Int) -> (received: [UInt8], isClosed: Bool) {
        var time = timeval(tv_sec: patience / 1000, tv_usec: patience % 1000 * 1000)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { break }
            sent += count
        }
        var received: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = recv(descriptor, &chunk, chunk.count, 0)
            guard count > 0 else { return (received, count == 0 || errno == ECONNRESET) }
            received += chunk[..<count]
        }
    }

    /// The answers in what was received, as far as they are whole; throws for what is none.
    static func answers(_ received: [UInt8]) throws -> [Answer] {
        var answers: [Answer] = []
        var rest = received[...]
        while let end = rest.indices.first(where: { rest[$0...].starts(with: Array("\r\n\r\n".utf8)) }) {
            let head = String(decoding: rest[..<end], as: UTF8.self)
            guard head.hasPrefix("HTTP/1."), let status = Int(head.dropFirst(9).prefix(3)) else {
                throw Finding("answers \(head.prefix(200).debugDescription)")
            }
            rest = rest[(end + 4)...]
            let lines = head.lowercased().split(separator: "\r\n")
            if status == 100 { continue }
            let length = lines.first { $0.hasPrefix("content-length:") }.flatMap { Int($0.dropFirst(15).filter(\.isNumber)) }
            answers.append(Answer(status: status, body: rest.prefix(length ?? 0)))
            // What answers HEAD has a length and no body.
            if rest.starts(with: Array("HTTP/1.".utf8)) { continue }
            guard let length, rest.count >= length else { break }
            rest = rest.dropFirst(length)
        }
        return answers
    }
}
