package import Budgets
internal import Execution
internal import Inputs
package import Plan

/// What is known of a request's images and videos by their headers alone.
struct MediaPlan {
    /// What of the images matters to how each is read.
    var company = ImageCompany.none
    /// Of each video which frames are read; nil for images.
    var timings: [(VideoTiming, VideoFacts)?] = []
}

extension InputPipeline {
    /// Most pixels of all images and frames of one request together, in multiples of what one image may have.
    private static let pixelShare = 8

    /// Reads an image or a video as its request bounds it.
    private func reader(for image: EncodedImage) throws(ImageError) -> ImageReader {
        guard let reader = image.video == nil ? reader : videoReader else {
            throw image.video == nil ? .noVision : ImageError.noVideos(fault: spec.videoFault)
        }
        let bounds = image.bounds.over(bounds)
        return bounds == PixelBounds() ? reader : ImageReader(try reader.spec.bounded(by: bounds))
    }

    /// What `body` throws as an error of the image's place.
    private static func placed<Result>(_ image: EncodedImage, _ body: () throws(ImageError) -> Result) throws(InputError) -> Result {
        do throws(ImageError) { return try body() } catch {
            if case .stopped(let reason) = error { throw .stopped(reason) }
            throw .badImage(place: image.place, reason: "\(error)", isVideo: image.video != nil)
        }
    }

    /// Reads headers alone: thousands of small files, or a few of very many pixels, would keep a worker busy for minutes.
    private func plan(_ images: [EncodedImage], _ budget: WorkBudget) throws(InputError) -> MediaPlan {
        var (plan, sizes, pictures): (MediaPlan, [ImageSize], [ImageSize]) = (MediaPlan(), [], [])
        for image in images {
            try Self.check(budget)
            let files = try image.files
            let (size, timing) = try Self.placed(image) { () throws(ImageError) in try header(of: image, files, budget) }
            sizes.append(size)
            if timing == nil { pictures.append(size) }
            plan.timings.append(timing)
        }
        guard let first = images.first else { return plan }
        if let spec = spec.image {
            plan.company = try Self.placed(first) { () throws(ImageError) in try ImageCompany(spec, of: pictures) }
        }
        try checkCosts(images, sizes, plan, budget)
        return plan
    }

    /// The size in pixels, and of a video what is read of it; throws for what cannot be read.
    private func header(
        of image: EncodedImage, _ files: [[UInt8]], _ budget: WorkBudget
    ) throws(ImageError) -> (ImageSize, (VideoTiming, VideoFacts)?) {
        let reader = try reader(for: image)
        guard let video = image.video else {
            let size = if let given = image.embeddings { try given.size(reader.spec) } else { try size(of: files[0]) }
            _ = try reader.layout(width: size.width, height: size.height)
            return (size, nil)
        }
        let (size, timing, facts) = try video.frames.isEmpty ? clip(files[0], video, budget) : frames(files, budget)
        _ = try reader.layout(width: size.width, height: size.height, frames: timing.indices.count)
        return (size, (timing, facts))
    }

    private func frames(_ files: [[UInt8]], _ budget: WorkBudget) throws(ImageError) -> (ImageSize, VideoTiming, VideoFacts) {
        var first: ImageSize?
        for (index, file) in files.enumerated() {
            do throws(WorkLimitError) { try budget.check() } catch { throw .stopped(error) }
            let size = try size(of: file)
            guard size == first ?? size else { throw .frameUnlike(index: index, width: size.width, height: size.height) }
            first = size
        }
        guard let first else { throw .video("has no frames") }
        let facts = VideoFacts(width: first.width, height: first.height, frameCount: files.count, rate: 0)
        return (first, VideoTiming(frames: files.count), facts)
    }

    private func clip(_ file: [UInt8], _ video: EncodedVideo, _ budget: WorkBudget) throws(ImageError) -> (ImageSize, VideoTiming, VideoFacts) {
        guard let rule = spec.video?.sampling else { throw .noVideos(fault: spec.videoFault) }
        let facts = try videoDecoder.facts(of: file, budget: budget)
        let (pixels, overflow) = facts.width.multipliedReportingOverflow(by: facts.height)
        guard facts.width > 0, facts.height > 0, facts.frameCount > 0, !overflow else { throw .video("has no frames") }
        guard pixels <= imageDecoder.maxPixels else {
            throw .tooManyPixels(width: facts.width, height: facts.height, limit: imageDecoder.maxPixels)
        }
        let indices = try rule.indices(total: facts.frameCount, videoRate: facts.rate, video.sampling.over(sampling))
        let timing = VideoTiming(frameCount: facts.frameCount, rate: facts.rate > 0 ? facts.rate : nil, indices: indices)
        return (ImageSize(width: facts.width, height: facts.height), timing, facts)
    }

    /// Throws where tokens or pixels are too many, told by sizes alone.
    private func checkCosts(_ images: [EncodedImage], _ sizes: [ImageSize], _ plan: MediaPlan, _ budget: WorkBudget) throws(InputError) {
        var (tokens, pixels) = (0, 0)
        for ((image, size), timing) in zip(zip(images, sizes), plan.timings) {
            try Self.check(budget)
            let count = timing?.0.indices.count ?? 1
            let (area, overflow) = (size.width * size.height).multipliedReportingOverflow(by: count)
            pixels = overflow ? .max : pixels.addingReportingOverflow(area).overflow ? .max : pixels + area
            tokens += try Self.placed(image) { () throws(ImageError) in
                let reader = try reader(for: image)
                let layout = try timing == nil
                    ? reader.layout(width: size.width, height: size.height, among: plan.company)
                    : reader.layout(width: size.width, height: size.height, frames: count)
                let rows = layout.rows / layout.slices
                guard rows <= maxPatches else { throw .tooManyPatches(count: rows, limit: maxPatches, isVideo: timing != nil) }
                return FeatureTable(reader.spec, layout).count
            }
        }
        let pixelLimit = imageDecoder.maxPixels.multipliedReportingOverflow(by: Self.pixelShare)
        guard pixelLimit.overflow || pixels <= pixelLimit.partialValue else {
            throw .tooManyPixels(count: pixels, limit: pixelLimit.partialValue)
        }
        guard tokens < contextLength else {
            throw .tooLong(what: Self.counted(images), leastTokens: tokens, contextLength: contextLength)
        }
    }

    /// `5 images`, `1 video`, `5 images and 1 video`
    private static func counted(_ images: [EncodedImage]) -> String {
        let videos = images.count { $0.video != nil }
        let ofVideos = videos == 1 ? "1 video" : "\(videos) videos"
        if videos == images.count { return ofVideos }
        return "\(images.count - videos) images" + (videos > 0 ? " and \(ofVideos)" : "")
    }

    /// By the header alone.
    private func size(of file: [UInt8]) throws(ImageError) -> ImageSize {
        let size = try imageDecoder.header(of: file).uprightSize
        return ImageSize(width: size.width, height: size.height)
    }

    func read(_ images: [EncodedImage], _ keepsPixels: Bool, _ budget: WorkBudget) throws(InputError) -> [ReadImage] {
        guard !images.isEmpty else { return [] }
        if reader == nil { throw .badImage(place: images[0].place, reason: "the model reads text only", isVideo: images[0].video != nil) }
        let plan = try plan(images, budget)
        var read: [ReadImage] = []
        for (image, timing) in zip(images, plan.timings) {
            let files = try image.files
            read.append(
                try Self.placed(image) { () throws(ImageError) in
                    guard let (timing, facts) = timing else { return try self.read(image, files[0], among: plan.company, keepsPixels, budget) }
                    return try self.read(image, files, timing, facts, keepsPixels, budget)
                })
        }
        return read
    }

    private func read(
        _ image: EncodedImage, _ file: [UInt8], among others: ImageCompany, _ keepsPixels: Bool, _ budget: WorkBudget
    ) throws(ImageError) -> ReadImage {
        if let given = image.embeddings { return try reader(for: image).read(given, among: others, maxPatches: maxPatches) }
        let began = ContinuousClock.now
        let decoded = try imageDecoder.decode(file, budget: budget)
        let between = ContinuousClock.now
        let read = try reader(for: image).read(decoded, among: others, maxPatches: maxPatches, keepsPixels: keepsPixels, budget: budget)
        onImageRead(between - began, .now - between)
        return read
    }

    private func read(
        _ video: EncodedImage, _ files: [[UInt8]], _ timing: VideoTiming, _ facts: VideoFacts, _ keepsPixels: Bool, _ budget: WorkBudget
    ) throws(ImageError) -> ReadImage {
        let isFile = video.video?.frames.isEmpty ?? true
        let source = isFile ? try videoDecoder.frames(timing.indices, of: files[0], facts, budget: budget) : nil
        let (size, began) = (ImageSize(width: facts.width, height: facts.height), ContinuousClock.now)
        var (index, decoding) = (0, Duration.zero)
        let read = try reader(for: video).read(
            video: timing, size: size, maxPatches: maxPatches, keepsPixels: keepsPixels, budget: budget
        ) { () throws(ImageError) in
            let began = ContinuousClock.now
            defer { (index, decoding) = (index + 1, decoding + (.now - began)) }
            return if let source { try source.next() } else { try imageDecoder.decode(files[index], budget: budget) }
        }
        onImageRead(decoding, .now - began - decoding)
        return read
    }

    /// An image as a prompt of the tokens that stand for it and no others, and its size in pixels.
    package func imageAlone(_ image: EncodedImage, budget: WorkBudget) throws(InputError) -> (prompt: Prompt, size: ImageSize) {
        guard let spec = spec.image, let read = try read([image], false, budget).first else {
            throw .badImage(place: image.place, reason: "the model reads text only")
        }
        let ids = [Int32](repeating: spec.prompt.token, count: read.features.count)
        var prompt = prompt(tokens: ids)
        prompt.images = images(read, TokenRanges([ids.indices]), "")
        return (prompt, read.layout.size)
    }

    /// One for each call of the vision tower.
    func images(_ image: ReadImage, _ tokens: TokenRanges, _ salt: String) -> [PromptImage] {
        var start = 0
        return image.inputs.map { input in
            let own = image.inputs.count == 1 ? tokens : tokens.part(start..<start + input.features)
            start += input.features
            let digest = ContentDigest { hasher in
                hasher.update(modelDigest)
                hasher.update(salt)
                hasher.update(image.layout.size.width)
                hasher.update(image.layout.size.height)
                hasher.update(own.count)
                if let video = image.video {
                    image.grid.forEach { hasher.update($0) }
                    // Positions tell the time.
                    hasher.update(spec.video?.positionsPerSecond == nil ? 0 : Int(bitPattern: UInt(video.sliceSeconds.bitPattern)))
                }
                if let embeddings = image.embeddings {
                    hasher.update("embeddings")
                    embeddings.withUnsafeBytes { hasher.update($0) }
                }
                for tensor in input.tensors {
                    switch tensor.values {
                    case .bytes(let bytes): bytes.withUnsafeBytes { hasher.update($0) }
                    case .integers(let integers): integers.withUnsafeBytes { hasher.update($0) }
                    case .floats(let floats): floats.withUnsafeBytes { hasher.update($0) }
                    }
                }
            }
            return PromptImage(tokens: own, digest: digest, input: input, embeddings: image.embeddings.map { Embeddings($0) })
        }
    }
}
