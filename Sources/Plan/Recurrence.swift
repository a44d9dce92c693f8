package import Tensors

extension Kernel {
    /// Keeps the last `taps − 1` rows of each sequence as the layer's columns.
    package struct ShortConvolution: Sendable, Hashable, Codable {
        package var layer: Int
        package var channels: Int
        package var taps: Int

        package init(layer: Int, channels: Int, taps: Int) {
            self.layer = layer
            self.channels = channels
            self.taps = taps
        }
    }

    /// Keeps a matrix for each head of each sequence as the layer's recurrent state.
    package struct GatedDelta: Sendable, Hashable, Codable {
        package var layer: Int
        /// Of queries and keys; a divisor of `heads`.
        package var keyHeads: Int
        package var heads: Int
        package var keyDim: Int
        package var valueDim: Int

        package init(layer: Int, keyHeads: Int, heads: Int, keyDim: Int, valueDim: Int) {
            self.layer = layer
            self.keyHeads = keyHeads
            self.heads = heads
            self.keyDim = keyDim
            self.valueDim = valueDim
        }
    }

    /// What the kernel keeps of each sequence beside the KV cache; nil for one that keeps nothing.
    ///
    /// The width is −1 where the extents are not those of any memory.
    package var state: StateLayout? {
        switch self {
        case .shortConvolution(let convolution):
            StateLayout(.columns(layer: convolution.layer), width: Self.width([convolution.taps - 1, convolution.channels]))
        case .gatedDelta(let delta):
            StateLayout(.recurrent(layer: delta.layer), width: Self.width([delta.heads, delta.keyDim, delta.valueDim]))
        case .packActivations, .linear, .adapt, .screenedLinear, .rmsNorm, .layerNorm, .addRMSNorm, .addLayerNorm, .rotaryTable, .rotary, .kvWrite, .pagedAttention,
            .segmentAttention, .gatedActivation, .embed, .selectRows, .gatherRows, .gatherColumns, .widen, .add, .scale, .scaleRows, .copyRows, .copyColumns, .joinColumns,
            .blendRows, .plain:
            nil
        }
    }

    private static func width(_ extents: [Int]) -> Int {
        var width = 1
        for extent in extents {
            let (product, overflow) = width.multipliedReportingOverflow(by: extent)
            guard extent > 0, !overflow, product <= Program.stateWidthMax else { return -1 }
            width = product
        }
        return width
    }
}

extension Program {
    /// Most values that a layer keeps of one sequence.
    package static let stateWidthMax = 1 << 28

    /// What layers keep of each sequence beside the KV cache, each once, in the order of the steps that read it first.
    package var states: [StateLayout] {
        var seen: Set<StateLayout> = []
        return plans.flatMap(\.steps).compactMap(\.kernel.state).filter { seen.insert($0).inserted }
    }

    /// Bytes of all states of one sequence.
    package var stateBytes: Int { states.reduce(0) { $0 + $1.byteCount } }

    /// Whether a sequence's tokens leave more than their keys and values, so that no other sequence can go on behind them.
    package var keepsStates: Bool { plans.contains { $0.steps.contains { $0.kernel.state != nil } } }
}
