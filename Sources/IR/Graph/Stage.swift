/// How far a module has come on its way from mathematics to a plan; later stages keep what earlier ones promise.
package enum Stage: String, Sendable, Hashable, Codable, CaseIterable, Comparable {
    /// The plain mathematics of the HuggingFace module.
    case traced
    /// Folded, simplified, without dead or repeated nodes.
    case canonical
    /// Groups of plain nodes are replaced by fused ops.
    case fused
    /// One graph per gear and bucket; every symbol has a bound.
    case specialized
    /// Every node that runs names the catalog row that computes it.
    case selected
    /// Every constant that a running node reads is laid out for its kernel.
    case packed
    /// Every value that a running node makes has its place in the arena.
    case planned

    package static func < (a: Stage, b: Stage) -> Bool { a.rank < b.rank }

    private var rank: Int { Stage.allCases.firstIndex(of: self) ?? 0 }
}
