import Foundation
import Glibc
import TestClient
import Testing

/// How `vlm-serve` lives and ends as a process: with an stderr that takes nothing, and by signals. What a test does between two
/// looks at the process runs on a thread of its own, where other tests do not hold it up.
@Suite struct ServerProcessTests {
    /// What standard error may be.
    enum Errors: String, CaseIterable {
        case fullDisk, closed, pipeWithoutReader, fullPipe
    }

    @Test(arguments: Errors.allCases) func servesWhateverStandardErrorIs(errors: Errors) async throws {
        try await blocking {
            let space = try Workspace()
            let port = try freePort()
            let pipe = Pipe()
            let process = try server(space.compile(Workspace.demoModel), port, closesErrors: errors == .closed)
            switch errors {
            case .fullDisk: process.standardError = FileHandle(forWritingAtPath: "/dev/full")
            case .closed: break
            case .pipeWithoutReader:
                process.standardError = pipe
                try pipe.fileHandleForReading.close()
            case .fullPipe:
                process.standardError = pipe
                fill(pipe.fileHandleForWriting.fileDescriptor)
            }
            try process.run()
            defer { kill(process.processIdentifier, SIGKILL) }
            ready(port)
            for _ in 0..<20 { #expect(try get(port, "live") == 200) }
            process.terminate()
            end(of: process)
            #expect(process.terminationReason == .exit && process.terminationStatus == 0)
        }
    }

    @Test func aSecondSignalEndsItAtOnce() async throws {
        try await withStuckReader(shutdownTimeout: 600) { process in
            process.terminate()
            // As supervisors do that tell the process and its group.
            usleep(5000)
            process.terminate()
            usleep(150_000)
            #expect(process.isRunning)
            process.interrupt()
            end(of: process)
            #expect(process.terminationReason == .exit && process.terminationStatus == 1)
        }
    }

    @Test func aReaderThatIsStuckDoesNotHoldUpTheEnd() async throws {
        try await withStuckReader(shutdownTimeout: 1) { process in
            let began = ContinuousClock.now
            process.terminate()
            end(of: process)
            #expect(process.terminationReason == .exit && process.terminationStatus == 0)
            #expect(ContinuousClock.now - began < .seconds(10))
        }
    }
}

extension ServerProcessTests {
    private func server(_ artifact: String, _ port: Int, _ flags: String..., closesErrors: Bool = false) throws -> Process {
        let process = Process()
        let tool = Command.directory.appending(path: "vlm-serve").path
        let arguments = [artifact, "--host", "127.0.0.1", "--port", "\(port)"] + flags
        process.executableURL = URL(fileURLWithPath: closesErrors ? "/bin/sh" : tool)
        process.arguments = closesErrors ? ["-c", #"exec "$@" 2>&-"#, "sh", tool] + arguments : arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        return process
    }

    /// A port that nobody listens on now.
    private func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = loopback(port: 0)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, size) + getsockname(descriptor, $0, &size) }
        }
        try #require(status == 0)
        return Int(UInt16(bigEndian: address.sin_port))
    }

    /// From the compile of a model to its answers nobody finds the port closed.
    @Test func aPortThatIsOpenStaysOpen() async throws {
        try await blocking {
            let space = try Workspace()
            let port = try freePort()
            let process = try server(space.copyOfDemo(), port, "--store", space.store)
            process.standardError = FileHandle.nullDevice
            try process.run()
            defer { kill(process.processIdentifier, SIGKILL) }
            var (phases, isReady): (Set<Int>, Bool) = ([], false)
            let end = ContinuousClock.now + .seconds(300)
            while (try? get(port, "live")) == nil, ContinuousClock.now < end { usleep(5000) }
            while !isReady, ContinuousClock.now < end {
                for _ in 0..<5 {
                    close(try connection(port))
                    usleep(1000)
                }
                let status = try get(port, "health")
                phases.insert(status)
                isReady = status == 200
            }
            #expect(phases == [503, 200])
        }
    }

    /// Runs a server that is in the middle of an answer whose client takes very little.
    private func withStuckReader(shutdownTimeout: Int, _ body: @escaping @Sendable (Process) throws -> Void) async throws {
        try await blocking {
            let space = try Workspace()
            let port = try freePort()
            let process = try server(space.compile(Workspace.demoModel), port, "--shutdown-timeout", "\(shutdownTimeout)")
            process.standardError = FileHandle.nullDevice
            try process.run()
            defer { kill(process.processIdentifier, SIGKILL) }
            ready(port)
            let reader = try stuckReader(port)
            defer { close(reader) }
            try body(process)
        }
    }

    /// A connection with an answer of some seconds under way, of which its client takes very little.
    private func stuckReader(_ port: Int) throws -> Int32 {
        let descriptor = try connection(port)
        let body = #"{"model":"model","messages":[{"role":"user","content":"hi"}],"ignore_eos":true,"stream":true,"max_tokens":4000}"#
        let text = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
        #expect(send(descriptor, text, text.utf8.count, Int32(MSG_NOSIGNAL)) == text.utf8.count)
        for _ in 0..<6000 {
            if try running(port) { return descriptor }
            usleep(5000)
        }
        close(descriptor)
        throw POSIXError(.ETIMEDOUT)
    }

    /// A connection whose client takes very little.
    private func connection(_ port: Int) throws -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var small: Int32 = 2048
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &small, 4)
        var address = loopback(port: port)
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(status == 0)
        return descriptor
    }

    private func loopback(port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        return address
    }

    /// Writes until a pipe takes no more.
    private func fill(_ descriptor: Int32) {
        let flags = fcntl(descriptor, F_GETFL)
        _ = fcntl(descriptor, F_SETFL, flags | O_NONBLOCK)
        let piece = [UInt8](repeating: 0x0A, count: 4096)
        while write(descriptor, piece, piece.count) > 0 {}
        _ = fcntl(descriptor, F_SETFL, flags)
    }

    private func exchange(_ port: Int, _ method: String, _ path: String, _ body: [UInt8] = []) throws -> HTTPClient.Answer {
        let client = try HTTPClient(port: port, patience: 60)
        try client.send(method, "/" + path, body: body)
        return try client.answer()
    }

    private func get(_ port: Int, _ path: String) throws -> Int { try exchange(port, "GET", path).status }

    /// Whether the engine has a sequence at work; a request may have arrived before.
    private func running(_ port: Int) throws -> Bool {
        try exchange(port, "GET", "metrics").text.split(separator: "\n").contains { $0.hasPrefix("vllm:num_requests_running") && $0.hasSuffix(" 1.0") }
    }

    /// Waits for the process; one that goes on for a minute is killed.
    private func end(of process: Process) {
        for _ in 0..<6000 where process.isRunning { usleep(10_000) }
        guard process.isRunning else { return }
        Issue.record("the server does not end")
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    private func ready(_ port: Int) {
        for _ in 0..<400 {
            if let status = try? get(port, "health"), status == 200 { return }
            usleep(50_000)
        }
        Issue.record("the server does not get ready")
    }
}
