import Foundation
import HuggingFace
import Plan

extension RotaryFrequencies {
    /// The frequencies of a text model, of the rope types that `known` lists (`ROPE_INIT_FUNCTIONS` of transformers).
    ///
    /// `dynamic` changes nothing: it scales beyond `maxPositions` only, which no context is.
    init(_ rope: RopeSettings, _ axes: RotaryAxes, headDim: Int, maxPositions: Int) throws(CheckpointError) {
        if rope.type == "proportional" {
            let factor = try rope.section.double("factor") == nil ? 1 : rope.section.positive("factor")
            self.init(proportional: rope.theta, part: rope.partialFactor, factor: factor, headDim: headDim)
            return
        }
        let dimension = Int(Double(headDim) * rope.partialFactor)
        guard dimension >= 2, dimension % 2 == 0 else {
            throw rope.section.error("partial_rotary_factor", "is \(rope.partialFactor), which makes \(dimension) elements of a head turn")
        }
        self.init(inverse: Self.geometric(theta: rope.theta, dimension: dimension))
        let known = axes == .one ? Self.known : Self.known.filter { $0 != "longrope" }
        guard known.contains(rope.type) else {
            throw rope.section.error(
                "rope_type", "is \"\(rope.type)\"; the known types are: \((known + ["mrope"]).joined(separator: ", "))", .unsupported)
        }
        switch rope.type {
        case "linear":
            let factor = try rope.section.positive("factor")
            inverse = inverse.map { Double(Float($0 / factor)) }
        case "yarn":
            let yarn = try YarnScaling(rope.section, theta: rope.theta, maxPositions: maxPositions)
            inverse = yarn.scale(inverse, dimension: dimension)
            magnitude = yarn.attentionFactor
        case "llama3": try scaleByWavelength(rope)
        case "longrope": try scaleByFactors(rope, dimension: dimension, maxPositions: maxPositions)
        default: break
        }
        if axes != .one { self.axes = try Self.axes(rope.section, axes, count: inverse.count) }
    }

    private static let known = ["default", "dynamic", "linear", "llama3", "longrope", "yarn"]

    /// `_compute_proportional_rope_parameters`: the first pairs of a head turn as those of the whole head would, the others stay.
    init(proportional theta: Double, part: Double, factor: Double, headDim: Int) {
        let turning = min(Int((part * Double(headDim) / 2).rounded(.down)), headDim / 2)
        let all = Self.geometric(theta: theta, dimension: headDim)
        self.init(inverse: all.indices.map { $0 < turning ? Double(Float(all[$0] / factor)) : 0 })
    }

    /// `_compute_llama3_parameters`: long waves are slowed, short ones stay, those between are blended.
    private mutating func scaleByWavelength(_ rope: RopeSettings) throws(CheckpointError) {
        let factor = try rope.section.positive("factor")
        let low = try rope.section.positive("low_freq_factor")
        let high = try rope.section.positive("high_freq_factor")
        guard let original = rope.originalPositions.map(Double.init) else {
            throw rope.section.error("original_max_position_embeddings", "is missing")
        }
        guard low < high else { throw rope.section.error("high_freq_factor", "is \(high), which is not above low_freq_factor \(low)") }
        inverse = inverse.map { frequency in
            let wavelength = 2 * .pi / frequency
            if wavelength > original / low { return Double(Float(frequency / factor)) }
            if wavelength < original / high { return frequency }
            let blend = (original / wavelength - low) / (high - low)
            return Double(Float((1 - blend) * frequency / factor + blend * frequency))
        }
    }

    /// `_compute_longrope_parameters`: one factor for each frequency, others for sequences beyond the original context.
    private mutating func scaleByFactors(_ rope: RopeSettings, dimension: Int, maxPositions: Int) throws(CheckpointError) {
        guard let original = rope.originalPositions, original > 1 else {
            throw rope.section.error("original_max_position_embeddings", "is missing")
        }
        func factors(_ key: String) throws(CheckpointError) -> [Double] {
            let given = try rope.section.doubles(key) ?? []
            guard given.count == dimension / 2, given.allSatisfy({ $0 > 0 && Float($0).isFinite }) else {
                throw rope.section.error(key, "has \(given.count) entries, expected \(dimension / 2) numbers above zero")
            }
            return given
        }
        let plain = inverse
        func scaled(_ factors: [Double]) -> [Double] { zip(plain, factors).map { Double(Float($0 / $1)) } }
        inverse = try scaled(factors("short_factor"))
        let long = try scaled(factors("long_factor"))
        if maxPositions > original {
            alternatives = [long]
            lengths = LengthAxes(longest: [original], grows: true)
        }
        let key = "attention_factor"
        if try rope.section.double(key) != nil {
            magnitude = try rope.section.positive(key)
        } else {
            let ratio = Double(maxPositions) / Double(original)
            let factor = try rope.section.double("factor") == nil ? ratio : rope.section.positive("factor")
            magnitude = factor <= 1 ? 1 : (1 + log(factor) / log(Double(original))).squareRoot()
        }
    }

    /// `RotaryEmbedding` of the first Qwen: a sequence of more than `seq_length` tokens has a base of its own, by its length.
    init(dynamicNTK config: ConfigSection, headDim: Int, maxPositions: Int) throws(CheckpointError) {
        let base = config.has("rotary_emb_base") ? try config.positive("rotary_emb_base") : 10_000
        if try config.double("rotary_pct") ?? 1 != 1 {
            throw config.error("rotary_pct", "is not 1, which is not supported", .unsupported)
        }
        self.init(inverse: Self.geometric(theta: base, dimension: headDim))
        guard try config.bool("use_dynamic_ntk") ?? true, headDim > 2 else { return }
        var length = try config.size("seq_length", or: 2048, in: 2...1 << 20)
        var alpha = 1.0
        var longest: [Int] = []
        while length < maxPositions {
            longest.append(length)
            length *= 2
            alpha = 2 * alpha + 1
            let theta = base * pow(alpha, Double(headDim) / Double(headDim - 2))
            alternatives.append(Self.geometric(theta: theta, dimension: headDim))
        }
        if !longest.isEmpty { lengths = LengthAxes(longest: longest, grows: false) }
    }

    /// The axis of each of `count` frequencies by `mrope_section`.
    private static func axes(_ rope: ConfigSection, _ order: RotaryAxes, count: Int) throws(CheckpointError) -> [Int] {
        let given = try rope.ints("mrope_section")
        let partial = count == 32 ? [11, 11, 10] : [24, 20, 20]
        let standard = order == .interleaved ? partial : [16, 24, 24]
        let sections = given ?? standard
        guard given != nil || count == standard.reduce(0, +) else {
            throw rope.error("mrope_section", "is missing; its default \(sections) is for heads of 128, these have \(2 * count)")
        }
        var total = 0
        for section in sections {
            guard (0...2 * count).contains(section) else { throw rope.error("mrope_section", "is \(sections), which cannot be") }
            total += section
        }
        guard total == count else {
            throw rope.error("mrope_section", "is \(sections); expected numbers whose sum is half a head, \(count)")
        }
        guard order == .interleaved else { return sections.enumerated().flatMap { Array(repeating: $0.offset % 3, count: $0.element) } }
        guard sections.count == 3 else { throw rope.error("mrope_section", "is \(sections); expected three numbers") }
        return (0..<count).map { index in
            let axis = index % 3
            return axis > 0 && index < 3 * sections[axis] ? axis : 0
        }
    }
}
