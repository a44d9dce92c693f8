import JSON
import Models
import Reference

extension FamilyRecord {
    private func section(_ name: String) -> JSONObject { json[name]?.objectValue ?? [:] }

    /// A number, or the first of a list.
    private func number(_ object: JSONObject, _ key: String, _ standard: Int) -> Int {
        object[key]?.intValue ?? object[key]?.arrayValue?.first?.intValue ?? standard
    }

    /// The named tensors of the vision entry, made of recorded pixels; nil where these are not recorded in full.
    func visionInputs() throws -> [String: Tensor]? {
        let inputs: [String: Tensor]?
        switch modelType {
        case "llava" where section("vision_config")["model_type"]?.stringValue == "pixtral": inputs = try sizedPictures(merge: 1)
        case "mistral3": inputs = try sizedPictures(merge: number(json, "spatial_merge_size", 2))
        case "llava", "paligemma", "internvl", "internvl_chat", "gemma3", "idefics3", "smolvlm": inputs = try fixedTiles()?.inputs
        case "llava_next", "llava_onevision": inputs = try packedTiles()
        case "minicpmv": inputs = try slices()
        case "phi3_v": inputs = try transformedTiles()
        case "qwen": inputs = try squarePicture()
        case "qwen2_vl", "qwen2_5_vl", "qwen3_vl": inputs = try mergedPatches()
        case "paddleocr_vl": inputs = try rasterPatches()
        default: inputs = nil
        }
        let names = Set(module.graph("vision")?.inputs.map(\.name) ?? [])
        return inputs?.filter { names.contains($0.key) }
    }

    private func scale() throws -> (mean: [Double], deviation: [Double]) { (try normalization.mean, try normalization.deviation) }

    private func fixedTiles() throws -> (rows: TileRows, inputs: [String: Tensor])? {
        guard let values = recorded("inputs.pixel_values") else { return nil }
        let vision = section("vision_config")
        let (patch, type) = (number(vision, "patch_size", 14), vision["model_type"]?.stringValue ?? "")
        let side = number(vision, "image_size", 224) / patch
        let hasClass = ["clip_vision_model", "internvl_vision", "intern_vit_6b"].contains(type)
        var order = TileRows.Order.raster
        switch modelType {
        case "internvl", "internvl_chat": order = .blocks(2)
        case "idefics3", "smolvlm": order = .blocks(number(json, "scale_factor", 2))
        case "gemma3": order = .blocks(side / Int(Double(number(json, "mm_tokens_per_image", 256)).squareRoot()))
        default: break
        }
        var rows = TileRows(patchSize: patch, order: order, hasClassRow: hasClass)
        rows.add(values)
        var inputs = rows.inputs(try scale())
        inputs["table_rows"] = rows.tableRows(side: side, offset: hasClass ? 1 : 0)
        if ["idefics3", "smolvlm"].contains(modelType) {
            inputs["table_rows"] = rows.bucketRows(side: side) { index, count in
                Taps.bucket(min(Float(index) * (1 / Float(count)), 1 - 1e-6), side: side)
            }
        }
        return (rows, inputs)
    }

    /// The base tile, then the lines of the tiles joined and cut to the picture, each with an end.
    private func packedTiles() throws -> [String: Tensor]? {
        guard let (tiles, tileInputs) = try fixedTiles(), let size = recorded("inputs.image_sizes")?.ints else { return nil }
        let grid = tiles.grids[0].rows
        let offset = tiles.hasClassRow ? 1 : 0
        let tileRows = grid * grid + offset
        let image = grid * tiles.patchSize
        let pinpoints = json["image_grid_pinpoints"]?.arrayValue?.map { $0.arrayValue?.compactMap(\.intValue) ?? [] } ?? []
        let (height, width) = (Int(size[0]), Int(size[1]))
        let best = Self.bestResolution(pinpoints, height: height, width: width)
        let (down, across) = (best[0] / image, best[1] / image)
        // Cut to the proportions of the picture.
        var (rows, columns) = (0..<down * grid, 0..<across * grid)
        if Double(width) / Double(height) > Double(columns.count) / Double(rows.count) {
            let kept = Int((Double(height) * Double(columns.count) / Double(width) * 1e7).rounded() / 1e7)
            let cut = (rows.count - kept) / 2
            rows = cut..<rows.count - cut
        } else {
            let kept = Int((Double(width) * Double(rows.count) / Double(height) * 1e7).rounded() / 1e7)
            let cut = (columns.count - kept) / 2
            columns = cut..<columns.count - cut
        }
        func row(_ y: Int, _ x: Int) -> Int32 {
            let tile = 1 + y / grid * across + x / grid
            return Int32(tile * tileRows + offset + y % grid * grid + x % grid)
        }
        var taps: [[(row: Int32, weight: Float)]] = (0..<grid * grid).map { [(Int32(offset + $0), 1)] }
        var ends: [Int32] = Array(repeating: -1, count: taps.count)
        let (lines, line) = shrunk(rows.count, columns.count, grid)
        for y in 0..<lines {
            for x in 0..<line {
                let vertical = lines == rows.count ? [(y, 1)] : Taps.linear(y, lines, side: rows.count, alignsCorners: false)
                let horizontal = line == columns.count ? [(x, 1)] : Taps.linear(x, line, side: columns.count, alignsCorners: false)
                taps.append(vertical.flatMap { v in horizontal.map { (row(rows.lowerBound + v.0, columns.lowerBound + $0.0), v.1 * $0.1) } })
                ends.append(-1)
            }
            taps.append([(0, 1)])
            ends.append(0)
        }
        var inputs = tileInputs
        inputs["extra_rows"] = Tensor(ints: ends, [ends.count])
        if modelType == "llava_next" {
            inputs["feature_rows"] = Tensor(ints: taps.map { $0[0].row }, [taps.count])
        } else {
            let padded = taps.map { $0 + Array(repeating: (row: 0, weight: 0), count: 4 - $0.count) }
            inputs["feature_rows"] = Tensor(ints: padded.flatMap { $0.map(\.row) }, [taps.count, 4])
            inputs["feature_weights"] = Tensor(padded.flatMap { $0.map(\.weight) }, [taps.count, 4])
        }
        return inputs
    }

    /// The size that a grid of that many rows and columns shrinks to (`anyres_max_N`).
    private func shrunk(_ rows: Int, _ columns: Int, _ grid: Int) -> (Int, Int) {
        guard modelType == "llava_onevision", let most = Int(json["vision_aspect_ratio"]?.stringValue?.split(separator: "_").last ?? "9") else {
            return (rows, columns)
        }
        let ratio = (Double(rows * columns) / Double(most * grid * grid)).squareRoot()
        return ratio > 1.1 ? (Int(Double(rows) / ratio), Int(Double(columns) / ratio)) : (rows, columns)
    }

    private static func bestResolution(_ candidates: [[Int]], height: Int, width: Int) -> [Int] {
        var (best, most, least) = (candidates[0], -1, Int.max)
        for candidate in candidates {
            let scale = min(Double(candidate[1]) / Double(width), Double(candidate[0]) / Double(height))
            let used = min(Int(Double(width) * scale) * Int(Double(height) * scale), width * height)
            let wasted = candidate[0] * candidate[1] - used
            if used > most || (used == most && wasted < least) { (best, most, least) = (candidate, used, wasted) }
        }
        return best
    }

    /// MiniCPM-V: strips of patches side by side, each slice with queries of its own.
    private func slices() throws -> [String: Tensor]? {
        guard let sizes = recorded("tgt_sizes")?.ints else { return nil }
        let patch = number(json, "patch_size", 14)
        let side = number(section("vision_config"), "image_size", 980) / patch
        let isPadded = json["version"]?.stringValue == "2.5"
        let counts = stride(from: 0, to: sizes.count, by: 2).map { Int(sizes[$0] * sizes[$0 + 1]) }
        let longest = counts.max() ?? 0
        var rows = TileRows(patchSize: patch)
        var kept: [Int32] = []
        for slice in counts.indices {
            guard let strip = recorded("pixel_values_\(slice)") else { return nil }
            let columns = Int(sizes[2 * slice + 1])
            let (values, width) = (strip.floats, strip.shape[2])
            for index in 0..<counts[slice] {
                kept.append(Int32(rows.pixels.count))
                let pixels = (0..<3 * patch).flatMap { line in values[line * width + index * patch..<line * width + (index + 1) * patch] }
                rows.append(pixels, (index / columns, index % columns), isPatch: true)
            }
            if isPadded {
                for index in counts[slice]..<longest { rows.append(Array(repeating: 0, count: 3 * patch * patch), (0, index), isPatch: false) }
            }
            rows.grids.append((Int(sizes[2 * slice]), columns))
        }
        func bucket(_ index: Int, _ count: Int) -> Int { Taps.bucket(Taps.range(0, 1 - 1e-6, 1 / Double(count))[index], side: side) }
        var inputs = rows.inputs(try scale())
        inputs["table_rows"] = rows.bucketRows(side: side, bucket)
        if isPadded {
            let starts = rows.tiles.indices.map { index in index - rows.tiles.firstIndex(of: rows.tiles[index])! }
            inputs["table_rows"] = Tensor(ints: starts.map { Int32(bucket($0, longest)) }, [starts.count])
            inputs["feature_rows"] = Tensor(ints: kept, [kept.count])
            let places = kept.map { rows.places[Int($0)] }
            inputs["patch_positions"] = Tensor(ints: places.map { Int32($0.row) } + places.map { Int32($0.column) }, [2, kept.count])
        }
        let queries = number(json, "query_num", 64)
        let owners = counts.indices.flatMap { Array(repeating: $0, count: queries) }
        inputs["query_rows"] = Tensor(ints: counts.indices.flatMap { _ in (0..<queries).map(Int32.init) }, [owners.count])
        inputs["visible_keys"] = TileRows.same(owners, kept.map { rows.tiles[Int($0)] })
        return inputs
    }

    /// Phi-3-vision: the lines of the tiles joined, each with an end, a separator, then those of the whole picture.
    private func transformedTiles() throws -> [String: Tensor]? {
        guard let values = recorded("inputs.pixel_values"), let size = recorded("inputs.image_sizes")?.ints else { return nil }
        let patch = 14
        let image = values.shape[values.shape.count - 1]
        var rows = TileRows(patchSize: patch, order: .blocks(2), hasClassRow: true)
        rows.add(values)
        let cells = image / patch / 2
        let (down, across) = (Int(size[0]) / image, Int(size[1]) / image)
        var (features, extras): ([Int32], [Int32]) = ([], [])
        func add(_ row: Int, _ extra: Int32) {
            features.append(Int32(row))
            extras.append(extra)
        }
        for y in 0..<down * cells {
            for x in 0..<across * cells { add((1 + y / cells * across + x / cells) * cells * cells + y % cells * cells + x % cells, -1) }
            add(0, 0)
        }
        add(0, 1)
        for y in 0..<cells {
            for x in 0..<cells { add(y * cells + x, -1) }
            add(0, 0)
        }
        var inputs = rows.inputs(nil)
        inputs["table_rows"] = rows.tableRows(side: image / patch, offset: 1)
        inputs["feature_rows"] = Tensor(ints: features, [features.count])
        inputs["extra_rows"] = Tensor(ints: extras, [extras.count])
        return inputs
    }

    /// The first Qwen-VL: positions and places blended from tables of 16 × 16.
    private func squarePicture() throws -> [String: Tensor]? {
        guard let values = recorded("inputs.pixel_values") else { return nil }
        var rows = TileRows(patchSize: number(section("visual"), "patch_size", 14))
        rows.add(values)
        var inputs = rows.inputs(try scale())
        inputs.merge(rows.blendedRows(side: 16) { Taps.cubic($0, $1, side: 16) }) { first, _ in first }
        let owners = rows.grids.indices.flatMap { Array(repeating: $0, count: 256) }
        inputs["visible_keys"] = TileRows.same(owners, rows.tiles)
        return inputs
    }

    /// Pixtral: pictures of any size, cut to `image_sizes`.
    private func sizedPictures(merge: Int) throws -> [String: Tensor]? {
        guard let values = recorded("inputs.pixel_values"), let sizes = recorded("inputs.image_sizes")?.ints else { return nil }
        var rows = TileRows(patchSize: number(section("vision_config"), "patch_size", 14), order: merge > 1 ? .blocks(merge) : .raster)
        let (height, width) = (values.shape[2], values.shape[3])
        let floats = values.floats
        for index in 0..<sizes.count / 2 {
            let (down, across) = (Int(sizes[2 * index]), Int(sizes[2 * index + 1]))
            let picture = (0..<3 * down).flatMap { line -> ArraySlice<Float> in
                let start = ((index * 3 + line / down) * height + line % down) * width
                return floats[start..<start + across]
            }
            rows.add(picture[...], height: down, width: across)
        }
        return rows.inputs(try scale())
    }

    /// Rows of channels, frames and pixels as they are, in squares of patches; two frames are one.
    private func mergedPatches() throws -> [String: Tensor]? {
        guard let values = recorded("inputs.pixel_values"), let grids = recorded("inputs.image_grid_thw")?.ints else { return nil }
        let vision = section("vision_config")
        let (patch, merge) = (number(vision, "patch_size", 14), number(vision, "spatial_merge_size", 2))
        let (area, width) = (patch * patch, values.shape[1])
        let floats = values.floats
        var rows = TileRows(patchSize: patch)
        var (windows, cells): ([Int], [Int]) = ([], [])
        var next = 0
        for picture in 0..<grids.count / 3 {
            let (down, across) = (Int(grids[3 * picture + 1]), Int(grids[3 * picture + 2]))
            let places = TileRows.places(down, across, .blocks(merge))
            let side = modelType == "qwen2_5_vl" ? number(vision, "window_size", 112) / patch / merge : max(down, across)
            let cellPlaces = TileRows.places(down / merge, across / merge, .raster)
            func window(_ cell: Int) -> Int { cellPlaces[cell].row / side * across + cellPlaces[cell].column / side }
            let sorted = cellPlaces.indices.sorted { (window($0), $0) < (window($1), $1) }
            for cell in sorted {
                cells.append(next + cell)
                for index in cell * merge * merge..<(cell + 1) * merge * merge {
                    let start = (next * merge * merge + index) * width
                    let pixels = (0..<3).flatMap { floats[start + $0 * width / 3..<start + $0 * width / 3 + area] }
                    rows.append(pixels, places[index], isPatch: true)
                    windows.append(picture << 20 + window(cell))
                }
            }
            rows.grids.append((down, across))
            next += cellPlaces.count
        }
        var inputs = rows.inputs(try scale())
        inputs["visible_windows"] = TileRows.same(windows, windows)
        var feature = Array(repeating: Int32(0), count: cells.count)
        for (row, cell) in cells.enumerated() { feature[cell] = Int32(row) }
        inputs["feature_rows"] = Tensor(ints: feature, [feature.count])
        if let count = vision["num_position_embeddings"]?.intValue {
            let table = Int(Double(count).squareRoot())
            inputs.merge(rows.blendedRows(side: table) { Taps.linear($0, $1, side: table, alignsCorners: true) }) { first, _ in first }
        }
        return inputs
    }

    /// PaddleOCR-VL: patches of channels and pixels, row by row; here in squares.
    private func rasterPatches() throws -> [String: Tensor]? {
        guard let values = recorded("inputs.pixel_values"), let grids = recorded("inputs.image_grid_thw")?.ints else { return nil }
        let vision = section("vision_config")
        let (patch, merge) = (number(vision, "patch_size", 14), number(vision, "spatial_merge_size", 2))
        let (floats, width) = (values.floats, 3 * patch * patch)
        var (rows, first) = (TileRows(patchSize: patch), 0)
        for picture in 0..<grids.count / 3 {
            let (down, across) = (Int(grids[3 * picture + 1]), Int(grids[3 * picture + 2]))
            for place in TileRows.places(down, across, .blocks(merge)) {
                let start = (first + place.row * across + place.column) * width
                rows.append(Array(floats[start..<start + width]), place, isPatch: true)
            }
            rows.grids.append((down, across))
            first += down * across
        }
        let side = number(vision, "image_size", 384) / patch
        var inputs = rows.inputs(try scale())
        inputs.merge(rows.blendedRows(side: side) { Taps.linear($0, $1, side: side, alignsCorners: false) }) { first, _ in first }
        return inputs
    }
}
