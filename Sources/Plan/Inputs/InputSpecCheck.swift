/// Says which number of a spec cannot be, by its field.
struct FieldCheck {
    var place: String

    func within(_ field: String, _ value: Int, _ range: ClosedRange<Int>) -> String? {
        let name = place.isEmpty ? field : "\(place).\(field)"
        return range.contains(value) ? nil : "\(name) is \(value), not in \(range.lowerBound) … \(range.upperBound)"
    }

    /// Lengths above zero that rise.
    func contradiction(ofLengths lengths: [Int]) -> String? {
        if let reason = within("positions.longest's count", lengths.count, 1...64) { return reason }
        for (length, next) in zip(lengths, lengths.dropFirst() + [1 << 31]) {
            if let reason = within("positions.longest", length, 1...next - 1) { return reason }
        }
        return nil
    }

    /// The first field that is out of its range.
    func first(_ fields: [(String, Int, ClosedRange<Int>)]) -> String? {
        for (field, value, range) in fields {
            if let reason = within(field, value, range) { return reason }
        }
        return nil
    }
}

/// Most pixels of a side, and of an image.
let (sideMax, pixelsMax) = (1 << 20, Int(Int32.max))

extension InputSpec {
    /// The first field that no model directory makes, with the field's name; nil when arithmetic may trust each by itself.
    ///
    /// Whether it fits a program is the artifact's to check.
    package var contradiction: String? {
        let check = FieldCheck(place: "")
        if let reason = check.within("vocabularySize", vocabularySize, 1...Program.vocabularyMax) { return reason }
        if let reason = image?.contradiction(vocabularySize: vocabularySize) { return reason }
        if let reason = video?.contradiction(image, vocabularySize: vocabularySize) { return reason }
        if video != nil, videoFault != nil { return "videoFault is there beside video" }
        if video == nil, videoRefusal != nil { return "videoRefusal is there without video" }
        let reason =
            switch positions {
            case .mrope(let side): check.within("positions.mergeSize", side, 1...64)
            case .sequential(let start): check.within("positions.start", start, 0...1 << 16)
            case .byLength(let lengths): check.contradiction(ofLengths: lengths.longest)
            }
        if let reason { return reason }
        if let reason = check.within("generation.maxNewTokens", generation.maxNewTokens ?? 0, 0...Int(Int32.max)) { return reason }
        return check.within("generation.topK", generation.topK ?? 0, -1...Int(Int32.max))
    }
}

extension ImageSpec {
    func contradiction(vocabularySize: Int) -> String? {
        let check = FieldCheck(place: "image")
        guard (1...16).contains(views.count) else { return "image.views are \(views.count), not 1 … 16" }
        for (index, view) in views.enumerated() {
            if let reason = view.contradiction(FieldCheck(place: "image.views[\(index)]"), index) { return reason }
        }
        guard (1...16).contains(order.count), order.allSatisfy(views.indices.contains) else { return "image.order names no view, or one that is not there" }
        if let reason = pixels.contradiction(FieldCheck(place: "image.pixels")) { return reason }
        guard tensors.count(where: { [.pixels, .values].contains($0.content) }) == 1 else { return "image.tensors has not one of pixels" }
        guard Set(tensors.map(\.name)).count == tensors.count else { return "image.tensors has two of one name" }
        for rows in segments {
            if let reason = rows.content.count.flatMap({ check.within("segments' \(rows.name)", $0, 1...1 << 16) }) { return reason }
        }
        for tensor in tensors {
            if let reason = tensor.content.side.flatMap({ check.within("tensors' \(tensor.name)", $0, 1...1 << 16) }) { return reason }
        }
        switch features {
        case .cells(let side):
            guard side == pixels.order.cellSide else { return "image.features are of cells of \(side), but the patches are in those of \(pixels.order.cellSide)" }
        case .squares(let side):
            guard pixels.order == .raster else { return "image.features are of squares, but the patches are not in raster order" }
            if let reason = check.within("features.squares.side", side, 1...64) { return reason }
        case .queries(let count):
            if let reason = check.within("features.queries.count", count, 1...1 << 16) { return reason }
        case .stitched(let bases, let grid, let most):
            guard pixels.order == .raster else { return "image.features are stitched, but the patches are not in raster order" }
            guard (bases + [grid]).allSatisfy(views.indices.contains) else { return "image.features are of views that are not there" }
            if let most, let reason = check.within("features.stitched.most", most, 1...1 << 10) { return reason }
        case .lines(let grid, let whole, let side):
            guard views.indices.contains(grid), views.indices.contains(whole) else {
                return "image.features are of views that are not there"
            }
            guard side == pixels.order.cellSide, order.first == whole, order.last == grid, order.count == 2 else {
                return "image.features are lines of cells of \(side), which are not those of the patches"
            }
        case .pooled(let grid, let side):
            guard pixels.order == .raster else { return "image.features are pooled, but the patches are not in raster order" }
            if let reason = check.first([("features.pooled.grid", grid, 1...1 << 10), ("features.pooled.side", side, 1...1 << 10)]) { return reason }
        }
        return prompt.contradiction(vocabularySize: vocabularySize, views: views.count)
    }

    /// No image, and no slice of a video of whole slices, has more rows of the vision entry's inputs than this; nil where the rules set no bound.
    package var maxRows: Int? {
        var rows = 0
        for index in order {
            guard let pixelsAtMost = maxPixels(of: views[index]) else { return nil }
            let patch = pixels.patchSize
            guard let side = views[index].tile else {
                let tiles =
                    switch views[index].fit {
                    case .aspectTiles(_, _, let most), .slices(_, let most, _), .pages(_, let most): most
                    default: 1
                    }
                rows += pixelsAtMost / (patch * patch) + tiles * pixels.classRows
                continue
            }
            rows += pixelsAtMost / (side * side) * ((side / patch) * (side / patch) + pixels.classRows)
        }
        return rows
    }

    /// No vision call of so many rows makes more features than this.
    package func maxFeatures(rows: Int) -> Int {
        switch features {
        case .cells(let side), .squares(let side): return max(rows / (side * side), 1)
        // A tile has one cell at least.
        case .queries(let count): return tilesMax * count
        // Each line has a learned row behind it, and is one patch long at least.
        case .stitched: return 2 * rows + 1
        case .lines(_, _, let side): return 2 * (rows / (side * side)) + 1
        case .pooled(let grid, let side): return rows / (grid * grid) * side * side + 1
        }
    }

    /// No image has more tiles than this; those of a view without a bound count as one.
    package var tilesMax: Int {
        order.reduce(0) { tiles, index in
            let view = views[index]
            switch view.fit {
            case .slices(_, let most, _), .aspectTiles(_, _, let most), .pages(_, let most): return tiles + most
            default:
                guard let side = view.tile, let pixels = maxPixels(of: view) else { return tiles + 1 }
                return tiles + pixels / (side * side)
            }
        }
    }

    /// Most pixels of a view's canvas.
    private func maxPixels(of view: ViewSpec) -> Int? {
        switch view.fit {
        case .keep: return nil
        case .volume(let minPixels, let maxPixels, let multiple, let frames):
            return Self.smartPixels(minPixels / frames + 1, maxPixels / frames, multiple)
        case .smart(let minPixels, let maxPixels, let multiple, _), .bounded(let minPixels, let maxPixels, let multiple):
            return Self.smartPixels(minPixels, maxPixels, multiple)
        case .clip(let fit):
            let frames = fit.isShared ? fit.sliceFrames : 1
            return Self.smartPixels(fit.minPixels / frames, max(fit.minPixels, fit.maxPixels) / frames, fit.multiple)
        case .fill(let maxPixels, _): return maxPixels
        case .exact(let width, let height), .cover(_, let width, let height), .interpolated(let width, let height): return width * height
        case .padded(let side): return side * side
        case .pinpoints(let sizes): return sizes.reduce(0) { max($0, $1.width * $1.height) }
        case .aspectTiles(let side, _, let most), .pages(let side, let most): return side * side * most
        case .longest(let longest, let multiple):
            let side = (longest + multiple - 1) / multiple * multiple
            return side * side
        // A side is at least one multiple and at most as long as the area allows; each is rounded to the nearest.
        case .overview(let side, _, let multiple): return Self.slicePixels(side, multiple)
        case .slices(let side, let most, let multiple): return most * Self.slicePixels(side, multiple)
        case .longestEdge(let edge): return (edge + 1) * (edge + 1)
        case .multiples(let side):
            guard let source = view.source, let pixels = maxPixels(of: views[source]) else { return nil }
            let most = Int(Double(pixels).squareRoot()) + side
            return most * most + side * pixels
        }
    }

    private static func smartPixels(_ minPixels: Int, _ maxPixels: Int, _ multiple: Int) -> Int {
        // Long images pass `maxPixels`: the short side never falls below one cell, and the ratio goes up to 200.
        let cell = Double(multiple)
        let longest = (200 * Double(maxPixels)).squareRoot()
        let shrunk = max(Double(maxPixels), cell * max(longest, cell))
        let smallest = Double(minPixels)
        let grown = smallest + cell * smallest.squareRoot() * (200.0.squareRoot() + 1) + cell * cell
        return Int(max(shrunk, grown))
    }

    private static func slicePixels(_ side: Int, _ multiple: Int) -> Int {
        (side + multiple) * (side + multiple) + multiple * side * side
    }
}

extension VisionTensor.Content {
    /// The side of the table, or the number of queries, that it counts in.
    fileprivate var side: Int? {
        switch self {
        case .tableRows(.raster(let side)), .tableRows(.buckets(let side, _)), .tableRows(.lineBuckets(let side, _)): side
        case .queryRows(let side): side
        case .blendRows(.bilinear(let side, _)), .blendWeights(.bilinear(let side, _)): side
        case .blendRows(.bicubic(let side)), .blendWeights(.bicubic(let side)): side
        case .blendRows(.antialiased(let side)), .blendWeights(.antialiased(let side)): side * side
        case .pixels, .values, .patchPositions, .keptRows, .classRows, .featureRows, .featureBlendRows, .featureBlendWeights: nil
        case .learnedRows: nil
        }
    }
}

extension VisionSegments.Content {
    /// The number that it counts in.
    fileprivate var count: Int? {
        switch self {
        case .queries(let count), .runs(let count), .cells(let count): count
        case .images, .tiles, .kept, .windows: nil
        }
    }
}

extension ViewSpec {
    fileprivate func contradiction(_ check: FieldCheck, _ index: Int) -> String? {
        if let source, !(0..<index).contains(source) { return "\(check.place).source is \(source), no view before it" }
        switch condition {
        case .split(let view), .without(let view):
            guard (0..<index).contains(view) else { return "\(check.place).condition is of view \(view), none before it" }
        case .larger(let pixels, let multiple, let least):
            let fields = [
                ("condition.pixels", pixels, 0...1 << 52), ("condition.multiple", multiple, 1...1 << 16), ("condition.least", least, 0...1 << 16),
            ]
            if let reason = check.first(fields) { return reason }
        case .always, .alone, .amongOthers: break
        }
        guard background.count == 3 else { return "\(check.place).background has not three channels" }
        if let tile, let reason = check.within("tile", tile, 1...sideMax) { return reason }
        let sides = 1...sideMax
        switch fit {
        case .keep(let multiple): return check.within("fit.multiple", multiple, sides)
        case .volume(let least, let most, let multiple, let frames):
            return check.first([
                ("fit.minPixels", least, 1...pixelsMax), ("fit.maxPixels", most, 1...pixelsMax), ("fit.multiple", multiple, 1...1 << 16),
                ("fit.frames", frames, 1...64),
            ])
        case .fill(let most, let multiple):
            return check.first([("fit.multiple", multiple, 1...1 << 12), ("fit.maxPixels", most, multiple * multiple...pixelsMax)])
        case .smart(let least, let most, let multiple, _), .bounded(let least, let most, let multiple):
            return check.first([("fit.minPixels", least, 1...pixelsMax), ("fit.maxPixels", most, 1...pixelsMax), ("fit.multiple", multiple, 1...1 << 16)])
        case .clip(let fit): return fit.contradiction(check)
        case .exact(let width, let height), .interpolated(let width, let height):
            return check.first([("fit.width", width, sides), ("fit.height", height, sides)])
        case .cover(let edge, let width, let height):
            return check.first([("fit.edge", edge, sides), ("fit.width", width, sides), ("fit.height", height, sides)])
        case .padded(let side): return check.within("fit.side", side, sides)
        case .pinpoints(let sizes):
            guard (1...1024).contains(sizes.count) else { return "\(check.place).fit.pinpoints are \(sizes.count), not 1 … 1024" }
            for size in sizes {
                if let reason = check.first([("fit.width", size.width, sides), ("fit.height", size.height, sides)]) { return reason }
            }
            return nil
        case .aspectTiles(let side, let least, let most):
            return check.first([("fit.side", side, 1...1 << 14), ("fit.most", most, 1...64), ("fit.least", least, 1...most)])
        case .longest(let longest, let multiple): return check.first([("fit.longest", longest, sides), ("fit.multiple", multiple, 1...1 << 16)])
        case .overview(let side, let most, let multiple), .slices(let side, let most, let multiple):
            return check.first([("fit.side", side, 1...1 << 14), ("fit.most", most, 1...64), ("fit.multiple", multiple, 1...1 << 12)])
        case .longestEdge(let edge): return check.within("fit.edge", edge, 1...1 << 14)
        case .multiples(let side): return check.within("fit.side", side, 1...1 << 14)
        case .pages(let side, let most): return check.first([("fit.side", side, 1...1 << 14), ("fit.most", most, 1...64)])
        }
    }
}

extension PixelSpec {
    fileprivate func contradiction(_ check: FieldCheck) -> String? {
        let side = order.cellSide
        var fields = [
            ("patchSize", patchSize, 1...1024), ("temporalPatchSize", temporalPatchSize, 1...64), ("classRows", classRows, 0...64),
            ("storedFrames", storedFrames, 1...max(temporalPatchSize, 1)),
            ("order.side", side, 1...64),
        ]
        if case .windows(_, let window) = order { fields.append(("order.window", window, 1...1024)) }
        if case .padded(let rows) = form { fields.append(("form.rows", rows, 1...1 << 24)) }
        if let reason = check.first(fields) { return reason }
        guard let normalization else { return nil }
        guard normalization.mean.count == 3, normalization.deviation.count == 3, !normalization.deviation.contains(0) else {
            return "\(check.place).normalization has not three channels, or a deviation of 0"
        }
        return nil
    }
}

extension ImagePrompt {
    fileprivate func contradiction(vocabularySize: Int, views: Int) -> String? {
        let check = FieldCheck(place: "image.prompt")
        if let reason = check.within("token", Int(token), 0...vocabularySize - 1) { return reason }
        var texts = [("marker", marker)]
        if isWritten { texts.append(("tokenText", tokenText)) }
        for (field, text) in texts {
            if let reason = check.within("\(field)'s length", text.utf8.count, 1...1024) { return reason }
        }
        return pieces.lazy.compactMap { $0.contradiction(check, views) }.first
    }
}

extension PromptPiece {
    fileprivate func contradiction(_ check: FieldCheck, _ views: Int) -> String? {
        func texts(_ texts: String...) -> String? {
            texts.lazy.compactMap { check.within("pieces' length of a text", $0.utf8.count, 0...1024) }.first
        }
        func pieces(_ pieces: [PromptPiece]) -> String? { pieces.lazy.compactMap { $0.contradiction(check, views) }.first }
        switch self {
        case .features: return nil
        case .text(let text): return texts(text)
        case .tiles(let view, let inner, let between, let rowEnd):
            return check.within("pieces.view", view, 0...views - 1) ?? texts(between, rowEnd) ?? pieces(inner)
        case .lines(let inner, let between): return texts(between) ?? pieces(inner)
        case .view(let view, let inner, let otherwise): return check.within("pieces.view", view, 0...views - 1) ?? pieces(inner) ?? pieces(otherwise)
        }
    }
}
