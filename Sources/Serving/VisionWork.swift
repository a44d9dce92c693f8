internal import Execution
internal import Plan

/// Encodes images in slices and remembers their embeddings.
struct VisionWork {
    /// An image whose embeddings are at hand.
    struct Ready {
        var id: Int
        var image: Int
    }

    /// Why the images of one request could not be encoded.
    struct Failure: Error {
        var id: Int
        var message: String
    }

    private struct Job {
        var id: Int
        var images: [Int]
        var began: ContinuousClock.Instant
    }

    private(set) var cache: ImageCache
    private let hiddenSize: Int
    private var job: Job?
    /// Requests whose images alone are wanted, in order of arrival; what sequences wait for goes first.
    private var alone: [Int] = []
    /// Whether it is the turn of a sequence that waits for few images, whichever came first.
    private var isTurnOfFewest = false
    private var durations: [Double] = []

    init(cacheBytes: Int, hiddenSize: Int) {
        cache = ImageCache(capacityBytes: cacheBytes)
        self.hiddenSize = hiddenSize
    }

    /// Takes a request whose images alone are wanted.
    mutating func add(_ id: Int) { alone.append(id) }

    /// Seconds that finished encodings took, each told once.
    mutating func takeDurations() -> [Double] {
        defer { durations.removeAll() }
        return durations
    }

    /// Finds images of a sequence that waits for some, or encodes them for about so long; what it returns is ready. Sequences that wait for few and the
    /// first one take turns.
    mutating func advance(
        _ model: any LoadedModel, _ scheduler: Scheduler, _ requests: [Int: ActiveRequest], seconds: Double
    ) throws(Failure) -> [Ready] {
        if let current = job, requests[current.id] == nil { job = nil }
        if job == nil {
            let ready = try begin(model, scheduler, requests)
            if !ready.isEmpty { return ready }
        }
        guard let current = job, let request = requests[current.id] else { return [] }
        do {
            guard try model.advanceVision(seconds: seconds) else { return [] }
        } catch {
            job = nil
            throw Failure(id: current.id, message: "an image cannot be encoded: \(error)")
        }
        job = nil
        durations.append((ContinuousClock.now - current.began).seconds)
        return try collect(current, request, model.visionOutput)
    }

    /// Takes what the cache has, and begins encoding the rest.
    private mutating func begin(
        _ model: any LoadedModel, _ scheduler: Scheduler, _ requests: [Int: ActiveRequest]
    ) throws(Failure) -> [Ready] {
        guard let needed = scheduler.imagesNeeded(fewest: isTurnOfFewest) ?? neededAlone(requests), let request = requests[needed.id] else { return [] }
        var ready: [Ready] = []
        var missing: [Int] = []
        for image in needed.images {
            if let embeddings = cache.find(request.request.prompt.images[image].digest) {
                request.setEmbeddings(embeddings, of: image)
                ready.append(Ready(id: needed.id, image: image))
            } else {
                missing.append(image)
            }
        }
        guard ready.isEmpty else { return ready }
        isTurnOfFewest.toggle()
        let chosen = Self.fitting(needed.isOnly ? missing : Array(missing.prefix(1)), request.request.prompt.images, model.program)
        do {
            try model.beginVision(.joined(chosen.map { request.request.prompt.images[$0].input }))
        } catch {
            throw Failure(id: needed.id, message: "an image cannot be encoded: \(error)")
        }
        job = Job(id: needed.id, images: chosen, began: ContinuousClock.now)
        return []
    }

    /// The first request whose images alone are wanted, and which of them are missing; forgets those that have ended.
    private mutating func neededAlone(_ requests: [Int: ActiveRequest]) -> (id: Int, images: [Int], isOnly: Bool)? {
        alone.removeAll { requests[$0] == nil }
        guard let id = alone.first, let request = requests[id] else { return nil }
        return (id, request.embeddings.indices.filter { request.embeddings[$0] == nil }, alone.count == 1)
    }

    /// The first image and those after it, each once, that fit one vision call.
    private static func fitting(_ indexes: [Int], _ images: [PromptImage], _ program: Program) -> [Int] {
        var chosen: [Int] = []
        var digests: Set<ContentDigest> = []
        for index in indexes {
            guard chosen.isEmpty || program.takes((chosen + [index]).map { images[$0].input }) else { break }
            guard digests.insert(images[index].digest).inserted else { continue }
            chosen.append(index)
        }
        return chosen
    }

    /// Hands each image its rows of the output.
    private mutating func collect(
        _ job: Job, _ request: ActiveRequest, _ output: UnsafeBufferPointer<Float>
    ) throws(Failure) -> [Ready] {
        var start = 0
        var ready: [Ready] = []
        for index in job.images {
            let image = request.request.prompt.images[index]
            let count = image.tokens.count * hiddenSize
            guard start + count <= output.count else {
                throw Failure(id: job.id, message: "the vision tower gave too few embeddings for image \(index)")
            }
            let embeddings = Embeddings(Array(output[start..<start + count]))
            start += count
            cache.insert(embeddings, for: image.digest)
            for same in request.request.prompt.images.indices
            where request.request.prompt.images[same].digest == image.digest {
                request.setEmbeddings(embeddings, of: same)
                ready.append(Ready(id: job.id, image: same))
            }
        }
        return ready
    }
}
