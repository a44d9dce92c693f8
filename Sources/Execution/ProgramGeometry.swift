package import Plan
internal import Tensors

extension Program {
    /// Bytes of K and V that one cache block of `blockSize` tokens takes over all layers.
    package func kvBlockBytes(blockSize: Int) -> Int { kv.blockBytes(size: blockSize) }

    /// In what keys and values are kept, such as `f16`.
    package var kvElementName: String { kv.element.rawValue }

    /// Layers of the KV cache, and bytes of an element.
    package var kvExtents: (layers: Int, elementBytes: Int) { (kv.layers.count, kv.element.byteCount) }

    /// The layout of the KV cache in words, which differ where layouts do.
    package var kvText: String { "\(kv.element) " + kv.layers.map { "\($0.heads)x\($0.headDim)" }.joined(separator: " ") }

    package func plan(for entry: Entry) -> ExecutionPlan? { plans.first { $0.entry == entry } }

    /// Whether one vision call takes all of these images.
    package func takes(_ inputs: [VisionInput]) -> Bool {
        guard inputs.reduce(0, { $0 + $1.patches }) <= limits.maxPatches else { return false }
        return plan(for: .vision)?.tensors.allSatisfy { tensor in
            let count = inputs.reduce(0) { $0 + ($1[tensor.name]?.values.count ?? 0) }
            return tensor.type.shape.values(plan(for: .vision)?.bounds ?? [:]).map { count <= $0.reduce(1, *) } ?? false
        } ?? true
    }
}

extension ExecutionPlan {
    /// A call that computes nothing of meaning, for warming up: each symbol at `size`, or at its bound where that is less. Nil for a plan
    /// that is of no images.
    package func blankVisionInput(size: Int) -> VisionInput? {
        guard entry == .vision else { return nil }
        func value(_ dim: Dim) -> Int { dim.symbol.map { dim.factor * min(size, bounds[$0] ?? size) } ?? dim.factor }
        var patches = 1
        let tensors = self.tensors.map { tensor in
            let dims = tensor.type.shape.dims
            let count = dims.reduce(1) { $0 * value($1) }
            if tensor.type.element == .u8 { patches = dims.first.map(value) ?? 1 }
            let values: VisionInput.Values =
                switch tensor.type.element {
                case .u8: .bytes(Array(repeating: 128, count: count))
                case .f32: .floats(Array(repeating: 0, count: count))
                default: .integers(Array(repeating: 0, count: count))
                }
            return VisionInput.Tensor(tensor.name, values, of: .patch)
        }
        var segments: [String: [Int32]] = [:]
        for step in steps {
            guard case .segmentAttention(let attention) = step.kernel, case .segments(let queries, let keys) = attention.mask else { continue }
            for (name, slot) in [(queries, step.inputs[0]), (keys, step.inputs[1])] {
                segments[name] = [0, Int32(slot.type.shape.dims.first.map(value) ?? 1)]
            }
        }
        let features = outputs.first?.type.shape.dims.first.map(value) ?? 1
        return VisionInput(patches: patches, results: 1, features: features, tensors: tensors, segments: segments)
    }
}
