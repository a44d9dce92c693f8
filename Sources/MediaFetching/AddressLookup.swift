internal import Glibc
internal import NIOPosix
internal import Synchronization

/// The addresses of a host, by the system's resolver.
enum AddressLookup {
    /// The addresses in the resolver's order; a host that is an address is its own. A cancelled task stops waiting at once.
    ///
    /// - Parameter holding: kept until the resolver has answered, however long nobody waits for it any more.
    static func addresses(of host: String, holding: any AnyObject & Sendable) async throws -> [NetworkAddress] {
        if let address = NetworkAddress(host) { return [address] }
        let answer = FirstAnswer<[NetworkAddress]>()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                guard answer.isAwaited(by: continuation) else { return }
                NIOThreadPool.singleton.submit { state in
                    defer { withExtendedLifetime(holding) {} }
                    answer.give(state == .active ? Result { try resolved(host) } : .failure(CancellationError()))
                }
            }
        } onCancel: {
            answer.give(.failure(CancellationError()))
        }
    }

    private static func resolved(_ host: String) throws(MediaError) -> [NetworkAddress] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, nil, &hints, &list)
        guard status == 0 else { throw .unreachable("its name is not resolved: \(String(cString: gai_strerror(status)))") }
        defer { freeaddrinfo(list) }
        var addresses: [NetworkAddress] = []
        var next = list
        while let entry = next {
            if let address = entry.pointee.ai_addr.flatMap({ NetworkAddress($0) }), !addresses.contains(address) { addresses.append(address) }
            next = entry.pointee.ai_next
        }
        return addresses
    }
}

/// Hands the first of several answers to whoever waits; the others are dropped.
private final class FirstAnswer<Value: Sendable>: Sendable {
    private enum State {
        case open
        case awaited(CheckedContinuation<Value, any Error>)
        case given(Result<Value, any Error>)
        case over
    }
    private let state = Mutex(State.open)

    /// False where the answer is there already, and handed over.
    func isAwaited(by continuation: CheckedContinuation<Value, any Error>) -> Bool {
        let given: Result<Value, any Error>? = state.withLock { state in
            if case .given(let answer) = state {
                state = .over
                return answer
            }
            state = .awaited(continuation)
            return nil
        }
        if let given { continuation.resume(with: given) }
        return given == nil
    }

    func give(_ answer: Result<Value, any Error>) {
        let waiter: CheckedContinuation<Value, any Error>? = state.withLock { state in
            switch state {
            case .open: state = .given(answer)
            case .awaited(let continuation):
                state = .over
                return continuation
            case .given, .over: break
            }
            return nil
        }
        waiter?.resume(with: answer)
    }
}
