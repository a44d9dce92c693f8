extension Kernel {
    /// Adds to the outputs of linear layers what the adapter of each row makes of their inputs.
    package struct Adapt: Sendable, Hashable, Codable {
        /// A layer and how many columns it has.
        package struct Layer: Sendable, Hashable, Codable {
            /// The module's place, such as `model.layers.0.self_attn.q_proj`.
            package var name: String
            package var outputs: Int

            package init(name: String, outputs: Int) {
                self.name = name
                self.outputs = outputs
            }
        }
        package var inputs: Int
        /// In the order of their columns.
        package var layers: [Layer]

        package init(inputs: Int, layers: [Layer]) {
            self.inputs = inputs
            self.layers = layers
        }
    }
}

/// A layer that adapters may change.
package struct AdaptedLayer: Sendable, Hashable {
    /// The module's place, such as `model.layers.0.self_attn.q_proj`.
    package var name: String
    package var inputs: Int
    package var outputs: Int

    package init(name: String, inputs: Int, outputs: Int) {
        self.name = name
        self.inputs = inputs
        self.outputs = outputs
    }
}

extension Program {
    /// The layers that adapters may change, each once, in the order of the steps; none where the program takes no adapters.
    package var adaptedLayers: [AdaptedLayer] {
        var seen: Set<AdaptedLayer> = []
        return plans.flatMap(\.steps).flatMap { step -> [AdaptedLayer] in
            guard case .adapt(let adapt) = step.kernel else { return [] }
            return adapt.layers.map { AdaptedLayer(name: $0.name, inputs: adapt.inputs, outputs: $0.outputs) }
        }.filter { seen.insert($0).inserted }
    }
}
