package import ArtifactFormat

/// What a compile did, for `--compile-report` and for people.
package struct CompileReport: Sendable, Codable {
    package enum Outcome: String, Sendable, Codable {
        /// The store had the artifact.
        case hit
        case compiled
        /// Stopped before packing, as asked.
        case stopped
    }

    package struct Memory: Sendable, Codable {
        package var entry: String
        package var steps: Int
        package var arenaBytes: Int
        package var unsharedBytes: Int
    }

    package var outcome: Outcome
    /// The artifact's path; empty when stopped.
    package var artifact = ""
    /// Fields in which the nearest artifact of the store differs; empty for the first one.
    package var differences: [ArtifactKey.Difference] = []
    /// Whether the plans are those of an earlier artifact, whose weights alone differ; then no pass ran.
    package var reusedProgram = false
    /// Whether the packed weights are those of an earlier artifact.
    package var reusedWeights = false
    /// Weights whose packed bytes were copied, and those that were packed anew.
    package var weightsCopied = 0
    package var weightsPacked = 0
    package var weightBytes = 0
    /// Bytes of the checkpoint that had to be read for its digest.
    package var digestedBytes = 0
    package var memory: [Memory] = []
    package var passes: [PassRecord] = []
    /// What a calibration found; nil where none was asked for, or nothing compiled.
    package var calibration: CalibrationReport?
    /// Seconds by phase, in order.
    package var phases: [Phase] = []

    package struct Phase: Sendable, Codable {
        package var name: String
        package var seconds: Double
    }

    package init(_ outcome: Outcome) { self.outcome = outcome }
}
