package import Plan

/// What `manifest.json` says: the format version first, then everything needed to judge the other files.
package struct Manifest: Sendable, Hashable, Codable {
    /// The format this tool writes and reads.
    package static let formatVersion = 17

    /// Size and SHA-256 of one section's file.
    package struct Section: Sendable, Hashable, Codable {
        package var bytes: Int
        package var sha256: String

        package init(bytes: Int, sha256: String) {
            self.bytes = bytes
            self.sha256 = sha256
        }
    }

    /// Where the artifact comes from; never a path or a host.
    package struct Provenance: Sendable, Hashable, Codable {
        /// The model directory's last path component, or `OWNER/NAME` of HuggingFace's cache; the last one that it was compiled under.
        package var model: String
        /// The architecture named by the checkpoint, such as `Qwen2VLForConditionalGeneration`.
        package var architecture: String
        /// What the checkpoint is quantized by, the method's name first and then others that mean it; empty where it is not, nil where the
        /// artifact is of a compiler that did not say.
        package var quantization: [String]?
        /// Tokens of the longest context that the model takes, whatever it was compiled for; nil where the artifact is of a compiler that did not say.
        package var contextLength: Int?
        /// All names that it was compiled under, the latest first, a few at most; nil in `manifest.json`, which knows the first alone.
        package var names: [String]?

        package var allNames: [String] { names ?? [model] }

        package init(model: String, architecture: String, quantization: [String]? = nil, contextLength: Int? = nil) {
            self.model = model
            self.architecture = architecture
            self.quantization = quantization
            self.contextLength = contextLength
        }
    }

    /// The machine whose measured rates chose the kernels.
    package struct Tuning: Sendable, Hashable, Codable {
        /// The processor's model name.
        package var processor: String
        package var features: [CPUFeature]
        /// Rates by name, such as `read GB/s`.
        package var rates: [String: Double]

        package init(processor: String, features: [CPUFeature], rates: [String: Double]) {
            self.processor = processor
            self.features = features
            self.rates = rates
        }
    }

    package var formatVersion: Int
    /// The digest of `key`.
    package var keyDigest: String
    package var programKey: String
    package var weightsKey: String
    package var key: ArtifactKey
    package var provenance: Provenance
    package var tuning: Tuning
    /// By section path.
    package var sections: [String: Section]

    package init(
        key: ArtifactKey, weightsKey: String, provenance: Provenance, tuning: Tuning, sections: [String: Section]
    ) {
        formatVersion = key.formatVersion
        keyDigest = key.digest
        programKey = key.programKey
        self.weightsKey = weightsKey
        self.key = key
        self.provenance = provenance
        self.tuning = tuning
        self.sections = sections
    }
}

/// The version that `--version` prints and artifacts record.
package let toolVersion = "0.1.0"
