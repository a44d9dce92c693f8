import CKernels
import Execution
import Plan
import Tensors

/// A kernel that walks the rows of sequences and keeps a state of each; its items are channels or heads.
class RecurrenceStep: PreparedStep {
    let storage: StateStorage
    let state: UnsafeMutablePointer<Float>
    let inputs: [Operand]
    let output: Operand
    private(set) var sequences = vlm_sequences()

    /// - Parameter operands: the last two are the slots and the ordinals of the rows.
    init(_ kernel: Kernel, operands: [Operand], output: Operand, origin: String, _ storage: StateStorage) throws(BackendError) {
        guard let state = storage.states(kernel.state) else { throw .malformed("the state of \(origin) is not kept") }
        self.storage = storage
        self.state = state
        inputs = operands
        self.output = output
        super.init(origin: origin)
    }

    override func bind(_ context: RunContext) {
        super.bind(context)
        sequences.rows = Int64(output.rows.value(context))
        sequences.state = state
        sequences.count = Int64(storage.slots)
        sequences.slots = UnsafePointer(inputs[inputs.count - 2].integers(context))
        sequences.ordinals = UnsafePointer(inputs[inputs.count - 1].integers(context))
    }
}

/// A causal convolution along each sequence.
final class ShortConvolutionStep: RecurrenceStep {
    private var arguments = vlm_short_convolution_args()

    init(
        _ convolution: Kernel.ShortConvolution, operands: [Operand], output: Operand, origin: String, _ storage: StateStorage
    ) throws(BackendError) {
        arguments.channels = Int64(convolution.channels)
        arguments.taps = Int64(convolution.taps)
        try super.init(.shortConvolution(convolution), operands: operands, output: output, origin: origin, storage)
    }

    override func bind(_ context: RunContext) {
        super.bind(context)
        arguments.sequences = sequences
        arguments.x = UnsafePointer(inputs[0].floats(context))
        arguments.x_stride = Int64(inputs[0].stride)
        arguments.weight = UnsafePointer(inputs[1].floats(context))
        arguments.y = output.floats(context)
        arguments.y_stride = Int64(output.stride)
    }

    override func itemCount(_ phase: Int) -> Int { Int(arguments.channels) }
    override func grain(_ phase: Int) -> Int { max(16, 4096 / max(Int(arguments.sequences.rows), 1)) }

    override func run(_ phase: Int, _ items: Range<Int>, thread: Int) {
        let status = withUnsafePointer(to: arguments) {
            vlm_short_convolution($0, Int64(items.lowerBound), Int64(items.upperBound))
        }
        context.check(status)
    }
}

/// The gated delta rule along each sequence.
final class GatedDeltaStep: RecurrenceStep {
    private var arguments = vlm_gated_delta_args()

    init(
        _ delta: Kernel.GatedDelta, operands: [Operand], output: Operand, origin: String, _ storage: StateStorage
    ) throws(BackendError) {
        arguments.key_heads = Int64(delta.keyHeads)
        arguments.heads = Int64(delta.heads)
        arguments.key_dim = Int64(delta.keyDim)
        arguments.value_dim = Int64(delta.valueDim)
        try super.init(.gatedDelta(delta), operands: operands, output: output, origin: origin, storage)
    }

    override func bind(_ context: RunContext) {
        super.bind(context)
        arguments.sequences = sequences
        arguments.q = UnsafePointer(inputs[0].floats(context))
        arguments.q_stride = Int64(inputs[0].stride)
        arguments.k = UnsafePointer(inputs[1].floats(context))
        arguments.k_stride = Int64(inputs[1].stride)
        arguments.v = UnsafePointer(inputs[2].floats(context))
        arguments.v_stride = Int64(inputs[2].stride)
        arguments.decay = UnsafePointer(inputs[3].floats(context))
        arguments.decay_stride = Int64(inputs[3].stride)
        arguments.gain = UnsafePointer(inputs[4].floats(context))
        arguments.gain_stride = Int64(inputs[4].stride)
        arguments.y = output.floats(context)
        arguments.y_stride = Int64(output.stride)
    }

    override func itemCount(_ phase: Int) -> Int { Int(arguments.heads) }

    override func run(_ phase: Int, _ items: Range<Int>, thread: Int) {
        let status = withUnsafePointer(to: arguments) {
            vlm_gated_delta($0, Int64(items.lowerBound), Int64(items.upperBound))
        }
        context.check(status)
    }
}
