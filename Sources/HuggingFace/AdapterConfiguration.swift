import Foundation
package import JSON

/// What `adapter_config.json` says of a LoRA adapter (`peft.LoraConfig`), as far as it decides numbers; what is not supported is refused.
package struct AdapterConfiguration: Sendable {
    private let file: String
    private let rank: Int
    private let alpha: Double
    /// Whether the scale is `alpha / √rank` (rsLoRA, arXiv 2312.03732) instead of `alpha / rank`.
    private let takesRoot: Bool
    private let ranks: [(pattern: String, value: Double)]
    private let alphas: [(pattern: String, value: Double)]

    /// Layers of decoders that adapters may change.
    package static let layers = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]

    /// Fields that decide nothing once an adapter is trained, or that only say which layers have tensors.
    private static let passed: Set<String> = [
        "auto_mapping", "base_model_name_or_path", "ensure_weight_tying", "exclude_modules", "inference_mode", "layers_pattern",
        "layers_to_transform", "lora_dropout", "megatron_core", "peft_type", "peft_version", "qalora_group_size", "revision", "runtime_config", "task_type",
        "target_modules", "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "init_lora_weights", "bias",
    ]

    /// Fields that may only be empty, with what they would ask for.
    private static let refused = [
        ("use_dora", "DoRA"), ("modules_to_save", "modules that were trained whole"), ("fan_in_fan_out", "weights that lie the other way round"),
        ("lora_bias", "biases of B"), ("trainable_token_indices", "embeddings of tokens"), ("target_parameters", "parameters outside of linear layers"),
        ("layer_replication", "layers that stand several times"), ("alora_invocation_tokens", "adapters that begin at a token"),
        ("use_qalora", "QA-LoRA"), ("use_bdlora", "block-diagonal LoRA"), ("megatron_config", "layers of Megatron"),
    ]

    /// Ways of starting that change the model's own weights, so that A and B alone do not say what was trained.
    private static let changingStarts = ["pissa", "olora", "corda", "loftq", "lora_ga", "orthogonal", "kasa"]

    package init(_ json: JSONValue, of file: String) throws(CheckpointError) {
        func fault(_ field: String, _ message: String) -> CheckpointError { CheckpointError(.unsupported, file: file, "\(field) \(message)") }
        guard let object = json.objectValue else { throw CheckpointError(.malformed, file: file, "is \(json.kind), not an object") }
        let kind = object["peft_type"]?.stringValue ?? ""
        guard kind == "LORA" else { throw fault("peft_type", "is \(kind.isEmpty ? "not given" : kind); only LORA is supported") }
        for (field, what) in Self.refused where !(object[field]?.asksForNothing ?? true) { throw fault(field, "asks for \(what), which is not supported") }
        if let bias = object["bias"], !bias.isNull, bias.stringValue != "none" { throw fault("bias", "is not none: biases of layers are not adapted") }
        if let start = object["init_lora_weights"]?.stringValue?.lowercased(), Self.changingStarts.contains(where: start.hasPrefix) {
            throw fault("init_lora_weights", "is \(start), which changes the model's own weights; convert the adapter to plain LoRA with PEFT")
        }
        let known = Self.passed.union(Self.refused.map(\.0))
        for (field, value) in zip(object.keys, object.values) where !known.contains(field) && !value.asksForNothing {
            throw fault(field, "is not known, and what it changes neither")
        }
        for target in object["target_modules"]?.arrayValue ?? [] {
            let name = target.stringValue ?? ""
            guard let last = name.split(separator: ".").last, Self.layers.contains(String(last)) else {
                throw fault("target_modules", "holds \(name.isEmpty ? target.kind : name); only \(Self.layers.joined(separator: ", ")) of the decoder are adapted")
            }
        }
        self.file = file
        guard let rank = object["r"]?.intValue, rank > 0 else { throw fault("r", "is not a whole number above 0") }
        guard let alpha = object["lora_alpha"]?.doubleValue, alpha.isFinite else { throw fault("lora_alpha", "is not a number") }
        (self.rank, self.alpha) = (rank, alpha)
        guard let takesRoot = (object["use_rslora"] ?? false).boolValue else { throw fault("use_rslora", "is neither true nor false") }
        self.takesRoot = takesRoot
        ranks = try Self.patterns("rank_pattern", object, file)
        alphas = try Self.patterns("alpha_pattern", object, file)
    }

    private static func patterns(_ field: String, _ object: JSONObject, _ file: String) throws(CheckpointError) -> [(pattern: String, value: Double)] {
        guard let value = object[field], !value.isNull else { return [] }
        guard let patterns = value.objectValue, patterns.count <= 4096 else {
            throw CheckpointError(.unsupported, file: file, "\(field) is not an object of at most 4096 modules")
        }
        var result: [(pattern: String, value: Double)] = []
        for (key, value) in zip(patterns.keys, patterns.values) {
            guard let number = value.doubleValue, number.isFinite else {
                throw CheckpointError(.unsupported, file: file, "\(field): \(key) has \(value.kind), not a number")
            }
            // An expression of Python in PEFT; names are all that tools write, and the anchor before them.
            let name = key.first == "^" ? key.dropFirst() : key[...]
            guard name.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == ".") }) else {
                throw CheckpointError(.unsupported, file: file, "\(field): \(key) is an expression; only names of modules are supported")
            }
            result.append((key, number))
        }
        return result
    }

    /// What a pattern says of a module: the first one that is the module's name or its last components (`peft.utils.get_pattern_key`).
    private static func value(_ patterns: [(pattern: String, value: Double)], _ module: String) -> Double? {
        patterns.first { pattern, _ in
            if pattern.first == "^" { return module == pattern.dropFirst() }
            return module == pattern || module.hasSuffix("." + pattern)
        }?.value
    }

    /// The rank of a module's matrices; `rank` says what names it in errors.
    package func rank(of module: String) throws(CheckpointError) -> (value: Int, field: String) {
        guard let own = Self.value(ranks, module) else { return (rank, "r") }
        guard let value = Int(exactly: own), value > 0 else {
            throw CheckpointError(.unsupported, file: file, "rank_pattern: \(own) is not a whole number above 0")
        }
        return (value, "rank_pattern")
    }

    /// What B · A is multiplied by.
    package func scale(of module: String, rank: Int) -> Double {
        (Self.value(alphas, module) ?? alpha) / (takesRoot ? Double(rank).squareRoot() : Double(rank))
    }
}

extension JSONValue {
    /// Whether a field has a value that every tool writes where nothing is asked for.
    fileprivate var asksForNothing: Bool {
        switch self {
        case .null, .bool(false): true
        case .array(let list): list.isEmpty
        case .object(let object): object.isEmpty
        case .bool(true), .int, .wide, .double, .string: false
        }
    }
}
