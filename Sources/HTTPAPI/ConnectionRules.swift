internal import JSON
internal import NIOCore
internal import NIOHTTP1
internal import NIOSSL

/// What HTTP/1 asks of a connection around its answers: when it closes, that a client may send its body, that a client
/// which stops sending or reading does not hold it for ever, and that what is no HTTP is answered 400.
///
/// Stands between the HTTP/1 decoder and everything else; belongs to its channel's event loop.
final class ConnectionRules: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    struct Timeouts: Sendable {
        /// In which `leastBodyBytes` of a body that is being waited for must arrive, or its end.
        var body = TimeAmount.seconds(30)
        /// Without the client taking what it was sent.
        var write = TimeAmount.seconds(120)
        /// For the client to notice the end after an answer before the end of its body.
        var linger = TimeAmount.seconds(10)
        /// Between requests.
        var idle = TimeAmount.seconds(75)
        /// Between looks at whether a client that sends no more still reads.
        var look = TimeAmount.seconds(5)
    }

    /// Triggered outbound by who is about to read a body: a client that asked is told to send it.
    struct BodyIsWelcome: Sendable {}

    /// Slower bodies are not waited for: they would hold memory for as long as they like.
    static let leastBodyBytes = 16 << 10

    /// Too few bytes of a body arrived in time.
    struct BodyTimeout: Error, Sendable {
        var bytes: Int
        var seconds: Int64
    }

    /// Triggered outbound, and an error of the body: its memory went to others.
    struct BodyGivesWay: Error, Sendable {}

    /// A request that is not answered to the end yet.
    private struct Exchange {
        var head: HTTPRequestHead
        var isRead = false
        /// Whether the head of its answer is written.
        var isBegun = false
        var closes: Bool
        var awaitsWelcome: Bool

        init(_ head: HTTPRequestHead) {
            self.head = head
            closes = !head.isKeepAlive || Self.offersUpgrade(head)
            awaitsWelcome = head.version == .http1_1 && head.headers[canonicalForm: "expect"].contains { $0.lowercased() == "100-continue" }
        }

        /// Whether heads may be written before that of the answer.
        var takesInterim: Bool { head.version.major > 1 || head.version.major == 1 && head.version.minor >= 1 }

        /// The decoder parses nothing behind such a request, so it is answered as any other and is the connection's last.
        static func offersUpgrade(_ head: HTTPRequestHead) -> Bool {
            head.method == .CONNECT || head.headers.contains(name: "upgrade")
        }
    }

    private let timeouts: Timeouts
    /// In order of arrival; the first is being answered, the last may still be read.
    private var exchanges: CircularBuffer<Exchange> = []
    /// Nothing more is answered; what still arrives is dropped.
    private var isOver = false
    /// Whether the request that is read, answered or not, offers an upgrade.
    private var offersUpgrade = false
    /// Nothing more is read: what comes behind the offer of an upgrade the decoder would only keep.
    private var readsNoMore = false
    private var isReading = false
    /// The stretch of time in which bytes of the body are counted; time without reading does not count.
    private var windowBegan = NIODeadline.now()
    private var windowBytes = 0
    private var pausedSince = NIODeadline.now()
    private var bodyTimer: Scheduled<Void>?
    private var writeTimer: Scheduled<Void>?
    private var lookTimer: Scheduled<Void>?
    /// The client sends no more.
    private var hasEnded = false
    /// The last answer is written, and the client may still be sending.
    private var lingers = false

    private let access: AccessRules

    init(_ timeouts: Timeouts, _ access: AccessRules) {
        self.timeouts = timeouts
        self.access = access
    }

    func handlerRemoved(context: ChannelHandlerContext) { cancelTimers() }

    func channelInactive(context: ChannelHandlerContext) {
        cancelTimers()
        context.fireChannelInactive()
    }

    func read(context: ChannelHandlerContext) {
        guard !readsNoMore else { return }
        if !isReading {
            isReading = true
            windowBegan = windowBegan + (.now() - pausedSince)
        }
        context.read()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        pausedSince = .now()
        context.fireChannelReadComplete()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = unwrapInboundIn(data)
        switch part {
        case .head(let head): offersUpgrade = Exchange.offersUpgrade(head)
        case .body: break
        case .end: readsNoMore = offersUpgrade
        }
        guard !isOver else { return }
        switch part {
        case .head(let head):
            if let refusal = access.refusal(head) { return refuse(refusal, head, context) }
            exchanges.append(Exchange(head))
            openWindow()
            watchBody(context, after: timeouts.body)
        case .body(let bytes): windowBytes += bytes.readableBytes
        case .end:
            if !exchanges.isEmpty { exchanges[exchanges.index(before: exchanges.endIndex)].isRead = true }
            bodyTimer?.cancel()
            bodyTimer = nil
        }
        context.fireChannelRead(data)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? HTTPParserError else { return context.fireErrorCaught(error) }
        guard !isOver else { return }
        guard exchanges.isEmpty else { return context.fireErrorCaught(error) }
        answer(APIError(error), nil, context)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed, !hasEnded {
            hasEnded = true
            endOfInput(context)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
        if let error = event as? BodyGivesWay {
            if !isOver, exchanges.last?.isRead == false { context.fireErrorCaught(error) }
            promise?.succeed()
            return
        }
        guard event is BodyIsWelcome else { return context.triggerUserOutboundEvent(event, promise: promise) }
        if let first = exchanges.first, first.awaitsWelcome, !first.isRead {
            exchanges[exchanges.startIndex].awaitsWelcome = false
            let head = HTTPResponseHead(version: .http1_1, status: .continue)
            context.writeAndFlush(wrapOutboundOut(.head(head)), promise: nil)
        }
        promise?.succeed()
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(var head) where head.status.code >= 200 && !exchanges.isEmpty:
            let place = exchanges.startIndex
            exchanges[place].isBegun = true
            frame(&head, &exchanges[place])
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .end where exchanges.first?.closes ?? true:
            let isRead = exchanges.popFirst()?.isRead ?? false
            finish(context, data, promise, lingers: !isRead)
        case .end:
            exchanges.removeFirst()
            context.write(data, promise: promise)
        default: context.write(data, promise: promise)
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        writeTimer?.cancel()
        writeTimer = nil
        if !context.channel.isWritable {
            let context = NIOLoopBound(context, eventLoop: context.eventLoop)
            writeTimer = context.value.eventLoop.scheduleTask(in: timeouts.write) { context.value.close(promise: nil) }
        }
        context.fireChannelWritabilityChanged()
    }
}

extension ConnectionRules {
    /// Says in an answer's head whether the connection stays open, in the client's own version of the protocol.
    private func frame(_ head: inout HTTPResponseHead, _ exchange: inout Exchange) {
        let isOld = exchange.head.version.major < 1 || exchange.head.version.minor < 1
        if isOld { head.version = .http1_0 }
        // Without a length, the end of the connection is the end of the answer.
        if isOld, !head.headers.contains(name: "content-length") { exchange.closes = true }
        if !exchange.isRead || head.headers[canonicalForm: "connection"].contains("close") { exchange.closes = true }
        if exchange.closes {
            head.headers.replaceOrAdd(name: "connection", value: "close")
        } else if isOld {
            head.headers.replaceOrAdd(name: "connection", value: "keep-alive")
        }
    }

    /// Writes the end of the last answer and closes, first the sending side where the client may still be sending.
    private func finish(_ context: ChannelHandlerContext, _ end: NIOAny, _ promise: EventLoopPromise<Void>?, lingers: Bool) {
        isOver = true
        bodyTimer?.cancel()
        let written = promise ?? context.eventLoop.makePromise()
        let linger = timeouts.linger
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        written.futureResult.assumeIsolated().whenComplete { _ in
            let context = bound.value
            guard lingers else { return context.close(promise: nil) }
            self.lingers = true
            context.close(mode: .output, promise: nil)
            context.eventLoop.scheduleTask(in: linger) { bound.value.close(promise: nil) }
        }
        context.writeAndFlush(end, promise: written)
    }

    /// Answers a head that may not pass, unless earlier requests still wait for their answers: then the connection ends.
    private func refuse(_ refusal: APIError, _ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        guard exchanges.isEmpty else {
            isOver = true
            return context.close(promise: nil)
        }
        answer(refusal, head, context)
    }

    /// Answers what never becomes a request.
    ///
    /// - Parameter request: nil where there is no head of one.
    private func answer(_ error: APIError, _ request: HTTPRequestHead?, _ context: ChannelHandlerContext) {
        let id = RequestID(given: request?.headers[RequestID.headerName] ?? [])
        access.refusals?.note(error, id)
        let body = ByteBuffer(bytes: error.body(onPath: request?.uri ?? "").serialized)
        let headers: HTTPHeaders = [
            "content-type": "application/json", "content-length": "\(body.readableBytes)", "connection": "close",
            RequestID.headerName: id.text,
        ]
        let head = HTTPResponseHead(
            version: .http1_1, status: HTTPResponseStatus(statusCode: error.status), headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        finish(context, wrapOutboundOut(.end(nil)), nil, lingers: true)
    }

    private func watchBody(_ context: ChannelHandlerContext, after time: TimeAmount) {
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        bodyTimer?.cancel()
        bodyTimer = context.eventLoop.assumeIsolated().scheduleTask(in: time) { [weak self] in
            self?.checkBody(bound.value)
        }
    }

    private func checkBody(_ context: ChannelHandlerContext) {
        guard !isOver, exchanges.last?.isRead == false else { return }
        let deadline = windowBegan + timeouts.body
        // Who does not read does not wait.
        guard isReading else { return watchBody(context, after: timeouts.body) }
        guard NIODeadline.now() >= deadline else { return watchBody(context, after: deadline - .now()) }
        guard windowBytes < Self.leastBodyBytes else {
            openWindow()
            return watchBody(context, after: timeouts.body)
        }
        context.fireErrorCaught(BodyTimeout(bytes: windowBytes, seconds: timeouts.body.nanoseconds / 1_000_000_000))
    }

    private func openWindow() {
        windowBegan = .now()
        pausedSince = windowBegan
        windowBytes = 0
    }

    private func cancelTimers() {
        bodyTimer?.cancel()
        writeTimer?.cancel()
        lookTimer?.cancel()
    }
}

/// Clients that shut their side of the connection down.
extension ConnectionRules {
    /// Whoever asked to the end gets the answers, and then the connection ends; anybody else is gone, and so is who says goodbye in TLS.
    private func endOfInput(_ context: ChannelHandlerContext) {
        if isOver {
            if lingers { context.close(promise: nil) }
            return
        }
        let isSecure = (try? context.pipeline.syncOperations.handler(type: NIOSSLServerHandler.self)) != nil
        guard !isSecure, !exchanges.isEmpty, exchanges.allSatisfy({ $0.isRead && $0.takesInterim }) else { return context.close(promise: nil) }
        exchanges[exchanges.index(before: exchanges.endIndex)].closes = true
        look(context)
    }

    /// A client that is gone shut its side down in the same way, and answers whatever it is sent with a reset: before an answer begins, that is a head
    /// which says nothing.
    private func look(_ context: ChannelHandlerContext) {
        guard !isOver, let first = exchanges.first else { return }
        if !first.isBegun { context.writeAndFlush(wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .continue))), promise: nil) }
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        lookTimer = context.eventLoop.assumeIsolated().scheduleTask(in: timeouts.look) { [weak self] in self?.look(bound.value) }
    }
}

extension APIError {
    init(_ error: HTTPParserError) {
        self = .invalid("the request is not valid HTTP/1.1: \(error)", code: "invalid_http")
        if error == .headerOverflow { status = 431 }
        // How the parser ends at the preface of HTTP/2.
        if error == .paused {
            self = .invalid("HTTP/2 is not spoken here; use HTTP/1.1", code: "http_version_not_supported", status: 505)
        }
    }

    init(_ error: ConnectionRules.BodyTimeout) {
        self = .invalid(
            "the body is too slow: \(error.bytes) bytes in \(error.seconds) s, where at least \(ConnectionRules.leastBodyBytes) or its end are needed", code: "request_timeout", status: 408)
    }

    init(_ error: ConnectionRules.BodyGivesWay) {
        self = .overloaded("the server is busy: the body arrived slowly, or with many others, and its memory went to other requests")
    }
}
