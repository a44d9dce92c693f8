import Tensors

/// What a kernel asks of one operand or result.
package struct OperandRule: Sendable, Hashable {
    /// What its elements are in memory.
    package enum Elements: Sendable, Hashable {
        /// f32, of an activation or a plain weight.
        case f32
        case i32
        /// Bytes of pixels.
        case u8
        /// Whatever plain kernels read.
        case any
        /// A weight in panels or blocks.
        case packed
        /// Rows of activations in the form that the kernel multiplies.
        case packedRows
    }

    /// How they may lie.
    package enum Layout: Sendable, Hashable {
        /// Rows of fixed length, which may lie apart.
        case rows
        /// Rows of fixed length without gaps.
        case dense
        /// Without gaps, rows of any length.
        case whole
        /// Any strides.
        case strided
    }

    /// The name of the op's operand, or the kernel's own.
    package let name: String
    package let elements: Elements
    package let layout: Layout
    package let ranks: ClosedRange<Int>
    /// Whether it must be a weight.
    package let isWeight: Bool
    /// Whether the kernel's parameters say if it is there.
    package let isOptional: Bool
    /// Whether it stands once or more.
    package let isRepeated: Bool

    package init(
        _ name: String, _ elements: Elements = .f32, _ layout: Layout = .rows, rank: ClosedRange<Int> = 1...8, isWeight: Bool = false,
        isOptional: Bool = false, isRepeated: Bool = false
    ) {
        (self.name, self.elements, self.layout, ranks) = (name, elements, layout, rank)
        (self.isWeight, self.isOptional, self.isRepeated) = (isWeight, isOptional, isRepeated)
    }

    /// A vector among the weights.
    package static func vector(_ name: String, isOptional: Bool = false) -> OperandRule {
        OperandRule(name, .f32, .dense, rank: 1...1, isWeight: true, isOptional: isOptional)
    }
}

/// How much work a kernel is, counted over its results.
package enum KernelCost: Sendable, Hashable {
    /// Moves data only.
    case movement
    /// Operations for each element of the results.
    case perElement(Double)
    /// Two operations for each element of the results and each inner element.
    case product
    /// Grows with the tokens that are attended to, whose keys and values are read from the cache or from operands.
    case attention(readsCache: Bool)
    /// So many operations for each element of the results and each element that the first operand's rows end in.
    case recurrence(Double)
}

/// A kernel as everybody sees it: the compiler that chooses, the artifact's checks, the backend, the documents.
package struct KernelRow: Sendable {
    package let name: KernelName
    /// The op of the IR that it computes, by its name in text; nil for what is no computation.
    package let op: String?
    package let operands: [OperandRule]
    package let results: [OperandRule]
    /// What a processor must have to run it at all.
    package let needs: FeatureNeeds
    package let cost: KernelCost
    /// One sentence with the mathematics.
    package let summary: String

    init(
        _ name: KernelName, _ op: String?, _ summary: String, _ operands: [OperandRule], _ results: [OperandRule] = [OperandRule("y")],
        needs: FeatureNeeds = [], cost: KernelCost
    ) {
        (self.name, self.op, self.operands, self.results) = (name, op, operands, results)
        (self.needs, self.cost, self.summary) = (needs, cost, summary)
    }
}

/// Every kernel there is, each once; what computes an op stands in the order of preference, fallbacks last.
package enum KernelRegistry {
    package static let all: [KernelRow] = packing + linearRows + screenedRows + layers + recurrences + PlainOp.allCases.map(KernelRow.init) + [view]

    private static let byName = Dictionary(all.map { ($0.name.text, $0) }) { first, _ in first }
    private static let byOp = Dictionary(grouping: all.filter { $0.op != nil }) { $0.op ?? "" }

    /// The row that text calls so; nil when there is none.
    package static func row(named text: String) -> KernelRow? { byName[text] }

    /// The row of a name; every name has one, which a test holds.
    package static func row(_ name: KernelName) -> KernelRow { byName[name.text] ?? view }

    /// What may compute an op, best first.
    package static func rows(computing op: String) -> [KernelRow] { byOp[op] ?? [] }

    /// The linear row for such weights that computes like this; where the processor lacks what it needs, the one in f32.
    package static func linear(_ weights: KernelName.LinearWeights, _ arithmetic: Arithmetic, on features: Set<CPUFeature>) -> KernelName {
        let name = KernelName.linear(weights, arithmetic)
        let isThere = byName[name.text].map { $0.needs.missing(from: features) == nil } ?? false
        return isThere ? name : .linear(weights, .f32)
    }

    private static let view = KernelRow(.view, nil, "Nothing: the operand's memory under another shape.", [], [], cost: .movement)

    private static func linearRow(_ weights: KernelName.LinearWeights, _ arithmetic: Arithmetic, needs: FeatureNeeds = []) -> KernelRow {
        KernelRow(
            .linear(weights, arithmetic), weights.op,
            "`y = activation(x · Wᵀ + bias)` or such sums gated, weights \(weights.rawValue), products \(arithmetic.rawValue).",
            [
                OperandRule("x", arithmetic.packsActivations ? .packedRows : .f32), OperandRule("w", .packed, rank: 2...2, isWeight: true),
                .vector("bias", isOptional: true),
            ], needs: needs,
            cost: .product)
    }

    /// Layers whose readers want the greatest outputs alone.
    private static let screenedRows: [KernelRow] = [
        screenedRow(.bf16, needs: [.avx512f, .avx512bf16]), screenedRow(.f32, needs: FeatureNeeds(anyOf: [.avx2, .fma], [.neon])),
    ]

    private static func screenedRow(_ arithmetic: Arithmetic, needs: FeatureNeeds) -> KernelRow {
        KernelRow(
            .screenedLinear(arithmetic), "screened_linear",
            "`y = x · Wᵀ` where it may be wanted, a score from int8 weights elsewhere; products \(arithmetic.rawValue).",
            [
                OperandRule("x", arithmetic.packsActivations ? .packedRows : .f32, rank: 2...2),
                OperandRule("w", .packed, rank: 2...2, isWeight: true), OperandRule("screen", .packed, rank: 2...2, isWeight: true),
            ], [OperandRule("y", rank: 2...2)], needs: needs, cost: .product)
    }

    private static let packing = ActivationLayout.Element.allCases.map { element in
        KernelRow(
            .packActivations(element), "pack_activations", "Rows of x as linear layers in \(element.rawValue) multiply them.", [OperandRule("x")],
            [OperandRule("y", .packedRows, .dense)], cost: .perElement(3))
    }

    /// Of integer products, which are the same on every processor that has one of these.
    private static let integers = FeatureNeeds(anyOf: [.avx2], [.neon])

    private static let linearRows: [KernelRow] = [
        linearRow(.f32, .f32), linearRow(.f32, .blas), linearRow(.bf16, .f32), linearRow(.bf16, .blas),
        linearRow(.bf16, .bf16, needs: [.avx512f, .avx512bf16]), linearRow(.bf16, .int16, needs: integers), linearRow(.int4, .f32),
        linearRow(.int4, .int8, needs: integers), linearRow(.int8, .f32), linearRow(.int8, .int8, needs: integers), linearRow(.f8, .f32),
        linearRow(.f8, .bf16, needs: [.avx512f, .avx512bf16]), linearRow(.f4, .f32), linearRow(.f4, .int8, needs: integers),
    ]
}
