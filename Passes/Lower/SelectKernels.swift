package import IR
package import Plan
import Tensors

/// What decides which kernel a linear layer gets.
package struct KernelPolicy: Sendable, Hashable {
    /// Whether weights stay as in the checkpoint and all arithmetic is f32.
    package var isExact: Bool
    /// What the target's processor has.
    package var features: Set<CPUFeature>
    /// The fastest arithmetic for many rows and for attention inside images, as measured: f32, bf16 or int16, or f32 or BLAS where the policy is
    /// exact.
    package var arithmetic: Arithmetic
    /// From this many rows on BLAS is worth unpacking a weight for. Every other arithmetic is that of all rows, so that a
    /// token's value does not depend on how many others are computed with it.
    package var blasRows = 256
    /// From this many bytes on a bf16 weight is worth screening: smaller ones stay in caches, or take little of a step.
    package var screenedBytes = 32 << 20
    /// Which linear layers are rounded; nil leaves them as the checkpoint has them.
    package var rounding: LayerRounding?
    /// A layer whose rounded weight is further off than this share of it stays as it is; where a calibration was, it is the outputs' share.
    package var (int8ErrorMax, int4ErrorMax) = (0.03, 0.2)

    package init(isExact: Bool, features: Set<CPUFeature>, arithmetic: Arithmetic) {
        self.isExact = isExact
        self.features = features
        self.arithmetic = arithmetic
    }

    /// That of layers whose weights are not bf16.
    var floats: Arithmetic { arithmetic == .int16 ? .f32 : arithmetic }

    /// Lets no layer be further off than that, whose rounding was asked for; one that stays wider may be as far off as before.
    package mutating func bound(by share: Double) { if rounding?.decoderBits == 4 { int4ErrorMax = share } else { int8ErrorMax = share } }
}

/// Binds each node to the first kernel of the registry that takes it, and copies what a kernel cannot read where it lies.
///
///     %1 = linear %x, %w                          →      %1 = linear %x, %w  via linear_bf16_f32
package func selectKernels(_ policy: KernelPolicy) -> Pass {
    Pass("select-kernels", .selected, version: 5) { module, report throws(PassError) in
        for index in module.graphs.indices {
            let editor = Editor(module.graphs[index], report: report)
            var selection = KernelSelection(editor: editor, bounds: module.bounds, policy: policy)
            try selection.run()
            module.graphs[index] = try editor.finish()
            report = editor.report
        }
    }
}

private struct KernelSelection {
    let editor: Editor
    let bounds: [String: Int]
    let policy: KernelPolicy
    /// For copies, what they are for.
    private var purposes: [NodeID: String] = [:]

    init(editor: Editor, bounds: [String: Int], policy: KernelPolicy) {
        (self.editor, self.bounds, self.policy) = (editor, bounds, policy)
    }

    mutating func run() throws(PassError) {
        let choice = choice
        var reasons: [NodeID: [String]] = [:]
        for node in editor.graph.nodes where choice.storage.runs(node) {
            let outcome = try choice.outcome(for: node)
            editor.setKernel(outcome.kernel, of: node.id)
            reasons[node.id] = outcome.reasons
        }
        try copyWhatLiesApart()
        for node in editor.graph.nodes {
            guard let kernel = node.kernel else { continue }
            editor.match(kernel.text)
            guard kernel.isFallback else { continue }
            let reason = purposes[node.id] ?? reasons[node.id]?.first ?? "no other kernel computes it"
            editor.miss("fallback", Refusal("\(node.op.mnemonic) runs on a fallback: \(reason)", at: node.result), at: node)
        }
    }

    private var choice: KernelChoice {
        KernelChoice(graph: editor.graph, storage: Storage(editor.graph), bounds: bounds, policy: policy)
    }

    /// Copies may change what shares memory with what, so that it is looked at again until nothing lies apart.
    private mutating func copyWhatLiesApart() throws(PassError) {
        for _ in 0...editor.graph.nodeCount {
            let choice = choice
            var copies = 0
            for id in editor.graph.nodes.map(\.id) {
                guard let node = editor.graph[id], let kernel = node.kernel, kernel != .view else { continue }
                for (position, value) in node.operands.enumerated() where choice.mustCopy(value, at: position, of: node, kernel) {
                    copy(value, for: "the operands of \(kernel.text) lie apart", before: node) { copied, editor in
                        editor.setOperand(position, of: id, to: copied)
                    }
                    copies += 1
                }
            }
            copies += copyResults(choice.storage)
            if copies == 0 { return }
        }
        throw PassError("copies of @\(editor.graph.name) do not come to an end")
    }

    /// Results are stored from end to end in memory of the caller's, each in its own.
    private mutating func copyResults(_ storage: Storage) -> Int {
        var copies = 0
        for (position, value) in editor.graph.results.enumerated() where !storage.isWhole(result: position) {
            guard let last = editor.graph.nodes.last, !storage.constants.contains(value) else { continue }
            copy(value, for: "the result is some columns of another value", before: last) { copied, editor in
                editor.setResult(position, to: copied)
            }
            copies += 1
        }
        return copies
    }

    private mutating func copy(_ value: ValueID, for purpose: String, before node: Node, _ use: (ValueID, Editor) -> Void) {
        let origin = editor.graph.producer(of: value)?.origin ?? node.origin
        var made: ValueID?
        editor.rewrite("copy", at: node) { () throws(Refusal) in
            let copied = editor.copy(value)
            use(copied, editor)
            made = copied
        }
        guard let id = made.flatMap({ editor.graph.producer(of: $0)?.id }) else { return }
        editor.setOrigin(origin, of: id)
        editor.setKernel(.plain(.copy), of: id)
        purposes[id] = purpose
    }
}

extension KernelChoice {
    /// Whether a kernel needs an operand without gaps that has some.
    fileprivate func mustCopy(_ value: ValueID, at position: Int, of node: Node, _ kernel: KernelName) -> Bool {
        guard let rule = rule(position, of: node, KernelRegistry.row(kernel).operands), let view = storage.view(value), !view.isDense else {
            return false
        }
        switch rule.layout {
        case .dense, .whole: return true
        case .strided: return false
        case .rows:
            // Linear layers go over the rows of every leading axis as if they were one.
            if case .linear = kernel { return graph.type(of: value).shape.rank != 2 }
            return false
        }
    }
}
