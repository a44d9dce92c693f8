/// The size of an image for the model: both sides multiples of `factor`, the area between the bounds, the ratio kept
/// as nearly as that allows. The bounds are of so many equal frames together.
///
/// Source: HF `smart_resize` (Qwen2-VL, GLM), with Python's rounding of halves to even and its float arithmetic.
package func smartResize(
    height: Int, width: Int, factor: Int, minPixels: Int, maxPixels: Int, frames: Int = 1
) throws(ImageError) -> (height: Int, width: Int) {
    let tall = Double(height)
    let wide = Double(width)
    let cell = Double(factor)
    guard max(tall, wide) / min(tall, wide) <= 200 else { throw .aspectRatio(width: width, height: height) }
    func multiple(_ cells: Double) -> Int { Int(cells) * factor }
    let nearHeight = multiple((tall / cell).rounded(.toNearestOrEven))
    let nearWidth = multiple((wide / cell).rounded(.toNearestOrEven))
    let pixels = Double(frames) * tall * wide
    if frames * nearHeight * nearWidth > maxPixels {
        let beta = (pixels / Double(maxPixels)).squareRoot()
        return (
            max(factor, multiple((tall / beta / cell).rounded(.down))),
            max(factor, multiple((wide / beta / cell).rounded(.down)))
        )
    }
    if frames * nearHeight * nearWidth < minPixels {
        let beta = (Double(minPixels) / pixels).squareRoot()
        return (multiple((tall * beta / cell).rounded(.up)), multiple((wide * beta / cell).rounded(.up)))
    }
    return (nearHeight, nearWidth)
}
