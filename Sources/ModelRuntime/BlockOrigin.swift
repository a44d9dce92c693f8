internal import ArtifactFormat
internal import Foundation
internal import Serving

extension Artifact {
    /// What the keys and values of cached blocks come from, in words: the artifact by its keys and the digests of its plans and weights, which
    /// the measured rates of a machine decide too; and this program by the digest of its file, whose kernels compute them.
    var origin: String {
        get throws {
            var lines = [manifest.keyDigest, manifest.programKey, manifest.weightsKey]
            for name in [SectionName.program, .weightTable, .weights] {
                let section = manifest.sections[name.path]
                lines.append("\(name.path) \(section?.sha256 ?? "none")")
            }
            let program = try Data(contentsOf: URL(fileURLWithPath: "/proc/self/exe"), options: .alwaysMapped)
            lines.append("program \(program.withUnsafeBytes { ContentDigest(sha256Of: $0).hex })")
            return lines.joined(separator: "\n")
        }
    }
}
