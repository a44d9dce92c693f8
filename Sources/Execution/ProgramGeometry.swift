package import Plan
internal import Tensors

extension Program {
    /// Bytes of K and V that one cache block of `blockSize` tokens takes over all layers.
    package func kvBlockBytes(blockSize: Int) -> Int { kv.blockBytes(size: blockSize) }

    package func plan(for entry: Entry) -> ExecutionPlan? { plans.first { $0.entry == entry } }

    /// Bytes of one patch of the vision plan's input; nil without a vision plan.
    package var patchByteCount: Int? {
        for step in plan(for: .vision)?.steps ?? [] {
            for slot in step.inputs where slot.place == .input(.pixels) {
                return slot.type.shape.rank == 2 ? slot.type.shape[1].fixedValue : nil
            }
        }
        return nil
    }
}
