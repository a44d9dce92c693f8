/// What a calibration found for the layers of a model's decoder; nothing in it depends on which graph they are in.
package struct CalibratedLayers: Sendable {
    /// One layer's part.
    package struct Layer: Sendable, Hashable, Codable {
        /// Where the layer is in the model.
        package var origin: String
        /// The name of the weight u8 `[outputs, groups]` that says which share of its range each group takes.
        package var shares: String
        /// ‖x · (ŵ − w)ᵀ‖ / ‖x · wᵀ‖ over the rows of the calibration.
        package var error: Double
        /// The same of rounding to nearest.
        package var nearestError: Double

        package init(origin: String, shares: String, error: Double, nearestError: Double) {
            (self.origin, self.shares, self.error, self.nearestError) = (origin, shares, error, nearestError)
        }

        /// For the report of the pass.
        var note: String { "error \(percent(error)) of its outputs, \(percent(nearestError)) by rounding to nearest" }
    }

    /// Layers that read one value.
    package struct Group: Sendable, Hashable, Codable {
        /// The exponent of the factors; nil where the channels are left as they are.
        package var alpha: Double?
        /// Why they are left; nil where they are not.
        package var reason: String?
        /// The name of the weight f32 `[channels]` that weights are multiplied by.
        package var factors: String?
        package var layers: [Layer]

        package init(alpha: Double?, reason: String?, factors: String?, layers: [Layer]) {
            (self.alpha, self.reason, self.factors, self.layers) = (alpha, reason, factors, layers)
        }

        /// For the report of the pass.
        var note: String {
            if let reason { return "no scales, since \(reason)" }
            let hundredths = Int(((alpha ?? 0) * 100).rounded())
            return "α 0.\(hundredths < 10 ? "0" : "")\(hundredths)"
        }
    }

    /// By the keys of sites.
    package var groups: [String: Group]

    package init(groups: [String: Group]) { self.groups = groups }
}
