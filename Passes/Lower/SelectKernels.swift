package import IR
package import Plan
import Tensors

/// What decides which kernel a linear layer gets.
package struct KernelPolicy: Sendable, Hashable {
    /// Whether weights stay as in the checkpoint and all arithmetic is f32.
    package var isExact: Bool
    /// What the target's processor has.
    package var features: Set<CPUFeature>
    /// The faster arithmetic for many rows, as measured: f32 or bf16, or f32 or BLAS where the policy is exact.
    package var arithmetic: Arithmetic
    /// From this many rows on BLAS is worth unpacking a weight for. Every other arithmetic is that of all rows, so that a
    /// token's value does not depend on how many others are computed with it.
    package var blasRows = 256

    package init(isExact: Bool, features: Set<CPUFeature>, arithmetic: Arithmetic) {
        self.isExact = isExact
        self.features = features
        self.arithmetic = arithmetic
    }
}

/// Names the catalog row that computes each node.
///
///     %1 = linear %x, %w                          →      %1 = linear %x, %w  via linear_bf16_f32
package func selectKernels(_ policy: KernelPolicy) -> Pass {
    Pass("select-kernels", .selected) { module, report throws(PassError) in
        for index in module.graphs.indices {
            let graph = module.graphs[index]
            let constness = Constness(graph)
            let editor = Editor(graph, report: report)
            for node in graph.nodes where constness.runs(node) {
                let kernel = kernel(for: node, in: graph, bounds: module.bounds, policy)
                editor.setKernel(kernel, of: node.id)
                report.matches[kernel, default: 0] += 1
            }
            module.graphs[index] = try editor.finish()
        }
    }
}

private func kernel(for node: Node, in graph: Graph, bounds: [String: Int], _ policy: KernelPolicy) -> String {
    switch node.op {
    case is Linear:
        let rows = graph.type(of: node.operands[0]).shape.values(bounds)?.first ?? .max
        return denseKernel(graph, node.operands[1], rows: rows, policy).name
    case is QuantizedLinearAWQ:
        return KernelCatalog.linear(.int4, policy.isExact ? .f32 : .int8, on: policy.features).name
    default:
        return Storage.isView(node) ? "view" : node.op.schema.name
    }
}

/// Weights that are computed when packing stay f32: rounding them would add what the checkpoint does not have.
private func denseKernel(_ graph: Graph, _ weight: ValueID, rows: Int, _ policy: KernelPolicy) -> LinearKernel {
    let elements = storedElements(of: weight, in: graph)
    let keepsBits = elements == [.bf16]
    let arithmetic: Arithmetic = policy.arithmetic == .blas && rows < policy.blasRows ? .f32 : policy.arithmetic
    guard let elements, policy.isExact ? keepsBits : !elements.isEmpty else {
        return KernelCatalog.linear(.f32, policy.isExact ? arithmetic : .f32, on: policy.features)
    }
    return KernelCatalog.linear(.bf16, arithmetic, on: policy.features)
}

/// The element types of the checkpoint tensors that a weight lines up; nil when it computes with them.
private func storedElements(of value: ValueID, in graph: Graph) -> Set<DType>? {
    guard let node = graph.producer(of: value) else { return nil }
    switch node.op {
    case let weight as Weight: return [weight.type.element]
    case is Cast, is Concat, is Reshape, is Slice:
        var joined: Set<DType> = []
        for operand in node.operands {
            guard let elements = storedElements(of: operand, in: graph) else { return nil }
            joined.formUnion(elements)
        }
        return joined
    default: return nil
    }
}
