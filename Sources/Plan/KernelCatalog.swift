/// A row of the catalog of linear kernels: what the weights look like and how products are computed.
package struct LinearKernel: Sendable, Hashable {
    /// The layout of the packed weight, whatever its group.
    package enum Weights: String, Sendable, Hashable {
        case f32, bf16, int4
    }
    package let weights: Weights
    package let arithmetic: Arithmetic
    /// What a processor must have to run it at all.
    package let needs: Set<CPUFeature>

    package init(weights: Weights, arithmetic: Arithmetic, needs: Set<CPUFeature>) {
        self.weights = weights
        self.arithmetic = arithmetic
        self.needs = needs
    }

    /// As inspection prints it: weights, then arithmetic.
    package var name: String { "linear_\(weights.rawValue)_\(arithmetic.rawValue)" }
}

/// Every kernel that a linear layer can be given to; `select-kernels` chooses among them.
package enum KernelCatalog {
    package static let linear: [LinearKernel] = [
        LinearKernel(weights: .f32, arithmetic: .f32, needs: []),
        LinearKernel(weights: .f32, arithmetic: .blas, needs: []),
        LinearKernel(weights: .bf16, arithmetic: .f32, needs: []),
        LinearKernel(weights: .bf16, arithmetic: .blas, needs: []),
        LinearKernel(weights: .bf16, arithmetic: .bf16, needs: [.avx512f, .avx512bf16]),
        LinearKernel(weights: .int4, arithmetic: .f32, needs: []),
        LinearKernel(weights: .int4, arithmetic: .int8, needs: [.avx512f, .avx512vnni]),
    ]

    /// The row for such weights that computes like this; where the processor lacks what it needs, the one in f32.
    package static func linear(_ weights: LinearKernel.Weights, _ arithmetic: Arithmetic, on features: Set<CPUFeature>) -> LinearKernel {
        let rows = linear.filter { $0.weights == weights && $0.needs.isSubset(of: features) }
        return rows.first { $0.arithmetic == arithmetic } ?? rows.first { $0.arithmetic == .f32 } ?? linear[0]
    }

    /// The row with a name; nil when there is none.
    package static func linear(named name: String) -> LinearKernel? { linear.first { $0.name == name } }
}
