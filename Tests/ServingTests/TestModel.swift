import Execution
import Plan
import Seeded
import Serving
import Tensors

/// A small program that the null model runs.
func testProgram(
    gears: [Int] = [1, 2, 4], maxSequences: Int = 4, maxModelLength: Int = 256, maxBatchedTokens: Int = 32,
    vocabularySize: Int = 61, keepsStates: Bool = false
) -> Program {
    let convolution = Step(.shortConvolution(.init(layer: 0, channels: 8, taps: 3)), inputs: [], outputs: [], origin: "conv")
    let extend = ExecutionPlan(entry: .extend, outputs: [], steps: [convolution], bounds: [:], arenaBytes: 0, unsharedBytes: 0)
    let vision = ExecutionPlan(
        entry: .vision,
            tensors: [
                .init(name: "pixels", type: TensorType(.u8, [Dim(4, times: "M"), 12])),
                .init(name: "patch_positions", type: TensorType(.i32, [2, Dim(4, times: "M")])),
            ], outputs: [], steps: [], bounds: ["M": 64], arenaBytes: 0, unsharedBytes: 0)
    return Program(
        plans: [vision] + (keepsStates ? [extend] : []),
        limits: Program.Limits(
            gears: gears, maxSequences: maxSequences, maxModelLength: maxModelLength,
            maxBatchedTokens: maxBatchedTokens, maxPatches: 256),
        kv: KVLayout(layers: 1, heads: 1, headDim: 8, element: .f32), vocabularySize: vocabularySize, hiddenSize: 5,
        positionAxes: 3)
}

/// Writes each token as its number and a space.
struct NumberDecoder: TokenTextDecoder {
    mutating func append(_ token: Int32) -> String { "\(token) " }
    mutating func finish() -> String { "" }
}

/// A random request, with images when `images` is positive; the same dice give the same request.
func randomRequest(_ dice: inout Dice, axes: Int = 3, sharedPrefix: [Int32] = [], images: Int = 0, hasSpans: Bool = false) -> GenerationRequest {
    var ids = sharedPrefix
    for _ in 0..<Int.random(in: 1...40, using: &dice) { ids.append(Int32.random(in: 1..<60, using: &dice)) }
    var shown: [PromptImage] = []
    for _ in 0..<images {
        let tokens = Int.random(in: 1...12, using: &dice)
        let kind = UInt8.random(in: 0..<3, using: &dice)
        shown.append(testImage(kind: kind, tokens: tokens, at: ids.count))
        ids += Array(repeating: 60, count: tokens)
        for _ in 0..<Int.random(in: 0...5, using: &dice) { ids.append(Int32.random(in: 1..<60, using: &dice)) }
        ids.append(1)
    }
    var positions: [Int32] = []
    for axis in 0..<axes { positions += (0..<Int32(ids.count)).map { $0 * (axis == 0 ? 1 : 2) } }
    let prompt = Prompt(ids: ids, positions: positions, positionDelta: 3, images: shown, spans: hasSpans ? shown.flatMap(\.tokens.ranges) : [])
    var sampling = SamplingParameters()
    sampling.temperature = Bool.random(using: &dice) ? 0 : 0.8
    sampling.topK = Bool.random(using: &dice) ? 0 : 10
    sampling.topP = Bool.random(using: &dice) ? 1 : 0.9
    sampling.repetitionPenalty = Bool.random(using: &dice) ? 1 : 1.3
    sampling.seed = dice.next()
    sampling.frequencyPenalty = dice.once(in: 4) ? 0.3 : 0
    var request = GenerationRequest(
        prompt: prompt, sampling: sampling, maxTokens: Int.random(in: 1...120, using: &dice), endTokens: [7],
        ignoresEnd: Bool.random(using: &dice), stops: Bool.random(using: &dice) ? [] : ["11 3", "59 "],
        decoder: NumberDecoder())
    if dice.once(in: 4) { request.rules.barred = [[11], [12, 13]] }
    if dice.once(in: 4) { request.rules.minTokens = Int.random(in: 0...request.maxTokens, using: &dice) }
    if dice.once(in: 4) { request.rules.biases = [TokenRules.Bias(token: 7, value: 3)] }
    if dice.once(in: 4) { request.stopTokens = [20] }
    return request
}

/// One of three adapters.
func testAdapter(_ index: Int) -> ChosenAdapter { ChosenAdapter(index: index, digest: ContentDigest { $0.update("adapter \(index)") }) }

/// An image of four patches for each of its tokens; images of one kind and size are equal.
func testImage(kind: UInt8, tokens: Int, at start: Int) -> PromptImage {
    let patches = tokens * 4
    let pixels = (0..<patches * 12).map { UInt8(truncatingIfNeeded: $0) &* 7 &+ kind }
    let positions = (0..<2 * Int32(patches)).map { $0 % 17 }
    let digest = ContentDigest { hasher in
        hasher.update(Int(kind))
        hasher.update(tokens)
    }
    return PromptImage(
        tokens: TokenRanges([start..<start + tokens]), digest: digest,
        input: VisionInput(
            patches: patches, results: tokens, features: tokens,
            tensors: [
                .init("pixels", .bytes(pixels), of: .patch), .init("patch_positions", .integers(positions), of: .patch, lines: 2),
            ], segments: ["images": [0, Int32(patches)]]))
}
