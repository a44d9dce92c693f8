package import Tensors

/// Which of a model's computations a plan performs.
package enum Entry: Sendable, Hashable, Codable, CustomStringConvertible {
    /// Patches of images to image embeddings.
    case vision
    /// Ragged tokens of several sequences: prefill chunks and mixed batches.
    case extend
    /// One token for each of `gear` sequences.
    case decode(gear: Int)

    package var description: String {
        switch self {
        case .vision: "vision"
        case .extend: "extend"
        case .decode(let gear): "decode.\(gear)"
        }
    }
}

/// What the engine hands to a plan; the raw value is the input's name in the traced graph.
package enum InputRole: String, Sendable, Hashable, Codable, CaseIterable {
    /// i32[T], token ids.
    case ids
    /// i32[A, T], rotary positions on each axis.
    case positions
    /// i32[T], the cache slot each token's K and V go to; −1 writes nothing.
    case slots
    /// i32[T], row of `imageEmbeds` that stands for the token; −1 for text.
    case imageRows = "image_rows"
    /// f32[I, H].
    case imageEmbeds = "image_embeds"
    /// i32[B], the rows whose logits are wanted.
    case sampleRows = "sample_rows"
    /// i32[T], the slot in which the states of each token's sequence are kept; −1 touches none.
    case stateSlots = "state_slots"
    /// i32[T], each token's place in its sequence; states begin as zeros before 0.
    case ordinals
    /// i32[T], the number of the adapter that each token's sequence is answered with; −1 for none.
    case adapters
    /// f32[T, W]: in `extend` of a head the inner states of the model that it guesses for, in `decode` the hidden states that the head itself has left.
    case innerStates = "inner_states"
}

/// Where a step finds or leaves a value.
package struct Slot: Sendable, Hashable, Codable {
    package enum Place: Sendable, Hashable, Codable {
        /// Byte offset into the entry's arena of the first element, and elements between rows: more than a row's own
        /// where the slot is some columns of a wider value, nil where the length of rows is a symbol's and nothing lies between them.
        case arena(offset: Int, stride: Int?)
        case input(InputRole)
        /// Index into the plan's tensors.
        case tensor(Int)
        /// Index into the artifact's weight table.
        case weight(Int)
        /// Index into the plan's outputs.
        case output(Int)
    }
    package var place: Place
    package var type: TensorType

    package init(_ place: Place, _ type: TensorType) {
        self.place = place
        self.type = type
    }
}

/// One kernel call.
package struct Step: Sendable, Hashable, Codable {
    package var kernel: Kernel
    package var inputs: [Slot]
    package var outputs: [Slot]
    /// The HuggingFace module this computes, such as `model.layers.0.self_attn`.
    package var origin: String

    package init(_ kernel: Kernel, inputs: [Slot], outputs: [Slot], origin: String) {
        self.kernel = kernel
        self.inputs = inputs
        self.outputs = outputs
        self.origin = origin
    }
}

/// One entry written down: steps in order over an arena planned for the largest symbols.
package struct ExecutionPlan: Sendable, Hashable, Codable {
    package struct Output: Sendable, Hashable, Codable {
        package var name: String
        package var type: TensorType

        package init(name: String, type: TensorType) {
            self.name = name
            self.type = type
        }
    }
    /// What a vision plan reads of images; rows count in one symbol.
    package struct NamedTensor: Sendable, Hashable, Codable {
        package var name: String
        package var type: TensorType

        package init(name: String, type: TensorType) {
            self.name = name
            self.type = type
        }
    }
    package var entry: Entry
    /// Of vision plans alone.
    package var tensors: [NamedTensor]
    package var outputs: [Output]
    package var steps: [Step]
    /// The largest value of each symbol the arena was planned for.
    package var bounds: [String: Int]
    package var arenaBytes: Int
    /// What the arena would take if no two values shared memory.
    package var unsharedBytes: Int

    package init(
        entry: Entry, tensors: [NamedTensor] = [], outputs: [Output], steps: [Step], bounds: [String: Int], arenaBytes: Int, unsharedBytes: Int
    ) {
        self.entry = entry
        self.tensors = tensors
        self.outputs = outputs
        self.steps = steps
        self.bounds = bounds
        self.arenaBytes = arenaBytes
        self.unsharedBytes = unsharedBytes
    }
}

/// One packed weight of the artifact.
package struct WeightEntry: Sendable, Hashable, Codable {
    /// The name in the IR after packing, such as `layers.0.qkv`.
    package var name: String
    package var layout: WeightLayout
    /// Logical extents: [outputs, inputs] for linear layers and tables, [n] for vectors.
    package var shape: [Int]
    /// Position in `weights.bin`, a multiple of 4096.
    package var offset: Int
    package var byteCount: Int
    /// Digest of the recipe and of its source tensors' bytes: equal keys mean equal packed bytes.
    package var key: String
    /// Names of the checkpoint tensors it is made of.
    package var sources: [String]
    /// Checksum of the packed bytes, quick enough to be compared at every start.
    package var sum: UInt64

    package init(
        name: String, layout: WeightLayout, shape: [Int], offset: Int, byteCount: Int, key: String, sources: [String],
        sum: UInt64 = 0
    ) {
        self.name = name
        self.layout = layout
        self.shape = shape
        self.offset = offset
        self.byteCount = byteCount
        self.key = key
        self.sources = sources
        self.sum = sum
    }
}

/// Everything a backend needs besides the weights' bytes.
package struct Program: Sendable, Hashable, Codable {
    package var plans: [ExecutionPlan]
    package var limits: Limits
    package var kv: KVLayout
    package var vocabularySize: Int
    package var hiddenSize: Int
    /// Rotary axes of a position: 3 for M-RoPE, 1 for plain rotary embedding.
    package var positionAxes: Int

    /// Elements of what the vision entry makes for each token of an image: the hidden size, or a multiple where later layers add more.
    package var imageWidth: Int {
        let vision = plans.first { $0.entry == .vision }
        return vision?.outputs.first?.type.shape.dims.last?.fixedValue ?? hiddenSize
    }

    /// The largest that checkpoints may have, and that a reader takes.
    package static let (vocabularyMax, hiddenSizeMax) = (1 << 24, 1 << 17)

    /// What the program was compiled for; serving may ask for less, never for more.
    package struct Limits: Sendable, Hashable, Codable {
        /// Ascending, distinct; the last is `maxSequences`.
        package var gears: [Int]
        package var maxSequences: Int
        package var maxModelLength: Int
        package var maxBatchedTokens: Int
        /// Most patches of images in one vision call.
        package var maxPatches: Int

        /// The most that a compile may ask for, and that a reader takes.
        package static let (sequencesMax, batchedTokensMax, modelLengthMax) = (1024, 1 << 16, 1 << 30)
        /// Sequences at once unless a compile is asked for others.
        package static let sequencesDefault = 8

        package init(gears: [Int], maxSequences: Int, maxModelLength: Int, maxBatchedTokens: Int, maxPatches: Int) {
            self.gears = gears
            self.maxSequences = maxSequences
            self.maxModelLength = maxModelLength
            self.maxBatchedTokens = maxBatchedTokens
            self.maxPatches = maxPatches
        }
    }

    package init(
        plans: [ExecutionPlan], limits: Limits, kv: KVLayout, vocabularySize: Int, hiddenSize: Int, positionAxes: Int
    ) {
        self.plans = plans
        self.limits = limits
        self.kv = kv
        self.vocabularySize = vocabularySize
        self.hiddenSize = hiddenSize
        self.positionAxes = positionAxes
    }
}
