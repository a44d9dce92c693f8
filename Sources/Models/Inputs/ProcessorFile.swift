package import HuggingFace
import JSON
package import Plan

/// What the file of an image processor says that most of them have in common: the resize, the scale, the normalization.
package struct ProcessorFile {
    let section: ConfigSection
    let filter: ResampleFilter
    let precision: ResizePrecision
    let rescaleFactor: Double?
    let normalization: PixelSpec.Normalization?

    /// - Parameters:
    ///   - types: the classes that the family's images are read by, without the suffixes `Fast` and `Pil`.
    ///   - defaults: what the class normalizes by where the file is silent.
    package init(
        _ section: ConfigSection, types: [String], defaults: PixelSpec.Normalization = .clip, filter standard: ResampleFilter = .bicubic,
        precision: ResizePrecision = .torchvision
    ) throws(CheckpointError) {
        self.section = section
        try section.checkProcessor(types)
        guard try section.flag("do_resize") else { throw section.error("do_resize", "is false, which is not supported", .unsupported) }
        filter = section.has("resample") ? try section.filter() : standard
        self.precision = precision
        rescaleFactor = try section.scaling()
        normalization = try section.normalization(rescaledBy: rescaleFactor, defaults: defaults)
    }

    /// Both sides of a square: `size` as a number, as `height` and `width`, or as `shortest_edge`.
    func side(_ key: String = "size", in range: ClosedRange<Int> = 1...1 << 14) throws(CheckpointError) -> Int? {
        if section.members[key]?.intValue != nil { return try section.size(key, in: range) }
        guard let size = try section.section(key) else { return nil }
        if size.has("shortest_edge") { return try size.size("shortest_edge", in: range) }
        let (height, width) = (try size.size("height", in: range), try size.size("width", in: range))
        guard height == width else { throw section.error(key, "is \(width)×\(height); only squares are supported", .unsupported) }
        return height
    }

    /// Both sides of the one square that becomes a tile of the tower.
    package func tileSide(_ tower: PatchTower) throws(CheckpointError) -> Int {
        let side = try side() ?? tower.gridSide * tower.patchSize
        try check(side: side, tower, "size")
        return side
    }

    /// Throws where squares of that side do not have the patches of the tower's table.
    func check(side: Int, _ tower: PatchTower, _ key: String) throws(CheckpointError) {
        guard side / tower.patchSize != tower.gridSide else { return }
        throw section.error(key, "is \(side), but the tower takes squares of \(tower.gridSide * tower.patchSize)", .inconsistent)
    }

    /// A view by the file's filter.
    package func view(
        _ fit: FitRule, source: Int? = nil, condition: ViewSpec.Condition = .always, background: [UInt8] = [0, 0, 0], tile: Int? = nil
    ) -> ViewSpec {
        ViewSpec(fit, source: source, condition: condition, filter: filter, precision: precision, background: background, tile: tile)
    }

    /// Rows of the tower's patches.
    package func pixels(_ tower: PatchTower, order: PatchOrder = .raster, form: PixelSpec.Form) -> PixelSpec {
        PixelSpec(
            patchSize: tower.patchSize, classRows: tower.firstRows == .classToken ? 1 : 0, order: order, rescaleFactor: rescaleFactor,
            normalization: normalization, isStepwise: precision == .pillow, form: form)
    }
}

extension PixelSpec.Normalization {
    static let clip = PixelSpec.Normalization(
        mean: [0.48145466, 0.4578275, 0.40821073], deviation: [0.26862954, 0.26130258, 0.27577711])
    static let half = PixelSpec.Normalization(mean: [0.5, 0.5, 0.5], deviation: [0.5, 0.5, 0.5])
    static let imageNet = PixelSpec.Normalization(mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225])
}

extension PatchTower {
    /// The named inputs that a tower of fixed tiles reads; its table is of `side` × `side` places.
    package func tensors(_ more: VisionTensor...) -> [VisionTensor] {
        let side = Int(Double(tilePatches).squareRoot())
        var tensors = [VisionTensor("pixels", .pixels), VisionTensor("table_rows", .tableRows(.raster(columns: side)))]
        if firstRows == .classToken { tensors.append(VisionTensor("class_rows", .classRows)) }
        return tensors + more
    }

    /// The sides of a tile in pixels, as the tower's table implies; what is beyond the last patch is not read.
    var gridSide: Int { Int(Double(tilePatches).squareRoot()) }
}

extension ImageSpec {
    /// The program with the text of its token, which is the marker too where that is empty.
    package func named(_ tokens: TokenNames, fallback: String) -> ImageSpec {
        var spec = self
        spec.prompt.tokenText = tokens.text(spec.prompt.token) ?? fallback
        if spec.prompt.marker.isEmpty { spec.prompt.marker = spec.prompt.tokenText }
        return spec
    }
}

/// What a tokenizer calls its tokens.
package struct TokenNames {
    /// The text of a token; nil for one that is not there.
    package let text: (Int32) -> String?
    /// The token of a text; nil where there is none.
    package let token: (String) -> Int32?

    package init(text: @escaping (Int32) -> String?, token: @escaping (String) -> Int32?) {
        self.text = text
        self.token = token
    }
}
