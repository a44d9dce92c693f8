internal import Budgets
internal import Inputs
internal import MediaFetching
internal import NIOCore
internal import Serving
internal import Synchronization

/// Gets the images that requests only name, within the bounds of what arrives in requests.
struct ImageFetching: Sendable {
    let fetcher: MediaFetcher
    let engine: Engine
    /// Bounds files that arrive or wait to be decoded, beside bodies.
    let arriving: ArrivingBodies
    /// Most bytes of one request's images together.
    let bytesMax: Int
    /// Takes what whoever runs the server should know of a failure; nil for nobody.
    let log: (@Sendable (LogLine) -> Void)?
    /// One for each fetch that is under way; peers take turns.
    private let slots = ByteBudget(limit: fetchesMax)

    /// Fetches at once, of all requests and of one.
    private static let fetchesMax = 16
    private static let fetchesOfOneMax = 8

    init(
        rules: MediaRules, engine: Engine, arriving: ArrivingBodies, bytesMax: Int, log: (@Sendable (LogLine) -> Void)?
    ) {
        fetcher = MediaFetcher(rules: rules)
        (self.engine, self.arriving, self.bytesMax, self.log) = (engine, arriving, bytesMax, log)
    }

    /// Where a request that was read holds its images, and what it calls its fields.
    struct Places<Read>: Sendable {
        var images: any WritableKeyPath<Read, [EncodedImage]> & Sendable
        var names: (any KeyPath<Read, GivenNames> & Sendable)?
    }

    /// Files that were fetched, and the room that they take until the last reference goes.
    struct Fetched: Sendable {
        fileprivate(set) var bytes = 0
        fileprivate var rooms: [ArrivingBodies.Room] = []
    }

    private enum Place: Sendable {
        case url(MediaURL)
        case file(String, LocalMedia)
    }

    private struct Wanted: Sendable {
        var index: Int
        /// Which of the image's files.
        var file: Int
        var field: String
        var isVideo: Bool
        var place: Place
    }

    /// Replaces what `images` name by the files themselves. All are checked before the first is fetched.
    ///
    /// - Parameter channel: of the client that waits; nil where nobody does.
    func fetch(_ images: inout [EncodedImage], on channel: (any Channel)?, deadline: ContinuousClock.Instant) async throws -> Fetched {
        let wanted = try wanted(images)
        var fetched = Fetched()
        guard !wanted.isEmpty else { return fetched }
        let contextLength = engine.configuration.maxModelLength
        guard wanted.count < 2 * contextLength, images.count < contextLength else {
            throw APIError(.tooLong(what: "\(images.count) images", leastTokens: images.count, contextLength: contextLength) as InputError)
        }
        let allowance = Allowance(bytes: bytesMax)
        try await withThrowingTaskGroup(of: (Wanted, [UInt8], ArrivingBodies.Room?).self) { group in
            var waiting = wanted[...]
            func addNext() {
                guard let next = waiting.popFirst() else { return }
                group.addTask { try await one(next, channel, deadline, allowance) }
            }
            for _ in 0..<Self.fetchesOfOneMax { addNext() }
            while let (wanted, file, room) = try await group.next() {
                fetched.bytes += file.count
                if let room { fetched.rooms.append(room) }
                images[wanted.index].sources[wanted.file] = .bytes(file)
                addNext()
            }
        }
        return fetched
    }

    private func wanted(_ images: [EncodedImage]) throws(APIError) -> [Wanted] {
        var wanted: [Wanted] = []
        for (index, image) in images.enumerated() {
            for (file, source) in image.sources.enumerated() {
                do throws(MediaError) {
                    guard let place = try place(of: source) else { continue }
                    wanted.append(Wanted(index: index, file: file, field: image.place, isVideo: image.video != nil, place: place))
                } catch {
                    throw APIError(error, place: image.place, isVideo: image.video != nil)
                }
            }
        }
        return wanted
    }

    /// Nil for a file that is there.
    private func place(of source: ImageSource) throws(MediaError) -> Place? {
        switch source {
        case .bytes: return nil
        case .remote(let text):
            let url = try MediaURL(text)
            try fetcher.rules.check(url)
            return .url(url)
        case .file(let path):
            guard let directory = fetcher.rules.localDirectory else {
                throw MediaError("images and videos are not read from files (--allowed-local-media-path); send a data: URL, such as data:image/png;base64,…")
            }
            return .file(path, directory)
        }
    }

    private func one(
        _ wanted: Wanted, _ channel: (any Channel)?, _ deadline: ContinuousClock.Instant, _ allowance: Allowance
    ) async throws -> (Wanted, [UInt8], ArrivingBodies.Room?) {
        let slot = try await slots.reserve(1, peer: channel?.peer ?? "")
        guard ContinuousClock.now < deadline else { throw APIError(.stopped(.deadline) as InputError) }
        let began = ContinuousClock.now
        let room = channel.map(arriving.open)
        do {
            let file = try await file(at: wanted.place, slot) { count throws(MediaError) in
                guard allowance.gives(count) else { throw MediaError("the request's images have more than \(bytesMax) bytes together (--max-body-bytes)") }
                guard room?.grow(by: count) ?? true else { throw .noRoom }
            }
            guard room?.complete() ?? true else { throw MediaError.noRoom }
            let seconds = (ContinuousClock.now - began).seconds
            engine.updateMetrics { $0.imageFetch.observe(seconds) }
            return (wanted, file, room)
        } catch let error as MediaError {
            if let detail = error.detail { log?(LogLine(message: "\(wanted.field): \(told(wanted)): \(detail)")) }
            throw APIError(error, place: wanted.field, isVideo: wanted.isVideo)
        }
    }

    private func file(
        at place: Place, _ slot: ByteBudget.Reservation, _ take: @escaping @Sendable (Int) throws(MediaError) -> Void
    ) async throws -> [UInt8] {
        switch place {
        case .url(let url): try await fetcher.file(at: url, bytesMax: bytesMax, holding: slot, take: take)
        case .file(let path, let directory): try await directory.file(at: path, bytesMax: bytesMax, take: take)
        }
    }

    /// What a log may hold of a place: of URLs neither path nor query, which may be secret.
    private func told(_ wanted: Wanted) -> String {
        let what = wanted.isVideo ? "a video" : "an image"
        return if case .url(let url) = wanted.place { "\(what) from \(url.origin)" } else { "\(what) from a file" }
    }

    /// Bytes that the images of one request may still have.
    private final class Allowance: Sendable {
        private let left: Mutex<Int>

        init(bytes: Int) { left = Mutex(bytes) }

        func gives(_ count: Int) -> Bool {
            left.withLock { left in
                guard count <= left else { return false }
                left -= count
                return true
            }
        }
    }
}

extension APIError {
    /// - Parameter place: the part that names the image.
    init(_ error: MediaError, place: String, isVideo: Bool) {
        self =
            error.isOverload
            ? .overloaded("\(error)") : .invalid("\(place): \(error)", param: place, code: isVideo ? "invalid_video_url" : "invalid_image_url")
    }
}
