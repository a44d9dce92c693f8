/// How an image becomes what the vision entry reads, and what stands for it in a prompt: a program that is data.
///
/// An image is seen in one or more views, each a canvas that is cut into tiles, each of them into patches. Rows of the vision entry's
/// inputs are patches, tile after tile in the order of `order`; its result has the image's features, one row for each token that the
/// prompt gives them.
package struct ImageSpec: Sendable, Hashable, Codable {
    /// In the order in which they are made; a view may begin with one before it.
    package var views: [ViewSpec]
    /// The views whose tiles are read, in the order of the rows; others are only where later ones begin.
    package var order: [Int]
    package var pixels: PixelSpec
    /// The named inputs of the vision entry.
    package var tensors: [VisionTensor]
    /// The named segmentations of its masks.
    package var segments: [VisionSegments]
    package var features: FeatureRule
    package var prompt: ImagePrompt
    /// Whether colours with alpha are taken as they are stored (Pillow's `convert("RGB")`, which families' own code calls), and not laid on
    /// white as transformers' processors do.
    package var dropsAlpha: Bool

    package init(
        views: [ViewSpec], order: [Int] = [0], pixels: PixelSpec, tensors: [VisionTensor], segments: [VisionSegments],
        features: FeatureRule, prompt: ImagePrompt, dropsAlpha: Bool = false
    ) {
        self.views = views
        self.order = order
        self.pixels = pixels
        self.tensors = tensors
        self.segments = segments
        self.features = features
        self.prompt = prompt
        self.dropsAlpha = dropsAlpha
    }
}

/// One look at an image: a canvas, and how it is cut.
package struct ViewSpec: Sendable, Hashable, Codable {
    /// The view whose canvas this one begins with; nil for the image.
    package var source: Int?
    /// Which images have the view.
    package var condition: Condition
    package var fit: FitRule
    /// Filter of the resize.
    package var filter: ResampleFilter
    /// Fixed-point precision of the filter's weights.
    package var precision: ResizePrecision
    /// Red, green and blue of what the image does not cover.
    package var background: [UInt8]
    /// Sides of a tile in pixels; nil for the whole canvas, or for tiles that the fit gives.
    package var tile: Int?

    package enum Condition: Sendable, Hashable, Codable {
        case always
        /// Where that view has more than one tile.
        case split(view: Int)
        /// Where the prompt has no other image.
        case alone
        /// Where the prompt has several.
        case amongOthers
        /// Of more than `pixels`, each side rounded to a multiple of `multiple`, and `least` at least (LFM2-VL).
        case larger(pixels: Int, multiple: Int, least: Int)
        /// Where that view is not there.
        case without(view: Int)
    }

    package init(
        _ fit: FitRule, source: Int? = nil, condition: Condition = .always, filter: ResampleFilter, precision: ResizePrecision,
        background: [UInt8] = [0, 0, 0], tile: Int? = nil
    ) {
        self.source = source
        self.condition = condition
        self.fit = fit
        self.filter = filter
        self.precision = precision
        self.background = background
        self.tile = tile
    }
}

/// How the size of a canvas, and of the image in it, follows from the image's size. Sizes are in pixels.
package enum FitRule: Sendable, Hashable, Codable {
    /// The image keeps its size, which must be a multiple of `multiple`.
    case keep(multiple: Int)
    /// Both sides become multiples of `multiple`, the area within both bounds (HF `smart_resize`); with `growsShortSide` the shorter
    /// side is first brought to one multiple (PaddleOCR-VL).
    case smart(minPixels: Int, maxPixels: Int, multiple: Int, growsShortSide: Bool)
    /// As `smart` for the pixels of so many equal frames together; an image with a side below one multiple first grows in its ratio
    /// (GLM).
    case volume(minPixels: Int, maxPixels: Int, multiple: Int, frames: Int)
    /// The largest size in about the image's ratio with sides of whole multiples and at most so many pixels; a side is at least one
    /// multiple (Gemma 4).
    case fill(maxPixels: Int, multiple: Int)
    /// As `smart`, whatever the ratio, and no side below one multiple before the area is looked at (LFM2-VL).
    case bounded(minPixels: Int, maxPixels: Int, multiple: Int)
    /// Exactly this size, whatever becomes of the ratio.
    case exact(width: Int, height: Int)
    /// The shorter side becomes `edge`, and the middle is cropped to `width` × `height` (CLIP's processor).
    case cover(edge: Int, width: Int, height: Int)
    /// The image in the middle of a square of its longer side, which then becomes `side` (LLaVA-OneVision among other images).
    case padded(side: Int)
    /// The size of `sizes` that keeps most of the image and wastes least, the image in its middle (LLaVA-NeXT `select_best_resolution`).
    case pinpoints([ImageSize])
    /// As many tiles of `side` as fit the ratio best, from `least` to `most` of them, the ratio not kept (InternVL).
    case aspectTiles(side: Int, least: Int, most: Int)
    /// The longer side at most `longest`, both sides rounded up to multiples of `multiple` (Pixtral).
    case longest(longest: Int, multiple: Int)
    /// About `side`² pixels in the image's ratio, sides multiples of `multiple`; smaller images grow only where there are no slices
    /// (MiniCPM-V's source image).
    case overview(side: Int, most: Int, multiple: Int)
    /// Up to `most` slices of about `side`² pixels each; no view for images that need none (MiniCPM-V).
    case slices(side: Int, most: Int, multiple: Int)
    /// The longer side becomes `edge`, the other keeps the ratio and becomes even (Idefics3's first resize).
    case longestEdge(edge: Int)
    /// Both sides grow to multiples of `side`, the longer one first, which cut the canvas into tiles (Idefics3's split).
    case multiples(side: Int)
    /// As wide as `most` tiles of `side` allow in the image's ratio, then filled up to whole tiles above and below; a portrait image
    /// as if it lay on its side (Phi-3-vision's HD transform).
    case pages(side: Int, most: Int)
    /// Exactly this size, of the values that the network takes instead of bytes: torch's `interpolate` without antialias.
    case interpolated(width: Int, height: Int)
    /// As `smart`, by what the frames of a video may have.
    case clip(ClipFit)
}

/// Sides in pixels.
package struct ImageSize: Sendable, Hashable, Codable {
    package var width: Int
    package var height: Int

    package init(width: Int, height: Int) {
        self.width = width
        self.height = height
    }
}

/// How pixels become rows.
package struct PixelSpec: Sendable, Hashable, Codable {
    /// Side of a patch.
    package var patchSize: Int
    /// How many frames one patch spans; a still image is repeated.
    package var temporalPatchSize: Int
    /// How many of them a row has bytes of: all, or one where only still images are read.
    package var storedFrames: Int
    /// Rows before the patches of each tile that stand for class tokens; their bytes are zero.
    package var classRows: Int
    /// Whether rows of zeros fill every tile up to the longest of the prompt (MiniCPM-V 2.5).
    package var padsTiles: Bool
    /// How the patches of a tile follow each other.
    package var order: PatchOrder
    /// Factor that maps bytes to the range of the network, usually 1/255; nil leaves bytes as they are.
    package var rescaleFactor: Double?
    /// Mean and deviation per channel, of the rescaled values; nil leaves them as they are.
    package var normalization: Normalization?
    /// Whether bytes are rescaled and then normalized, each in f32, instead of both at once (processors of Pillow and NumPy).
    package var isStepwise: Bool
    /// The form in which HuggingFace's processor hands the values out.
    package var form: Form

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

    package enum Form: Sendable, Hashable, Codable {
        /// `[P, C · T · h · w]` in the order of cells, and `image_grid_thw`.
        case patches
        /// `[P, C, h, w]` in raster order, and `image_grid_thw`.
        case rasterPatches
        /// `[tiles, C, H, W]`
        case tiles
        /// `[images, tiles, C, H, W]`, shorter images filled up with zeros.
        case images
        /// As `images`, filled up to the most tiles that an image can have.
        case filledImages
        /// `[1, tiles, C, H, W]`, the tiles of all images of a prompt.
        case prompt
        /// `[C, h, w · patches]` for each tile.
        case strips
        /// `[images, P, h · w · C]` in raster order, filled up with rows of zeros to the most that the rule of the view allows.
        case filledPatches
        /// `[1, C, h, w · patches]`, the patches of all tiles of a prompt in raster order.
        case strip
        /// `[tiles, rows, h · w · C]`: the patches of a tile in raster order, filled up with zeros to so many rows, or as many as the longest has.
        case padded(rows: Int)
    }

    package init(
        patchSize: Int, temporalPatchSize: Int = 1, storedFrames: Int = 1, classRows: Int = 0, order: PatchOrder = .raster, rescaleFactor: Double?,
        normalization: Normalization?, isStepwise: Bool = false, padsTiles: Bool = false, form: Form
    ) {
        self.patchSize = patchSize
        self.temporalPatchSize = temporalPatchSize
        self.storedFrames = storedFrames
        self.classRows = classRows
        self.order = order
        self.rescaleFactor = rescaleFactor
        self.normalization = normalization
        self.isStepwise = isStepwise
        self.padsTiles = padsTiles
        self.form = form
    }

    /// Pixels of one patch of a single frame.
    package var patchArea: Int { patchSize * patchSize }

    /// Bytes of one raw patch row: `3 · storedFrames · patchSize²`.
    package var patchBytes: Int { 3 * storedFrames * patchArea }

    /// Values of one row of HuggingFace's `pixel_values`: `3 · temporalPatchSize · patchSize²`.
    package var patchDimension: Int { 3 * temporalPatchSize * patchArea }
}

/// The order of the patches of a tile.
package enum PatchOrder: Sendable, Hashable, Codable {
    case raster
    /// Squares of `side` × `side` patches follow each other in raster order; inside one, rows come first, or columns.
    case cells(side: Int, columnsFirst: Bool)
    /// Squares of 4 × 4 patches follow each other in raster order, inside them squares of 2 × 2, inside those patches.
    case nested
    /// Squares of `window` × `window` cells follow each other, cut off at the edges; inside them cells of `side` (Qwen2.5-VL).
    case windows(side: Int, window: Int)

    /// Side of the square of patches that stay together.
    package var cellSide: Int {
        switch self {
        case .raster: 1
        case .nested: 4
        case .cells(let side, _), .windows(let side, _): side
        }
    }
}

/// A named input of the vision entry.
package struct VisionTensor: Sendable, Hashable, Codable {
    package var name: String
    package var content: Content

    package enum Content: Sendable, Hashable, Codable {
        /// u8 `[P, 3 · t · p²]`: bytes of a patch, channel by channel, in each the stored frames.
        case pixels
        /// f32 `[P, 3 · p²]`: a patch as the network takes it, rescaled and normalized, channel by channel.
        case values
        /// i32 `[2, P]`: row and column of each patch in its tile; `[2, K]` without the rows that fill tiles up.
        case patchPositions
        /// i32 `[K]`: the rows of patches, without those that fill tiles up.
        case keptRows
        /// i32 `[P]`: the row of a learned position table, class rows first.
        case tableRows(TableRule)
        /// i32 `[P, k]`: the rows of a learned table that are blended for a patch.
        case blendRows(BlendRule)
        /// f32 `[P, k]`: their weights.
        case blendWeights(BlendRule)
        /// i32 `[P]`: the class row's number, 0 for a row that fills a tile up, −1 for a patch.
        case classRows
        /// i32 `[M]`: the row of the tower's result that becomes a feature; those of features that stand elsewhere are 0.
        case featureRows
        /// i32 `[M, k]`: the rows of the tower's result that make a feature, `side²` of a square, 4 of a place that is blended.
        case featureBlendRows
        /// f32 `[M, k]`: their weights.
        case featureBlendWeights
        /// i32 `[M]`: which of `count` learned queries makes the feature.
        case queryRows(count: Int)
        /// i32 `[M]`: the row of a table of learned rows, such as the newline, that becomes a feature; −1 for rows of the tower.
        case learnedRows
    }

    package init(_ name: String, _ content: Content) {
        self.name = name
        self.content = content
    }
}

/// Where a patch's place lies in a learned table of positions.
package enum TableRule: Sendable, Hashable, Codable {
    /// `row · columns + column + classRows`
    case raster(columns: Int)
    /// Rows and columns by the fraction of the tile's side that lies before them, in f32, on a table of `side` × `side`.
    case buckets(side: Int, FractionRule)
    /// As `buckets`, of a tile that is one line of all its rows, in the first row of a table of `side` × `side`.
    case lineBuckets(side: Int, FractionRule)

    /// How the fraction of place `i` of `k` is computed.
    package enum FractionRule: String, Sendable, Hashable, Codable {
        /// `torch.arange(0, 1 − 1e-6, 1 / k)[i]`
        case range
        /// `min(i · (1 / k), 1 − 1e-6)`
        case product
        /// `i / k`
        case quotient
    }
}

/// How a learned table of `side` × `side` positions is resized to a tile (`torch.nn.functional.interpolate`).
package enum BlendRule: Sendable, Hashable, Codable {
    case bilinear(side: Int, alignsCorners: Bool)
    /// Keys' weights with a = −0.75.
    case bicubic(side: Int)
    /// Bilinear with antialias, and without aligned corners: each row of the table has a weight, in their order.
    case antialiased(side: Int)

    /// Rows that are blended for one patch.
    package var count: Int {
        switch self {
        case .antialiased(let side): side * side
        case .bilinear: 4
        case .bicubic: 16
        }
    }
}

/// A named segmentation: attention stays inside.
package struct VisionSegments: Sendable, Hashable, Codable {
    package var name: String
    package var content: Content

    package enum Content: Sendable, Hashable, Codable {
        /// The patches of one image.
        case images
        /// The patches of one tile, with the rows that fill it up.
        case tiles
        /// The patches of one tile, without the rows that fill it up.
        case kept
        /// The patches of one window of the order.
        case windows
        /// So many features of each tile.
        case queries(count: Int)
        /// So many patches, one run behind the other in each tile.
        case runs(count: Int)
        /// The squares of `side` × `side` patches of one tile, each one row.
        case cells(side: Int)
    }

    package init(_ name: String, _ content: Content) {
        self.name = name
        self.content = content
    }
}

/// What rows of the tower, and what learned rows, are an image's features, in the order of the prompt.
package enum FeatureRule: Sendable, Hashable, Codable {
    /// One for each square of `side` × `side` patches, in raster order, tile after tile.
    case cells(side: Int)
    /// One for each whole square of `side` × `side` patches, in raster order, tile after tile; patches that are in raster order too may be
    /// left over at the right and at the bottom.
    case squares(side: Int)
    /// So many learned queries for each tile.
    case queries(count: Int)
    /// All patches of the views `bases`; then of view `grid` the tiles joined, the background cut off, the learned row 0 behind each line
    /// (LLaVA-NeXT `pack_image_features`); an image without view `grid` has the learned row at its end. Planes of more than `most`
    /// tiles' patches are shrunk to that.
    case stitched(bases: [Int], grid: Int, most: Int?)
    /// Squares of `side` × `side` patches: of view `grid` the tiles joined, the learned row 0 behind each line; the learned row 1; then
    /// view `whole`, the learned row 0 behind each line (Phi-3-vision).
    case lines(grid: Int, whole: Int, side: Int)
    /// The squares of `grid` × `grid` patches of each tile blended to `side` × `side` (bilinear, without antialias), tile after tile; then
    /// the learned row 0 (LLaVA-OneVision's videos).
    case pooled(grid: Int, side: Int)
}

/// What stands for an image in the text of a prompt.
package struct ImagePrompt: Sendable, Hashable, Codable {
    /// What stands once per image in the rendered template, such as `<image>`; `{image}` is the image's number from 1.
    package var marker: String
    /// The token that takes a feature, and its text, which is empty where the text has none (`spacing`).
    package var token: Int32
    package var tokenText: String
    /// What takes the marker's place.
    package var pieces: [PromptPiece]
    /// What stands for an image in a message's text, where a template takes no images.
    package var mention: ImageMention
    package var spacing: Spacing

    /// Whether a token of the text stands for features.
    package var isWritten: Bool {
        switch spacing {
        case .whole, .framed: true
        case .located, .apart: false
        }
    }

    /// How the text and its images become tokens.
    package enum Spacing: Sendable, Hashable, Codable {
        /// The whole text is tokenized at once, a token of it standing for each run of features.
        case whole
        /// As `whole`, within what a processor puts around the text itself, the tokenizer nothing: `behind` the last image, or first
        /// where there is none, and `end` (PaliGemma).
        case framed(behind: String, end: String)
        /// Between the marker and `closing` stands where the image is: HuggingFace's ids of the features are its bytes, and `token` for
        /// the rest. What follows each of `openings` is tokenized for itself (the first Qwen-VL).
        case located(closing: String, openings: [String])
        /// The texts between images are tokenized each for itself, each with the tokenizer's special tokens; HuggingFace's ids of the
        /// features are the negative number of the image (Phi-3-vision).
        case apart
    }

    package init(
        marker: String, token: Int32, tokenText: String, pieces: [PromptPiece] = [.features], mention: ImageMention = ImageMention(),
        spacing: Spacing = .whole
    ) {
        self.marker = marker
        self.token = token
        self.tokenText = tokenText
        self.pieces = pieces
        self.mention = mention
        self.spacing = spacing
    }
}

/// How images and texts of a message become one text.
package struct ImageMention: Sendable, Hashable, Codable {
    /// What stands behind the marker of an image.
    package var ending: String
    /// What stands between parts.
    package var separator: String

    package init(ending: String = "", separator: String = "\n") {
        self.ending = ending
        self.separator = separator
    }
}

/// A part of what stands for an image.
package indirect enum PromptPiece: Sendable, Hashable, Codable {
    /// `{image}`, `{row}` and `{column}` are the numbers of the image in the prompt, and of the tile in its view, from 1; `{index}` is
    /// the image's from 0; `{seconds}` is the middle of the tile's frames in their video, with one decimal.
    case text(String)
    /// Tokens of the features: all of the image, of the tile, or of the line, whichever is closest.
    case features
    /// The pieces for each tile of a view; `between` stands between tiles of a row, `rowEnd` behind each row but the last.
    case tiles(view: Int, [PromptPiece], between: String, rowEnd: String)
    /// The pieces for each line of the tile's features; `between` stands between lines.
    case lines([PromptPiece], between: String)
    /// One or the other, as the view is there or not.
    case view(Int, [PromptPiece], otherwise: [PromptPiece])
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
