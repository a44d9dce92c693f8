package import Plan

/// A low-rank change of some layers of a model (LoRA), in memory of its own; written when made, and read alone from then on.
package final class Adapter: @unchecked Sendable {
    /// What it has for one layer.
    package struct Share {
        package let layer: AdaptedLayer
        package let rank: Int
        /// f32[rank, inputs]: A.
        package let down: UnsafeMutableBufferPointer<Float>
        /// f32[rank, outputs]: B transposed, times the scale.
        package let up: UnsafeMutableBufferPointer<Float>
    }

    package let name: String
    private let shares: [String: Share]
    private let memory: Arena

    /// The largest rank of its layers.
    package let rank: Int
    package let byteCount: Int

    /// - Parameters:
    ///   - layers: those that it changes, each once, with the rank there.
    ///   - fill: writes one layer's matrices, which are zeros before.
    /// - Throws: what `fill` throws, or `BackendError.outOfMemory`.
    package init(name: String, layers: [(layer: AdaptedLayer, rank: Int)], fill: (Share) throws -> Void) throws {
        self.name = name
        let counts = layers.flatMap { [($0.rank, $0.layer.inputs), ($0.rank, $0.layer.outputs)] }
        memory = try Arena(elements: counts, of: 4, for: "the adapter \(name)")
        var next = memory.base
        func take(_ count: Int) -> UnsafeMutableBufferPointer<Float> {
            defer { next += Arena.aligned(4 * count) }
            return UnsafeMutableBufferPointer(start: next.bindMemory(to: Float.self, capacity: count), count: count)
        }
        var shares: [String: Share] = [:]
        for (layer, rank) in layers {
            let share = Share(layer: layer, rank: rank, down: take(rank * layer.inputs), up: take(rank * layer.outputs))
            try fill(share)
            shares[layer.name] = share
        }
        self.shares = shares
        rank = layers.reduce(0) { max($0, $1.rank) }
        byteCount = next - memory.base
    }

    /// What it has for a layer; nil for one that it leaves as it is.
    package func share(of layer: String) -> Share? { shares[layer] }
}
