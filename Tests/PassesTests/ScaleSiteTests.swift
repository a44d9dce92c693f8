import IR
import Passes
import Plan
import Reference
import Seeded
import Tensors
import Testing

/// Channels are scaled where what makes them can be divided, and nothing but rounding changes numbers.
@Suite struct ScaleSiteTests {
    /// A layer of a decoder with a head of values for each head of queries, as passes leave it.
    private static let layer = """
        // vir 1 · stage: fused
        symbol S <= 8
        symbol T <= 8
        weight @n1 : f32[32]
        weight @qkv : bf16[96, 32]
        weight @qkvb : f32[96]
        weight @o : f32[32, 32]
        weight @n2 : f32[32]
        weight @n2b : f32[32]
        weight @gu : f32[128, 32]
        weight @down : f32[32, 64]
        weight @head : f32[16, 32]
        weight @factors.0 : f32[32]
        weight @factors.1 : f32[32]
        weight @factors.2 : f32[32]
        weight @factors.3 : f32[64]
        weight @shares.0 : u8[96, 1]
        weight @shares.1 : u8[32, 1]
        weight @shares.2 : u8[128, 1]
        weight @shares.3 : u8[32, 1]

        graph @extend(%x: f32[T, 32], %slots: i32[T], %visible: bool[T, S] causal, state %kv.0.k: f32[S, 2, 16] keys(0), state %kv.0.v: f32[S, 2, 16] values(0)) -> f32[T, 16] {
          %0 = weight @n1 : f32[32]
          %1 = rms_norm %x, %0 {eps = 1e-06} : f32[T, 32]
          %2 = weight @qkv : bf16[96, 32]
          %3 = weight @qkvb : f32[96]
          %4 = linear %1, %2, bias: %3 : f32[T, 96]
          %5 = slice %4 {axis = 1, start = 64, end = 96} : f32[T, 32]
          %6 = reshape %5 {dims = [T, 2, 16]} : f32[T, 2, 16]
          %7 = slice %4 {axis = 1, start = 0, end = 32} : f32[T, 32]
          %8 = reshape %7 {dims = [T, 2, 16]} : f32[T, 2, 16]
          %9 = slice %4 {axis = 1, start = 32, end = 64} : f32[T, 32]
          %10 = reshape %9 {dims = [T, 2, 16]} : f32[T, 2, 16]
          %11, %12 = kv_store %kv.0.k, %kv.0.v, %10, %6, %slots : f32[S, 2, 16], f32[S, 2, 16]
          %13 = attention %8, %11, %12, %visible {scale = 0.25} : f32[T, 2, 16]
          %14 = reshape %13 {dims = [T, 32]} : f32[T, 32]
          %15 = weight @o : f32[32, 32]
          %16 = linear %14, %15 : f32[T, 32]
          %17 = weight @n2 : f32[32]
          %18 = weight @n2b : f32[32]
          %19, %20 = add_layer_norm %16, %x, %17, %18 {eps = 1e-06} : f32[T, 32], f32[T, 32]
          %21 = weight @gu : f32[128, 32]
          %22 = linear %20, %21 : f32[T, 128]
          %23 = gated_activation %22 {activation = silu} : f32[T, 64]
          %24 = weight @down : f32[32, 64]
          %25 = linear %23, %24 : f32[T, 32]
          %26 = add %25, %19 : f32[T, 32]
          %27 = weight @head : f32[16, 32]
          %28 = linear %26, %27 : f32[T, 16]
          update %kv.0.k = %11
          update %kv.0.v = %12
          return %28
        }
        """

    private let module: Module
    private let sites: [ScaleSite]

    init() throws {
        module = try Parser.parse(Self.layer + "\n")
        sites = sharedSites(module)
    }

    /// The pass with something found at every site.
    private func pass(error: Double = 0.05) -> Pass {
        var policy = KernelPolicy(isExact: false, features: [.avx2], arithmetic: .f32)
        policy.rounding = .awqInt4
        var groups: [String: CalibratedLayers.Group] = [:]
        for (index, site) in sites.enumerated() {
            let layer = CalibratedLayers.Layer(origin: "layer \(index)", shares: "shares.\(index)", error: error, nearestError: 0.08)
            groups[site.key] = .init(alpha: 0.35, reason: nil, factors: "factors.\(index)", layers: [layer])
        }
        return quantizeLayers(policy, error: { _, _ in 0.01 }, calibration: CalibratedLayers(groups: groups))
    }

    @Test func everyLayerButTheHeadIsFound() {
        #expect(sites.count == 4)
        #expect(sites.map(\.layers.count) == [1, 1, 1, 1])
        // Queries and keys are never cut.
        #expect(sites.map { $0.layers[0].clipped } == [64..<96, 0..<32, 0..<128, 0..<32])
        let kinds = sites.map { site in
            switch site.producer {
            case .success(.norm(_, let parameters)): "norm \(parameters)"
            case .success(.layer(_, let rows)): "outputs \(rows)"
            case .failure(let refusal): refusal.reason
            }
        }
        #expect(kinds == ["norm [1]", "outputs 64..<96", "norm [2, 3]", "outputs 64..<128"])
    }

    /// The logits of three tokens, then the cached keys and values.
    private func outcome(of module: Module) throws -> [Tensor] {
        func numbers(_ name: String, _ shape: [Int], _ range: ClosedRange<Float> = -1...1) -> [Float] {
            var dice = Dice(name.utf8.reduce(7) { $0 &* 31 &+ UInt64($1) })
            return (0..<shape.reduce(1, *)).map { _ in Float.random(in: range, using: &dice) }
        }
        let evaluator = Evaluator { name throws(EvaluationError) in
            guard let type = module.weight(name)?.type, let shape = type.shape.fixed else { throw EvaluationError("no weight \(name)") }
            return Tensor(numbers(name, shape, name.hasPrefix("factors") ? 0.25...4 : -1...1), shape, type.element)
        }
        var inputs = try MaskedCall(0..<3, slots: 5).matrices(of: module.graphs[0])
        inputs["x"] = Tensor(numbers("x", [3, 32]), [3, 32])
        inputs["slots"] = Tensor(ints: [0, 1, 2], [3])
        let empty = Tensor(Array(repeating: 0, count: 160), [5, 2, 16])
        let outcome = try evaluator.run(module.graphs[0], inputs: inputs, states: ["kv.0.k": empty, "kv.0.v": empty])
        return outcome.results + outcome.states.sorted { $0.key < $1.key }.map(\.value)
    }

    /// As many rewrites as there are sites scale and round nothing: every number is what it was, but for the values that are cached.
    @Test func scalingChangesNoResult() throws {
        var scaled = module
        let reports = try PassPipeline([pass()]).run(on: &scaled, options: .init(verifies: true, rewriteLimit: 4))
        #expect(reports[0].rewriteCounts == ["awq-scale": 4])
        let (before, after) = (try outcome(of: module), try outcome(of: scaled))
        for index in [0, 1] {
            let largest = before[index].floats.reduce(0) { max($0, abs($1)) }
            #expect(zip(before[index].floats, after[index].floats).allSatisfy { abs($0 - $1) <= 1e-4 * largest }, "result \(index)")
        }
        #expect(before[2] != after[2])
    }

    @Test func layersAreRoundedWithWhatWasFound() throws {
        var rounded = module
        let report = try PassPipeline([pass()]).run(on: &rounded, options: .init(verifies: true))[0]
        #expect(report.rewriteCounts == ["awq-scale": 4, "awq-int4": 4])
        #expect(report.rewrites.allSatisfy { $0.at.contains("α 0.35") })
        #expect(report.rewrites.contains { $0.at.hasSuffix(": α 0.35, error 5.00 % of its outputs, 8.00 % by rounding to nearest") })
        #expect(report.misses.map(\.reason) == ["it makes the logits"])
        let text = Printer.print(rounded)
        for index in 0..<4 { #expect(text.contains("shares: %") && text.contains("weight @shares.\(index)") && text.contains("weight @factors.\(index)")) }
    }

    @Test func layersThatLoseTooMuchBecomeInt8() throws {
        var rounded = module
        let report = try PassPipeline([pass(error: 0.3)]).run(on: &rounded, options: .init(verifies: true))[0]
        #expect(report.rewriteCounts == ["int8-instead": 4])
        #expect(report.misses.filter { $0.reason.contains("error 30.00 % of its outputs") && $0.reason.contains("above 20.00 %") }.count == 4)
    }

    /// What else reads such rows would read them divided.
    @Test(arguments: [
        ("return %28", "return %28, %20", 2, "the caller"), ("%26 = add %25, %19", "%26 = add %25, %14", 1, "add"),
        ("%26 = add %25, %19", "%26 = add %25, %5", 1, ""),
    ]) func othersThatReadRefuse(_ from: String, _ to: String, _ site: Int, _ other: String) throws {
        var text = Self.layer.replacing(from, with: to) + "\n"
        if other == "the caller" { text = text.replacing(") -> f32[T, 16] {", with: ") -> f32[T, 16], f32[T, 32] {") }
        guard case .failure(let refusal) = sharedSites(try Parser.parse(text))[site].producer else {
            Issue.record("site \(site) can be divided")
            return
        }
        #expect(refusal.reason == (other.isEmpty ? "the values are read elsewhere" : "what it reads is read by \(other) as well"))
    }

    /// Layers of the demo model: its heads of queries share those of values, so that what comes from attention stays.
    @Test func sitesOfTheDemoModel() throws {
        var module = try TracedModel("demo").module
        let passes = TracedModel.pipeline.passes.prefix { $0.name != "quantize-layers" }
        _ = try PassPipeline(Array(passes)).run(on: &module)
        let sites = sharedSites(module)
        #expect(sites.count == 24)
        let refusals = sites.compactMap { site -> String? in if case .failure(let refusal) = site.producer { refusal.reason } else { nil } }
        #expect(refusals == Array(repeating: "several heads share the values of one", count: 6))
        #expect(Set(sites.map(\.key)).count == 24)
    }
}
