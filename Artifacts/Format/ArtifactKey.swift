package import Plan
package import Tensors

/// Everything that decides an artifact's contents: two equal keys mean interchangeable artifacts.
package struct ArtifactKey: Sendable, Hashable, Codable {
    /// A pass that took part, in order.
    package struct PassVersion: Sendable, Hashable, Codable, CustomStringConvertible {
        package var name: String
        package var version: Int

        package init(name: String, version: Int) {
            self.name = name
            self.version = version
        }

        package var description: String { "\(name)@\(version)" }
    }

    /// How exactly the model's arithmetic is kept.
    package enum Precision: String, Sendable, Hashable, Codable, CaseIterable {
        /// Weights as in the checkpoint, f32 arithmetic.
        case exact
        /// The fast kernels.
        case balanced
    }

    /// SHA-256 of what configures the model besides its weights; empty for what is absent.
    package struct ConfigDigests: Sendable, Hashable, Codable {
        /// Of `config.json`.
        package var config: String
        /// Of `generation_config.json`.
        package var generation: String
        /// Of the section `tokenizer.bin`.
        package var tokenizer: String
        /// Of the section `inputs.json`.
        package var processor: String
        /// Of the section `chat_template.jinja`.
        package var template: String

        /// The digests of those that are sections, so that whoever has the key knows what they hold.
        var sections: [(name: SectionName, digest: String)] {
            [(.tokenizer, tokenizer), (.inputs, processor), (.chatTemplate, template)]
        }

        package init(
            config: String, generation: String = "", tokenizer: String = "", processor: String = "",
            template: String = ""
        ) {
            self.config = config
            self.generation = generation
            self.tokenizer = tokenizer
            self.processor = processor
            self.template = template
        }
    }

    package var formatVersion: Int
    /// Version of the compiler.
    package var compiler: String
    /// Digest of all tensors' bytes.
    package var checkpoint: String
    /// Digest of all tensors' names, types and shapes.
    package var tensors: String
    package var configs: ConfigDigests
    package var pipeline: [PassVersion]
    /// Most rewrites that optional passes did; nil for all.
    package var rewriteLimit: Int?
    package var target: Target
    package var precision: Precision
    /// Which linear layers are rounded; nil for as the checkpoint has them.
    package var rounding: LayerRounding?
    /// Above this share a layer's error keeps it wider; nil for the passes' own bounds.
    package var roundingBound: Double?
    /// Digest of what the model was calibrated on; nil where it was not.
    package var calibration: String?
    /// Whether layers of the decoder take adapters.
    package var takesAdapters: Bool
    /// Arithmetic of the large linear layers.
    package var arithmetic: Arithmetic
    package var limits: Program.Limits
    package var kvElement: DType

    package init(
        checkpoint: String, tensors: String, configs: ConfigDigests, pipeline: [PassVersion], rewriteLimit: Int? = nil, target: Target,
        precision: Precision, rounding: LayerRounding? = nil, roundingBound: Double? = nil, calibration: String? = nil,
        takesAdapters: Bool = false, arithmetic: Arithmetic, limits: Program.Limits, kvElement: DType
    ) {
        formatVersion = Manifest.formatVersion
        compiler = toolVersion
        self.checkpoint = checkpoint
        self.tensors = tensors
        self.configs = configs
        self.pipeline = pipeline
        self.rewriteLimit = rewriteLimit
        self.target = target
        self.precision = precision
        self.rounding = rounding
        self.roundingBound = roundingBound
        self.calibration = calibration
        self.takesAdapters = takesAdapters
        self.arithmetic = arithmetic
        self.limits = limits
        self.kvElement = kvElement
    }
}

extension ArtifactKey {
    /// One field of a key as a person reads it.
    package struct Field: Sendable, Hashable, Codable {
        package var name: String
        package var value: String
    }

    /// A field in which two keys differ.
    package struct Difference: Sendable, Hashable, Codable, CustomStringConvertible {
        package var field: String
        package var old: String
        package var new: String

        package var description: String { "\(field): \(old) → \(new)" }
    }

    /// Every field in a fixed order; `digest` and `why` are made of nothing else.
    package var fields: [Field] {
        [
            Field(name: "format", value: "\(formatVersion)"),
            Field(name: "compiler", value: compiler),
            Field(name: "checkpoint", value: checkpoint),
            Field(name: "tensors", value: tensors),
            Field(name: "config", value: configs.config),
            Field(name: "generation config", value: configs.generation),
            Field(name: "tokenizer", value: configs.tokenizer),
            Field(name: "processor", value: configs.processor),
            Field(name: "chat template", value: configs.template),
            Field(name: "pipeline", value: pipeline.map(\.description).joined(separator: " ")),
            Field(name: "rewrite limit", value: rewriteLimit.map(String.init) ?? "none"),
            Field(name: "target", value: target.rawValue),
            Field(name: "precision", value: precision.rawValue),
            Field(name: "quantize", value: quantize),
            Field(name: "adapters", value: takesAdapters ? "taken" : "none"),
            Field(name: "arithmetic", value: arithmetic.rawValue),
            Field(name: "gears", value: limits.gears.map(String.init).joined(separator: ",")),
            Field(name: "max-num-seqs", value: "\(limits.maxSequences)"),
            Field(name: "max-model-len", value: "\(limits.maxModelLength)"),
            Field(name: "max-num-batched-tokens", value: "\(limits.maxBatchedTokens)"),
            Field(name: "max-patches", value: "\(limits.maxPatches)"),
            Field(name: "kv element", value: kvElement.rawValue),
        ]
    }

    /// Which layers are rounded, and by what.
    private var quantize: String {
        let parts = [
            rounding?.rawValue ?? "none", calibration.map { "calibrated on \($0.prefix(32))" }, roundingBound.map { "within \($0)" },
        ]
        return parts.compactMap { $0 }.joined(separator: " ")
    }

    /// The artifact's name in the store: 32 hexadecimal digits.
    package var digest: String { Self.digest(of: fields) }

    /// Names programs that are equal but for the values of the weights: 32 hexadecimal digits.
    package var programKey: String { Self.digest(of: fields.filter { $0.name != "checkpoint" }) }

    /// Names a sequence of packed weights by their entries' keys: 32 hexadecimal digits.
    package static func weightsKey(entryKeys: some Sequence<String>) -> String {
        var digest = Digest()
        for key in entryKeys { digest.update(line: key) }
        return digest.finish(digits: 32)
    }

    /// The fields in which this key differs from an older one.
    package func difference(from old: ArtifactKey) -> [Difference] {
        zip(old.fields, fields).filter { $0 != $1 }.map { old, new in
            Difference(
                field: new.name, old: Self.shown(old, against: new), new: Self.shown(new, against: old))
        }
    }

    private static func digest(of fields: [Field]) -> String {
        var digest = Digest()
        for field in fields {
            digest.update(line: field.name)
            digest.update(line: field.value)
        }
        return digest.finish(digits: 32)
    }

    /// Digests by their first digits, pipelines by the passes that the other one lacks.
    private static func shown(_ field: Field, against other: Field) -> String {
        switch field.name {
        case "pipeline":
            let theirs = Set(other.value.split(separator: " "))
            let own = field.value.split(separator: " ").filter { !theirs.contains($0) }
            return own.isEmpty ? "(same passes, other order or fewer)" : own.joined(separator: " ")
        case "checkpoint", "tensors", "config", "generation config", "tokenizer", "processor", "chat template":
            return field.value.isEmpty ? "(none)" : String(field.value.prefix(12))
        default:
            return field.value
        }
    }
}
