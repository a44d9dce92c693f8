internal import Plan

extension ClipFit {
    /// What each of so many frames is resized to.
    ///
    /// Source: `smart_resize` and `resize` of HF `Qwen2VLVideoProcessor` and `Qwen3VLVideoProcessor`.
    func size(of frame: ImageSize, frames count: Int) throws(ImageError) -> ImageSize {
        let (height, width) = isShared ? try shared(frame, count) : try smartResize(
            height: frame.height, width: frame.width, factor: multiple, minPixels: minPixels, maxPixels: pixelsOfOne(count))
        return ImageSize(width: width, height: height)
    }

    /// The least that a cap leaves.
    private var floorPixels: Int { Int(Double(minPixels) * 1.05) }

    /// Most pixels of one of so many frames, where bounds are of each.
    private func pixelsOfOne(_ count: Int) -> Int {
        guard let tokensMax else { return maxPixels }
        let total = Int(Double(tokensMax * multiple * multiple) * 0.9)
        return max(min(maxPixels, total * sliceFrames / count), floorPixels)
    }

    private func shared(_ frame: ImageSize, _ count: Int) throws(ImageError) -> (height: Int, width: Int) {
        guard count >= sliceFrames else { throw .fewFrames(count: count, least: sliceFrames) }
        var most = maxPixels
        if let tokensMax { most = max(min(tokensMax * multiple * multiple, maxPixels / count), floorPixels) * count }
        let cell = Double(multiple)
        var (tall, wide) = (frame.height, frame.width)
        if tall < multiple || wide < multiple {
            let scale = max(cell / Double(tall), cell / Double(wide))
            (tall, wide) = (Int(Double(tall) * scale), Int(Double(wide) * scale))
        }
        let (height, width) = (Double(tall), Double(wide))
        guard max(height, width) / min(height, width) <= 200 else { throw .aspectRatio(width: frame.width, height: frame.height) }
        func multiples(_ length: Double, _ rule: FloatingPointRoundingRule) -> Int { Int((length / cell).rounded(rule)) * multiple }
        let near = (multiples(height, .toNearestOrEven), multiples(width, .toNearestOrEven))
        let volume = Double(count) * height * width
        let nearCount = Int((Double(count) / Double(sliceFrames)).rounded(.toNearestOrEven)) * sliceFrames
        if nearCount * near.0 * near.1 > most {
            let beta = (volume / Double(most)).squareRoot()
            return (max(multiple, multiples(height / beta, .down)), max(multiple, multiples(width / beta, .down)))
        }
        if nearCount * near.0 * near.1 < minPixels {
            let beta = (Double(minPixels) / volume).squareRoot()
            return (multiples(height * beta, .up), multiples(width * beta, .up))
        }
        return near
    }
}
