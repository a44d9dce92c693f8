package import ArtifactFormat
import CKernels
package import Execution
import HostLimits
package import Plan

/// Runs artifacts on this machine's processor.
package struct CPUBackend: Backend {
    /// Threads that compute, the calling one included.
    package var threads: Int
    /// What measures the steps; nil for nothing.
    private let clock: StepClock?

    /// How many threads may be asked for.
    package static let threadRange = 1...1024

    /// - Parameter threads: nil for what `Processors` says.
    package init(threads: Int? = nil, clock: StepClock? = nil) {
        self.clock = clock
        let range = Self.threadRange
        self.threads = min(max(threads ?? Processors.ofThisProcess.threads, range.lowerBound), range.upperBound)
    }

    package func load(_ artifact: Artifact, adapters: [Adapter], beside other: (any LoadedModel)?) throws(BackendError) -> any LoadedModel {
        let target = artifact.manifest.key.target
        let missing = target.features.subtracting(Self.features).sorted()
        guard missing.isEmpty else {
            let names = missing.map(\.rawValue).joined(separator: ", ")
            throw .unsupported(
                "the artifact is for \(target.rawValue), but this machine lacks \(names); "
                    + "recompile it with vlmc compile --target \(Target.best(for: Self.features).rawValue)")
        }
        let team = (other as? CPUModel)?.team ?? ThreadTeam(count: threads)
        return try CPUModel(artifact, adapters: adapters, isa: target.isa, team: team, clock: clock)
    }

    /// What this processor can do and the operating system has enabled.
    package static var features: Set<CPUFeature> {
        let bits = vlm_cpu_features()
        return Set(Target.allCases.filter { bits & $0.isa == $0.isa }.flatMap(\.features))
    }
}

extension Target {
    /// The kernels' feature bits of a target.
    package var isa: UInt32 { features.reduce(VLM_ISA_GENERIC) { $0 | vlm_isa_of_feature($1.rawValue) } }
}
