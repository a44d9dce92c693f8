package import Budgets
package import JSON
package import Plan

/// What a video has beside what an image has.
package struct ReadVideo: Sendable, Hashable {
    /// The middle of each slice's frames, in seconds.
    package let times: [Double]
    /// HF `second_per_grid_ts`: seconds from one slice to the next.
    package let sliceSeconds: Double
}

extension ReadImage {
    package var isVideo: Bool { video != nil }

    /// What one call of the vision entry reads of all of it.
    package var input: VisionInput { .joined(inputs) }
}

/// Which frames of what video are read.
package struct VideoTiming: Sendable, Hashable {
    /// Frames of the whole video.
    package let frameCount: Int
    /// Frames in a second of the video; nil where nobody knows.
    package let rate: Double?
    /// Those that are read, in order; at least one.
    package let indices: [Int]

    package init(frameCount: Int, rate: Double?, indices: [Int]) { (self.frameCount, self.rate, self.indices) = (frameCount, rate, indices) }

    /// That of a list of frames of which no more is known.
    package init(frames count: Int) { self.init(frameCount: count, rate: nil, indices: Array(0..<count)) }

    /// What HF's processors take for the rate of a video where they know none.
    private static let standardRate = 24.0

    /// HF `VideoMetadata.sampled_fps`
    private var sampledRate: Double {
        guard let rate else { return Self.standardRate }
        return Double(indices.count) / Double(frameCount) * rate
    }

    /// For slices of so many frames, the last frame repeated (HF `Qwen3VLProcessor._calculate_timestamps`).
    func read(sliceFrames: Int) -> ReadVideo {
        let seconds = indices.map { Double($0) / (rate ?? Self.standardRate) }
        let times = stride(from: 0, to: seconds.count, by: sliceFrames).map { first in
            (seconds[first] + seconds[min(first + sliceFrames, seconds.count) - 1]) / 2
        }
        return ReadVideo(times: times, sliceSeconds: Double(sliceFrames) / sampledRate)
    }
}

extension ImageReader {
    /// Where everything of a video of so many frames will lie.
    package func layout(width: Int, height: Int, frames count: Int) throws(ImageError) -> ImageLayout {
        try ImageLayout(spec, width: width, height: height, frames: count)
    }

    /// Resizes a video's frames and cuts them, so many slices to a call that it has at most `maxPatches` rows.
    ///
    /// - Parameters:
    ///   - size: that of the frames.
    ///   - keepsPixels: whether `pixelValues` will be asked for.
    ///   - next: gives the frames that `timing` names, one after the other.
    package func read(
        video timing: VideoTiming, size: ImageSize, maxPatches: Int = 1 << 20, keepsPixels: Bool = false, budget: WorkBudget = .generous(),
        next: () throws(ImageError) -> Image
    ) throws(ImageError) -> ReadImage {
        let layout = try layout(width: size.width, height: size.height, frames: timing.indices.count)
        let ofSlice = layout.rows / layout.slices
        guard ofSlice <= maxPatches else { throw .tooManyPatches(count: ofSlice, limit: maxPatches, isVideo: true) }
        var (inputs, kept, left): ([VisionInput], [Canvas?], Int) = ([], [], timing.indices.count)
        let most = maxPatches / ofSlice
        for first in stride(from: 0, to: layout.slices, by: most) {
            let part = layout.part(first..<min(first + most, layout.slices), spec)
            var bytes = [UInt8](repeating: 0, count: part.rows * spec.pixels.patchBytes)
            for slice in 0..<part.slices {
                let canvases = try canvases(of: min(spec.pixels.temporalPatchSize, left), layout, size, budget, next)
                left -= canvases.count
                cut(canvases, of: part, first: first + slice, row: slice * ofSlice, into: &bytes)
                if keepsPixels { kept.append(canvases.first.map(Canvas.bytes)) }
            }
            inputs.append(spec.input(part, FeatureTable(spec, part), pixels: .bytes(bytes)))
        }
        return ReadImage(
            layout: layout, features: FeatureTable(spec, layout), inputs: inputs, canvases: kept,
            video: timing.read(sliceFrames: spec.pixels.temporalPatchSize))
    }

    /// The next frames, resized.
    private func canvases(
        of count: Int, _ layout: ImageLayout, _ size: ImageSize, _ budget: WorkBudget, _ next: () throws(ImageError) -> Image
    ) throws(ImageError) -> [Image] {
        guard let frame = layout.frames[0] else { return [] }
        var canvases: [Image] = []
        for _ in 0..<count {
            let image = try next()
            guard image.width == size.width, image.height == size.height else {
                throw .video("changes its size to \(image.width)×\(image.height) pixels; code it anew with one size")
            }
            do throws(WorkLimitError) { canvases.append(try canvas(of: image, spec.views[0], frame, budget)) } catch { throw .stopped(error) }
        }
        return canvases
    }

    /// Writes the patches of a slice from `row` on; the last of the frames stands for those that are missing.
    private func cut(_ canvases: [Image], of part: ImageLayout, first slice: Int, row: Int, into bytes: inout [UInt8]) {
        guard let last = canvases.last, let frame = part.frames[0] else { return }
        let side = spec.pixels.patchSize
        var start = row
        for tile in part.tiles where tile.slice == slice {
            start += spec.pixels.classRows
            let (top, left) = (tile.row * frame.tile.height, tile.column * frame.tile.width)
            let places = ImageLayout.places(spec.pixels.order, height: tile.gridHeight, width: tile.gridWidth)
            for (index, place) in places.enumerated() {
                for time in 0..<spec.pixels.storedFrames {
                    let canvas = canvases.indices.contains(time) ? canvases[time] : last
                    cut(canvas, top: top + place.row * side, left: left + place.column * side, row: start + index, frames: time..<time + 1, into: &bytes)
                }
            }
            start += tile.patches
        }
    }
}

extension FrameSampling {
    /// What a request asks for.
    package struct Request: Sendable, Hashable {
        /// Frames of a second of the video.
        package var rate: Double?
        /// Frames of the whole video.
        package var count: Int?

        package init(rate: Double? = nil, count: Int? = nil) { (self.rate, self.count) = (rate, count) }

        /// Reads `fps` and `num_frames`, of which one may be given; other arguments are left to others.
        package init(processorArguments object: JSONObject) throws(PixelBoundsError) {
            if let value = object["fps"], !value.isNull {
                guard let rate = value.doubleValue, rate > 0, rate <= 1000 else {
                    throw PixelBoundsError(field: "fps", fault: "must be a number above 0 and at most 1000")
                }
                self.rate = rate
            }
            if let value = object["num_frames"], !value.isNull {
                guard let count = value.intValue, (1...1 << 16).contains(count) else {
                    throw PixelBoundsError(field: "num_frames", fault: "must be a whole number of at least 1 and at most 65536")
                }
                guard rate == nil else { throw PixelBoundsError(field: "num_frames", fault: "is not possible beside fps") }
                self.count = count
            }
        }

        /// These, and those of `other` where these say nothing at all.
        package func over(_ other: Request) -> Request { rate == nil && count == nil ? other : self }
    }

    /// The numbers of the frames to read of a video of `total` frames, `videoRate` in a second; at least one.
    ///
    /// Source: `sample_frames` of HF's video processors. A request for more frames than the video has is refused where they refuse it, and repeats
    /// frames where they do. A rate that gives them no frame, or another than the video has, gives here all of them.
    package func indices(total: Int, videoRate: Double, _ request: Request = Request()) throws(ImageError) -> [Int] {
        let own = Request(rate: rate, count: count)
        let asked = request.over(own)
        var wanted = total
        if let count = asked.count {
            wanted = Int((Double(count) / Double(multiple)).rounded(.toNearestOrEven)) * multiple
            guard wanted > 0 else { throw .video("cannot be read as \(count) frame\(count == 1 ? "" : "s"); ask for at least \(multiple) (num_frames)") }
            if wanted > total, rule != .ends {
                guard request == Request() else { throw .video("has \(total) frames, and \(wanted) are asked for (num_frames)") }
                wanted = total
            }
        } else if let rate = asked.rate {
            let given = Double(total) / videoRate * rate
            guard given.isFinite else { throw .video("has no frame rate; say num_frames") }
            let most = self.most / multiple * multiple
            let near = min(max(given, Double(least)), Double(min(most, total / multiple * multiple)), Double(total))
            wanted = Int(near) / multiple * multiple
        }
        guard wanted > 0 else { return Array(0..<min(total, self.most)) }
        switch rule {
        case .shares: return (0..<wanted).map { $0 * total / wanted }
        case .ends:
            guard wanted > 1 else { return [0] }
            let step = Double(total - 1) / Double(wanted - 1)
            return (0..<wanted).map { $0 + 1 == wanted ? total - 1 : Int((Double($0) * step).rounded(.toNearestOrEven)) }
        case .steps:
            let step = Double(total) / Double(wanted)
            let count = Int((Double(total) / step).rounded(.up))
            return (0..<count).map { min(Int(TableRows.range($0, to: Double(total), step: step)), total - 1) }
        }
    }
}
