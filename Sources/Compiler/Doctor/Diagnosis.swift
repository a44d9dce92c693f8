package import Plan

/// What is known of a model directory before anything is compiled; the JSON of `vlmc doctor`.
package struct Diagnosis: Sendable, Codable {
    /// A part of the model, as `config.json` has it.
    package struct Part: Sendable, Codable {
        package var type: String?
        package var layers: Int?
        package var width: Int?
        package var heads: Int?
        package var kvHeads: Int?
        package var patchSize: Int?
        package var vocabulary: Int?
        package var context: Int?
    }

    package struct Weights: Sendable, Codable {
        package var files: Int
        package var bytes: Int
        package var tensors: Int
        /// Tensors by the type of their elements.
        package var elements: [String: Int]
    }

    package struct Texts: Sendable, Codable {
        /// The file that counts.
        package var file: String
        package var tokens: Int?
    }

    /// An image of a usual size.
    package struct Image: Sendable, Codable {
        package var width: Int
        package var height: Int
        package var tokens: Int
        /// Rows of the vision entry's inputs.
        package var patches: Int
    }

    package var directory: String
    package var name: String
    package var wouldCompile: Bool
    package var family: String?
    package var architectures: [String] = []
    package var decoder: Part?
    package var vision: Part?
    package var quantization: String?
    /// How a compile with these flags rounds the decoder's linear layers; nil for as the checkpoint has them.
    package var quantize: String?
    package var weights: Weights?
    package var tokenizer: Texts?
    package var template: Texts?
    package var image: Image?
    package var media: MediaTaken?
    /// Why it would not compile; empty where it would.
    package var faults: [String] = []
    /// What does not keep it from compiling and will be missed.
    package var warnings: [String] = []
    /// What could not be looked at, and why.
    package var unknown: [String] = []
    package var memory: MemoryNeed?
    package var speed: ExpectedSpeed?

    init(directory: String) {
        self.directory = directory
        name = directory
        wouldCompile = false
    }

    /// Keeps a fault once, however many come across it.
    mutating func add(fault: some Error) {
        let text = "\(fault)"
        if !faults.contains(text) { faults.append(text) }
    }
}

/// What serving takes, in bytes, by sequences that run at once, tokens of each, and images in each.
package struct MemoryNeed: Sendable, Codable {
    package struct Case: Sendable, Codable {
        package var gear: Int
        package var context: Int
        package var images: Int
        /// nil where the images do not fit into the context.
        package var bytes: Int?
    }
    /// Packed weights, which processes that serve the artifact share.
    package var weights: Int
    /// What computing the decoder takes, with the states of all sequences where layers keep some.
    package var arena: Int
    /// What one image takes while it is computed.
    package var imageArena: Int
    /// Keys and values of one token.
    package var cachePerToken: Int
    /// Features of one image, which are kept while they are needed.
    package var perImage: Int
    package var cases: [Case]
}

/// What is expected of this machine.
package struct ExpectedSpeed: Sendable, Codable {
    package struct Case: Sendable, Codable {
        package var gear: Int
        package var context: Int
        /// Of all sequences together.
        package var tokensPerSecond: Double
    }
    package var processor: String
    package var threads: Int
    /// Prompts are read this fast.
    package var promptTokensPerSecond: Double
    /// nil for a model that reads text only.
    package var secondsPerImage: Double?
    package var cases: [Case]
}
