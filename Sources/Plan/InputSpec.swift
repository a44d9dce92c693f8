/// What the runtime must know to turn a request into tokens, patches and positions; the artifact carries it as JSON.
package struct InputSpec: Sendable, Hashable, Codable {
    /// How a picture becomes patches; nil for a model that reads text only.
    package var imageProcessor: ImageProcessorSpec?
    /// How a picture stands in the prompt; nil for a model that reads text only.
    package var imagePlaceholder: PlaceholderSpec?
    /// How token positions are counted.
    package var positions: PositionScheme
    /// Largest grid that the compiled vision entry accepts; nil when there is no vision entry.
    package var visionLimits: VisionLimits?
    /// Number of rows of the embedding table: every token id is below it.
    package var vocabularySize: Int
    /// Tokens that end a generation, from generation_config.json, else config.json.
    package var endTokenIDs: [Int32]
    /// Sampling defaults of generation_config.json.
    package var generation: GenerationDefaults
    /// Special tokens by the names under which chat templates know them: `bos_token`, `eos_token`, ….
    package var specialTokens: [String: String]

    package init(
        imageProcessor: ImageProcessorSpec?, imagePlaceholder: PlaceholderSpec?, positions: PositionScheme,
        visionLimits: VisionLimits?, vocabularySize: Int, endTokenIDs: [Int32], generation: GenerationDefaults = .init(),
        specialTokens: [String: String] = [:]
    ) {
        self.imageProcessor = imageProcessor
        self.imagePlaceholder = imagePlaceholder
        self.positions = positions
        self.visionLimits = visionLimits
        self.vocabularySize = vocabularySize
        self.endTokenIDs = endTokenIDs
        self.generation = generation
        self.specialTokens = specialTokens
    }
}

extension InputSpec {
    /// The first field that no model directory makes, with the field's name; nil when arithmetic may trust each by itself.
    ///
    /// Whether it fits a program is the artifact's to check.
    package var contradiction: String? {
        func within(_ field: String, _ value: Int, _ range: ClosedRange<Int>) -> String? {
            range.contains(value) ? nil : "\(field) is \(value), not in \(range.lowerBound) … \(range.upperBound)"
        }
        if let reason = within("vocabularySize", vocabularySize, 1...Program.vocabularyMax) { return reason }
        if let reason = imageProcessor?.contradiction(within) { return reason }
        if let placeholder = imagePlaceholder {
            if let reason = within("imagePlaceholder.tokenID", Int(placeholder.tokenID), 0...vocabularySize - 1) { return reason }
            if let reason = within("imagePlaceholder.text's length", placeholder.text.utf8.count, 0...1024) { return reason }
            let reason =
                switch placeholder.expansion {
                case .mergedGrid(let side): within("imagePlaceholder.expansion.mergeSize", side, 1...64)
                case .fixed(let count): within("imagePlaceholder.expansion.count", count, 0...1 << 16)
                }
            if let reason { return reason }
        }
        let reason =
            switch positions {
            case .mrope(let side): within("positions.mergeSize", side, 1...64)
            case .sequential(let start): within("positions.start", start, 0...1 << 16)
            }
        if let reason { return reason }
        if let limits = visionLimits {
            if let reason = within("visionLimits.maxPatchesPerImage", limits.maxPatchesPerImage, 0...1 << 32) { return reason }
            if let reason = within("visionLimits.maxImagesPerPrompt", limits.maxImagesPerPrompt ?? 0, 0...1 << 31) { return reason }
        }
        if let reason = within("generation.maxNewTokens", generation.maxNewTokens ?? 0, 0...Int(Int32.max)) { return reason }
        return within("generation.topK", generation.topK ?? 0, -1...Int(Int32.max))
    }
}

extension ImageProcessorSpec {
    /// As for the whole spec; `within` tells of a field that is out of its range.
    fileprivate func contradiction(_ within: (String, Int, ClosedRange<Int>) -> String?) -> String? {
        let place = "imageProcessor"
        let sizes = [("patchSize", patchSize, 1024), ("mergeSize", mergeSize, 64), ("temporalPatchSize", temporalPatchSize, 64)]
        for (field, value, most) in sizes {
            if let reason = within("\(place).\(field)", value, 1...most) { return reason }
        }
        if case .smart(let least, let most) = sizing {
            for (field, value) in [("minPixels", least), ("maxPixels", most)] {
                if let reason = within("\(place).sizing.\(field)", value, 1...Int(Int32.max)) { return reason }
            }
        }
        guard let normalization else { return nil }
        guard normalization.mean.count == 3, normalization.deviation.count == 3, !normalization.deviation.contains(0) else {
            return "\(place).normalization has not three channels, or a deviation of 0"
        }
        return nil
    }
}

/// How a picture's features find their place among the tokens.
package struct PlaceholderSpec: Sendable, Hashable, Codable {
    /// What stands once per picture in the rendered template and is repeated, e.g. `<|image_pad|>`.
    package var text: String
    /// The token of `text`; each of its occurrences in the prompt takes one image feature.
    package var tokenID: Int32
    /// How many tokens a picture takes.
    package var expansion: Expansion

    package enum Expansion: Sendable, Hashable, Codable {
        /// One token for each merged cell: `gridHeight · gridWidth / mergeSize²`.
        case mergedGrid(mergeSize: Int)
        /// The same number for every picture.
        case fixed(count: Int)

        /// Tokens of a picture of `patches` patches.
        package func tokens(patches: Int) -> Int {
            switch self {
            case .mergedGrid(let mergeSize): patches / (mergeSize * mergeSize)
            case .fixed(let count): count
            }
        }
    }

    package init(text: String, tokenID: Int32, expansion: Expansion) {
        self.text = text
        self.tokenID = tokenID
        self.expansion = expansion
    }
}

/// How token positions are counted.
package enum PositionScheme: Sendable, Hashable, Codable {
    /// `start`, `start + 1`, … on one axis.
    case sequential(start: Int)
    /// Three axes (time, height, width); a picture spans its merged grid (HF `Qwen2VLModel.get_rope_index`).
    case mrope(mergeSize: Int)

    /// Number of position rows per token.
    package var axes: Int {
        switch self {
        case .sequential: 1
        case .mrope: 3
        }
    }
}

/// The largest picture that the compiled vision entry accepts.
package struct VisionLimits: Sendable, Hashable, Codable {
    /// Largest number of patches of one picture, before merging.
    package var maxPatchesPerImage: Int
    /// Largest number of pictures in one prompt; nil for no bound but the context.
    package var maxImagesPerPrompt: Int?

    package init(maxPatchesPerImage: Int, maxImagesPerPrompt: Int? = nil) {
        self.maxPatchesPerImage = maxPatchesPerImage
        self.maxImagesPerPrompt = maxImagesPerPrompt
    }
}

/// Sampling defaults of generation_config.json; nil where the file is silent.
package struct GenerationDefaults: Sendable, Hashable, Codable {
    package var doSample: Bool?
    package var temperature: Double?
    package var topP: Double?
    package var topK: Int?
    package var minP: Double?
    package var repetitionPenalty: Double?
    package var maxNewTokens: Int?

    package init(
        doSample: Bool? = nil, temperature: Double? = nil, topP: Double? = nil, topK: Int? = nil, minP: Double? = nil,
        repetitionPenalty: Double? = nil, maxNewTokens: Int? = nil
    ) {
        self.doSample = doSample
        self.temperature = temperature
        self.topP = topP
        self.topK = topK
        self.minP = minP
        self.repetitionPenalty = repetitionPenalty
        self.maxNewTokens = maxNewTokens
    }
}

/// How a decoded RGB picture becomes patch rows: the arithmetic of one HuggingFace image processor.
package struct ImageProcessorSpec: Sendable, Hashable, Codable {
    /// How the size of the resized picture is chosen.
    package var sizing: Sizing
    /// Filter of the resize.
    package var filter: ResampleFilter
    /// Fixed-point precision of the filter's weights.
    package var precision: ResizePrecision
    /// Factor that maps bytes to the range of the network, usually 1/255; nil leaves bytes as they are.
    package var rescaleFactor: Double?
    /// Mean and deviation per channel, of the rescaled values; nil leaves them as they are.
    package var normalization: Normalization?
    /// Side of a patch, in pixels.
    package var patchSize: Int
    /// Side of the square of patches that the model merges into one token.
    package var mergeSize: Int
    /// How many frames one patch row spans; a still picture is repeated.
    package var temporalPatchSize: Int

    package enum Sizing: Sendable, Hashable, Codable {
        /// Both sides become multiples of `patchSize · mergeSize`, the area within both bounds (HF `smart_resize`).
        case smart(minPixels: Int, maxPixels: Int)
        /// The picture keeps its size, which must be a multiple of `patchSize · mergeSize`.
        case keep
    }

    package struct Normalization: Sendable, Hashable, Codable {
        /// Three values: red, green, blue.
        package var mean: [Double]
        /// Three values, none of them zero.
        package var deviation: [Double]

        package init(mean: [Double], deviation: [Double]) {
            self.mean = mean
            self.deviation = deviation
        }
    }

    package init(
        sizing: Sizing, filter: ResampleFilter, precision: ResizePrecision, rescaleFactor: Double?,
        normalization: Normalization?, patchSize: Int, mergeSize: Int, temporalPatchSize: Int
    ) {
        self.sizing = sizing
        self.filter = filter
        self.precision = precision
        self.rescaleFactor = rescaleFactor
        self.normalization = normalization
        self.patchSize = patchSize
        self.mergeSize = mergeSize
        self.temporalPatchSize = temporalPatchSize
    }

    /// Bytes of one raw patch row of a single frame: `3 · patchSize²`.
    package var patchBytes: Int { 3 * patchSize * patchSize }

    /// Values of one row of HuggingFace's `pixel_values`: `3 · temporalPatchSize · patchSize²`.
    package var patchDimension: Int { patchBytes * temporalPatchSize }

    /// No picture becomes more patches than this; nil where the sizing sets no bound.
    ///
    /// Long pictures pass `maxPixels`: the short side never falls below one cell, and the ratio goes up to 200.
    package var maxPatches: Int? {
        guard case .smart(let minPixels, let maxPixels) = sizing else { return nil }
        let cell = Double(patchSize * mergeSize)
        let longest = (200 * Double(maxPixels)).squareRoot()
        let shrunk = max(Double(maxPixels), cell * max(longest, cell))
        let smallest = Double(minPixels)
        let grown = smallest + cell * smallest.squareRoot() * (200.0.squareRoot() + 1) + cell * cell
        return Int(max(shrunk, grown)) / (patchSize * patchSize)
    }
}

/// Filter of an antialiased resize; the raw value is the name that `docs` and messages use.
package enum ResampleFilter: String, Sendable, Hashable, Codable, CaseIterable {
    case bilinear, bicubic, lanczos
    /// The one pixel under the corner of each new pixel (torch `nearest`).
    case nearest
    /// The one pixel under the centre of each new pixel (torch `nearest-exact`).
    case nearestExact
}

/// Fixed-point precision of resize weights, the one difference between the two libraries that HF processors use.
package enum ResizePrecision: String, Sendable, Hashable, Codable, CaseIterable {
    /// As many bits as keep the largest weight within 16-bit integers (torchvision on uint8 tensors).
    case torchvision
    /// Always 22 bits (Pillow).
    case pillow
}
