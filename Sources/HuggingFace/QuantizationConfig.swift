import JSON

/// How a checkpoint's linear layers are quantized, as its `quantization_config` says.
///
/// Which layers are quantized is decided by the tensors that are there; the lists of layers that stay as they are inform only.
package struct QuantizationConfig: Sendable, Hashable {
    /// How a quantized layer is written down.
    package enum Layout: Sendable, Hashable {
        case awqGEMM, awqGEMV
        /// `zeroOffset` is added to the zeros that are stored.
        case gptq(bits: Int, zeroOffset: Int)
        case packedInt4(isSymmetric: Bool)
        case int8
        case float8
        case float8Blocks(rows: Int, columns: Int)
        case mxfp4, nvfp4
    }

    /// What users call the method.
    package var name: String
    package var layout: Layout
    /// Whether what a layer reads is rounded to int8 too, by a scale for each row; inputs of small floats stay as they are.
    package var roundsInputs = false
    /// Inputs that share a scale; nil: all of them.
    package var groupSize: Int?
    /// Names of layers that stay as they are, or regular expressions after `re:`.
    package var modulesToNotConvert: [String]

    /// Group sizes of int4 and int8 weights that are known.
    package static let groupSizes = [32, 64, 128]

    init(_ section: ConfigSection) throws(CheckpointError) {
        guard let method = try section.string("quant_method") else { throw section.error("quant_method", "is missing") }
        name = method.lowercased()
        modulesToNotConvert = try section.strings("modules_to_not_convert") ?? []
        switch name {
        case "awq":
            (layout, groupSize) = (try Self.awq(section), try Self.group(section, isWholeAllowed: false))
        case "gptq":
            (layout, groupSize) = (try Self.gptq(section), try Self.group(section, isWholeAllowed: true))
        case "compressed-tensors":
            (layout, groupSize, roundsInputs) = try Self.compressed(section)
            modulesToNotConvert = try section.strings("ignore") ?? []
        case "fp8":
            layout = try Self.blocks(section)
        case "bitsandbytes":
            throw section.error(
                "quant_method", "is \"\(method)\", which quantizes while loading and has no layout of its own; use the unquantized checkpoint",
                .unsupported)
        case "gguf":
            throw section.error(
                "quant_method", "is \"\(method)\", whose files are of another format than safetensors; use the checkpoint that it was made from",
                .unsupported)
        default:
            throw section.error(
                "quant_method", "is \"\(method)\", which is not supported; known are awq, gptq, compressed-tensors and fp8", .unsupported)
        }
    }

    /// What it is, in a few words.
    package var summary: String {
        let group = groupSize.map { "groups of \($0)" } ?? "a scale for each output"
        return switch layout {
        case .awqGEMM: "awq, int4 in \(group), layout gemm"
        case .awqGEMV: "awq, int4 in \(group), layout gemv"
        case .gptq(let bits, _): "gptq, int\(bits) in \(group)"
        case .packedInt4: "\(name), int4 (w4a16) in \(group)"
        case .int8: "\(name), int8 weights" + (roundsInputs ? " and inputs (w8a8, smoothquant)" : "")
        case .float8: "\(name), fp8 in rows"
        case .float8Blocks(let rows, let columns): "\(name), fp8 in blocks of \(rows)x\(columns)"
        case .mxfp4: "\(name), mxfp4"
        case .nvfp4: "\(name), nvfp4"
        }
    }

    /// Whether users mean this method by `name`: the method itself, also as the kernels of other servers are called, or what it makes.
    package func isCalled(_ name: String) -> Bool { names.contains(name.lowercased()) }

    /// What users may call this method, its own name first.
    package var names: [String] {
        let aliases: [String] =
            switch layout {
            case .awqGEMM, .awqGEMV: ["awq_marlin"]
            case .gptq: ["gptq_marlin"]
            case .packedInt4: ["w4a16"]
            case .int8: roundsInputs ? ["smoothquant", "w8a8"] : ["w8a16"]
            case .float8, .float8Blocks: ["fp8"]
            case .mxfp4: ["mxfp4"]
            case .nvfp4: ["nvfp4"]
            }
        return [name] + aliases
    }

    private static func awq(_ section: ConfigSection) throws(CheckpointError) -> Layout {
        let bits = try section.int("bits", "w_bit") ?? 4
        guard bits == 4 else { throw section.error("bits", "is \(bits); only 4-bit AWQ is supported", .unsupported) }
        if let backend = try section.string("backend"), backend.lowercased() == "llm-awq" {
            throw section.error("backend", "is \"\(backend)\", whose layout of the weights is not supported; AutoAWQ's are", .unsupported)
        }
        guard try section.bool("zero_point") ?? true else {
            throw section.error("zero_point", "is false; only AWQ with zero points is supported", .unsupported)
        }
        for key in ["version", "format"] {
            guard let version = try section.string(key) else { continue }
            switch version.lowercased() {
            case "gemm": return .awqGEMM
            case "gemv": return .awqGEMV
            default: throw section.error(key, "is \"\(version)\"; the AWQ layouts \"gemm\" and \"gemv\" are supported", .unsupported)
            }
        }
        return .awqGEMM
    }

    private static func gptq(_ section: ConfigSection) throws(CheckpointError) -> Layout {
        let bits = try section.int("bits") ?? 4
        guard bits == 4 || bits == 8 else {
            let why = bits > 0 && 32 % bits == 0 ? "" : ", whose numbers cross the borders of words"
            throw section.error("bits", "is \(bits)\(why); 4 and 8 are supported", .unsupported)
        }
        let form = try section.string("checkpoint_format") ?? "gptq"
        guard ["gptq", "gptq_v2"].contains(form) else {
            throw section.error("checkpoint_format", "is \"\(form)\"; known are gptq and gptq_v2", .unsupported)
        }
        return .gptq(bits: bits, zeroOffset: form == "gptq" ? 1 : 0)
    }

    private static func group(_ section: ConfigSection, isWholeAllowed: Bool) throws(CheckpointError) -> Int? {
        let given = try section.int("group_size")
        let key = given == nil && section.members["q_group_size"] != nil ? "q_group_size" : "group_size"
        let size = try section.int("group_size", "q_group_size") ?? 128
        let sizes = groupSizes.map(String.init).joined(separator: ", ")
        if size == -1 {
            if isWholeAllowed { return nil }
            throw section.error(key, "is -1, one group for each whole column, which is not supported; the known sizes are: \(sizes)", .unsupported)
        }
        guard groupSizes.contains(size) else { throw section.error(key, "is \(size); the known sizes are: \(sizes)", .unsupported) }
        return size
    }

    private static func blocks(_ section: ConfigSection, _ key: String = "weight_block_size") throws(CheckpointError) -> Layout {
        if section.isNull(key) { return .float8 }
        guard let sides = try section.ints(key) else { return .float8Blocks(rows: 128, columns: 128) }
        guard sides.count == 2, sides.allSatisfy({ (1...1 << 20).contains($0) }) else {
            throw section.error(key, "is \(sides), not two positive extents")
        }
        return .float8Blocks(rows: sides[0], columns: sides[1])
    }
}

/// What compressed-tensors writes: groups of layers with a scheme each, which must all be the same.
extension QuantizationConfig {
    private typealias Scheme = (layout: Layout, group: Int?, roundsInputs: Bool)

    private static func compressed(_ section: ConfigSection) throws(CheckpointError) -> Scheme {
        let groups = try section.required("config_groups")
        var found: Scheme?
        for key in groups.members.keys.sorted() {
            let group = try groups.required(key)
            let own = try group.string("format")
            let shared = try section.string("format")
            let scheme = try compressed(group, own ?? shared ?? "")
            if let found, found != scheme {
                throw groups.error(key, "differs from the groups before it; one scheme for all layers is supported", .unsupported)
            }
            found = scheme
        }
        guard let found else { throw section.error("config_groups", "is empty") }
        return found
    }

    private static func compressed(_ group: ConfigSection, _ format: String) throws(CheckpointError) -> Scheme {
        let weights = try group.required("weights")
        let isSymmetric = try weights.bool("symmetric") ?? true
        let bits = try weights.int("num_bits") ?? 8
        let rounds = try ["pack-quantized", "int-quantized"].contains(format) ? roundsInputs(group) : false
        switch (format, bits) {
        case ("pack-quantized", 4) where !rounds: return (.packedInt4(isSymmetric: isSymmetric), try size(weights), false)
        case ("int-quantized", 8) where isSymmetric: return (.int8, nil, rounds)
        case ("float-quantized", 8): return (try float8(weights), nil, false)
        case ("mxfp4-pack-quantized", 4): return (.mxfp4, 32, false)
        case ("nvfp4-pack-quantized", 4): return (.nvfp4, 16, false)
        default:
            let more = (isSymmetric ? "" : ", not symmetric") + (rounds ? ", with rounded inputs" : "")
            throw weights.error("num_bits", "is \(bits) in the format \"\(format)\"\(more), which is not supported", .unsupported)
        }
    }

    /// Scales of FP8 weights: one for all or for each output, for each block, or for groups of inputs.
    private static func float8(_ weights: ConfigSection) throws(CheckpointError) -> Layout {
        let strategy = try weights.string("strategy") ?? "tensor"
        switch strategy {
        case "tensor", "channel": return .float8
        case "block": return try blocks(weights, "block_structure")
        case "group":
            guard let size = try weights.int("group_size"), (1...1 << 20).contains(size) else {
                throw weights.error("group_size", "does not say how many inputs share a scale")
            }
            return .float8Blocks(rows: 1, columns: size)
        default: throw weights.error("strategy", "is \"\(strategy)\"; known are tensor, channel, block and group", .unsupported)
        }
    }

    private static func roundsInputs(_ group: ConfigSection) throws(CheckpointError) -> Bool {
        guard !group.isNull("input_activations"), let inputs = try group.section("input_activations") else { return false }
        let strategy = try inputs.string("strategy") ?? "token"
        guard try inputs.bool("dynamic") ?? false, strategy == "token" else {
            throw inputs.error("strategy", "is \"\(strategy)\"; inputs that are rounded by token as they come are supported", .unsupported)
        }
        return true
    }

    private static func size(_ weights: ConfigSection) throws(CheckpointError) -> Int? {
        guard !weights.isNull("group_size"), let size = try weights.int("group_size"), size != -1 else { return nil }
        guard groupSizes.contains(size) else { throw weights.error("group_size", "is \(size); known are 32, 64 and 128", .unsupported) }
        return size
    }
}
