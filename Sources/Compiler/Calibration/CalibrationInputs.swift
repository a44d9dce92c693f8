package import Inputs
package import Passes

/// What a calibration computes the model on.
package struct CalibrationInputs: Sendable {
    /// As a person named it.
    package let name: String
    /// Equal for the same prompts and pictures.
    package let digest: String
    /// Prompts with their pictures, as the model reads them.
    package let prompts: @Sendable () throws -> [PreparedPrompt]

    /// Tokens of all prompts together that are computed; what is beyond is left out.
    package static let tokensMax = 2048

    package init(name: String, digest: String, prompts: @escaping @Sendable () throws -> [PreparedPrompt]) {
        (self.name, self.digest, self.prompts) = (name, digest, prompts)
    }
}

/// How a calibration went, for the report of a compile.
package struct CalibrationReport: Sendable, Codable {
    /// What the inputs are called.
    package var name: String
    package var prompts: Int
    package var pictures: Int
    package var tokens: Int
    /// Whether the store had what was found.
    package var isStored = false
    /// Layers in the order in which the model computes them, those that read one value together.
    package var groups: [CalibratedLayers.Group] = []
}
