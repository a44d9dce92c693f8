extension VideoSpec {
    /// The first field that no model directory makes, in words; nil when there is none.
    func contradiction(_ image: ImageSpec?, vocabularySize: Int) -> String? {
        let check = FieldCheck(place: "video")
        guard let image else { return "video is there, but image is not" }
        if let reason = frames.contradiction(vocabularySize: vocabularySize) { return "video.frames: \(reason)" }
        guard frames.views.count == 1, frames.views[0].source == nil, frames.views[0].condition == .always, frames.order == [0] else {
            return "video.frames has not one view of all frames"
        }
        var pixels = frames.pixels
        pixels.form = image.pixels.form
        guard pixels == image.pixels, frames.tensors == image.tensors, frames.segments == image.segments else {
            return "video.frames has other pixels, tensors or segments than image"
        }
        guard frames.tensors.contains(where: { $0.content == .pixels }), pixels.storedFrames == pixels.temporalPatchSize, !pixels.padsTiles else {
            return "video.frames has pixels that are not those of several frames"
        }
        switch frames.prompt.spacing {
        case .whole: break
        case .framed, .located, .apart: return "video.frames.prompt does not stand in one text"
        }
        guard frames.prompt.marker != image.prompt.marker, frames.prompt.token != image.prompt.token else {
            return "video.frames.prompt has the marker or the token of images"
        }
        if let rate = sampling.rate, !(rate > 0 && rate <= 1000) { return "video.sampling.rate is \(rate), not above 0 and at most 1000" }
        return check.first([
            ("sampling.count", sampling.count ?? 1, 1...1 << 16), ("sampling.most", sampling.most, 1...1 << 16),
            ("sampling.least", sampling.least, 1...1 << 16), ("sampling.multiple", sampling.multiple, 1...64),
            ("positionsPerSecond", positionsPerSecond ?? 1, 1...1 << 16),
        ])
    }
}

extension ClipFit {
    func contradiction(_ check: FieldCheck) -> String? {
        check.first([
            ("fit.minPixels", minPixels, 1...pixelsMax), ("fit.maxPixels", maxPixels, 1...pixelsMax), ("fit.multiple", multiple, 1...1 << 12),
            ("fit.sliceFrames", sliceFrames, 1...64), ("fit.tokensMax", tokensMax ?? 1, 1...1 << 24),
        ])
    }
}
