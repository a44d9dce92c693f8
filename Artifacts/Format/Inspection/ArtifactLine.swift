import Plan

/// One artifact in a list; the JSON of `vlm-cache ls`.
package struct ArtifactLine: Sendable, Codable {
    package var key: String
    package var model: String
    /// All names of the model, the latest first.
    package var names: [String]
    package var architecture: String
    package var target: String
    package var precision: String
    /// How plain weights were rounded, and `lora` where adapters are taken; empty where neither.
    package var choices: [String]
    package var gears: [Int]
    package var bytes: Int
    /// Bytes that no artifact listed before shares.
    package var ownBytes: Int
    /// Seconds since 1970.
    package var lastUsed: Double
    package var path: String
}

extension Store {
    /// Every readable artifact, the latest used first.
    package func listing() -> [ArtifactLine] {
        let uses = Dictionary(diskUse().map { ($0.path, $0) }, uniquingKeysWith: { first, _ in first })
        return list().map { artifact in
            let (manifest, use) = (artifact.manifest, uses[artifact.path])
            return ArtifactLine(
                key: manifest.keyDigest, model: manifest.provenance.model, names: manifest.provenance.allNames,
                architecture: manifest.provenance.architecture, target: manifest.key.target.rawValue,
                precision: manifest.key.precision.rawValue,
                choices: [manifest.key.rounding?.rawValue, manifest.key.takesAdapters ? "lora" : nil].compactMap(\.self), gears: manifest.key.limits.gears, bytes: use?.bytes ?? 0,
                ownBytes: use?.ownBytes ?? 0, lastUsed: artifact.lastUsed, path: artifact.path)
        }
    }
}
