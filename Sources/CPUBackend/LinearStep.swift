import CKernels
import COpenBLAS
import Execution
import Plan

/// `y = activation(x · Wᵀ + bias)`, gated or not, of packed rows where the arithmetic asks for them.
class LinearStep: PreparedStep {
    private(set) final var arguments: vlm_linear_args
    private let x, y: Operand
    final let environment: StepEnvironment
    final let readsPackedRows: Bool
    final let panels: Int
    /// Columns of the result.
    private let width: Int
    /// Panels that one thread streams at least, one behind another.
    private let panelsOfRun: Int
    /// Whether many rows go to OpenBLAS.
    private let mayUseBLAS: Bool

    /// - Parameters:
    ///   - operands: x, weight, then the bias when the parameters say so.
    ///   - maxRows: most rows of any batch.
    init(
        _ linear: Kernel.Linear, operands: [Operand], output: Operand, maxRows: Int, origin: String,
        _ environment: StepEnvironment
    ) throws(BackendError) {
        guard let kind = linear.kind else { throw .malformed("the linear layer of \(origin) has no kernel") }
        arguments = vlm_linear_args()
        arguments.kind = kind
        arguments.activation = linear.activation.kernelValue
        arguments.inputs = Int64(linear.inputs)
        arguments.outputs = Int64(linear.outputs)
        arguments.group = Int64(linear.layout.group)
        arguments.is_far = vlm_memory_is_far()
        if case .memory(let weight) = operands[1].place { arguments.weight = weight }
        if linear.hasBias, case .memory(let bias) = operands[2].place {
            arguments.bias = bias.assumingMemoryBound(to: Float.self)
        }
        x = operands[0]
        y = output
        self.environment = environment
        readsPackedRows = linear.activations != nil
        arguments.is_gated = linear.isGated
        width = linear.width
        panels = Int(vlm_panels(Int64(linear.width)))
        panelsOfRun = Self.runBytes / max(1, Int(vlm_panel_bytes(vlm_linear_format(kind), arguments.inputs, arguments.group)))
        environment.scratch.reserve(thread: vlm_linear_scratch_bytes())
        mayUseBLAS =
            linear.arithmetic == .blas && maxRows >= Int(VLM_OPENBLAS_ROWS) && environment.threads <= Int(VLM_OPENBLAS_THREADS)
            && vlm_openblas_open()
        if mayUseBLAS { environment.scratch.reserve(thread: vlm_openblas_scratch_bytes()) }
        super.init(origin: origin)
    }

    override func bind(_ context: RunContext) {
        super.bind(context)
        arguments.rows = Int64(y.rows.value(context) * y.columns / max(width, 1))
        if readsPackedRows {
            arguments.packed = UnsafeRawPointer(x.address(context))
        } else {
            arguments.x = UnsafePointer(x.floats(context))
            arguments.x_stride = Int64(x.columns == Int(arguments.inputs) ? x.stride : Int(arguments.inputs))
        }
        arguments.y = y.floats(context)
        arguments.y_stride = Int64(y.columns == width ? y.stride : width)
    }

    override var operations: Double { 2 * Double(arguments.rows) * Double(arguments.inputs) * Double(arguments.outputs) }

    override func itemCount(_ phase: Int) -> Int { usesBLAS ? panels : Int(withUnsafePointer(to: arguments) { vlm_linear_items($0, environment.isa) }) }

    private var usesBLAS: Bool { mayUseBLAS && arguments.rows >= Int(VLM_OPENBLAS_ROWS) }

    override func grain(_ phase: Int) -> Int {
        if usesBLAS { return Self.blasGrain }
        let items = itemCount(phase)
        let worthIt = 131_072 * items / max(Int(arguments.rows * arguments.inputs * arguments.outputs), 1)
        // A run of panels that few rows stream begins with a wait for memory.
        let run = arguments.rows <= Int64(VLM_LINEAR_FEW_ROWS) ? min(panelsOfRun, items / (2 * environment.threads)) : 1
        return max(1, worthIt, run)
    }

    private static let runBytes = 65536

    /// Panels for which it is worth that OpenBLAS packs the rows of x once more.
    private static let blasGrain = 8

    override func run(_ phase: Int, _ items: Range<Int>, thread: Int) {
        let begin = Int64(items.lowerBound), end = Int64(items.upperBound)
        let (scratch, isa) = (environment.scratch.thread(thread), environment.isa)
        let status = withUnsafePointer(to: arguments) { arguments in
            if usesBLAS && vlm_openblas_linear(arguments, begin, end, scratch, isa) { return VLM_OK }
            return vlm_linear(arguments, begin, end, scratch, isa)
        }
        context.check(status)
    }
}

/// Rows of activations in the form that linear layers multiply.
final class PackActivationsStep: RowStep {
    private var arguments = vlm_pack_activations_args()

    init(_ layout: ActivationLayout, inputs: [Operand], outputs: [Operand], origin: String, isa: vlm_isa) throws(BackendError) {
        arguments.inputs = Int64(inputs[0].width)
        switch layout {
        case .bf16: arguments.format = VLM_ROWS_BF16
        case .int8(let group):
            arguments.format = VLM_ROWS_INT8
            arguments.group = Int64(group)
        case .int8Blocks: arguments.format = VLM_ROWS_INT8_BLOCKS
        case .int16Blocks: arguments.format = VLM_ROWS_INT16_BLOCKS
        }
        guard vlm_row_bytes(arguments.format, arguments.inputs, arguments.group) == outputs[0].width else {
            throw .malformed("rows of \(outputs[0].width) bytes in \(origin) are not \(inputs[0].width) numbers in \(layout)")
        }
        super.init(inputs: inputs, outputs: outputs, origin: origin, isa: isa)
    }

    override func bind(_ context: RunContext) {
        super.bind(context)
        let x = inputs[0]
        arguments.rows = Int64(x.rows.value(context) * x.columns) / max(arguments.inputs, 1)
        arguments.x = UnsafePointer(x.floats(context))
        arguments.x_stride = Int64(x.columns == Int(arguments.inputs) ? x.stride : Int(arguments.inputs))
        arguments.packed = outputs[0].address(context)
    }

    override func itemCount(_ phase: Int) -> Int { Int(arguments.rows) }

    override func grain(_ phase: Int) -> Int { max(1, 65_536 / max(Int(arguments.inputs), 1)) }

    override var operations: Double { 3 * Double(arguments.rows) * Double(arguments.inputs) }

    override func run(_ phase: Int, _ items: Range<Int>, thread: Int) {
        let begin = Int64(items.lowerBound), end = Int64(items.upperBound)
        context.check(withUnsafePointer(to: arguments) { vlm_pack_activations($0, begin, end, isa) })
    }
}

extension Kernel.Linear {
    /// What the kernels call it; nil for a combination that the registry has no row for.
    var kind: vlm_linear_kind? {
        switch (layout, arithmetic) {
        case (.int4Blocks, .int8): VLM_LINEAR_INT4_INT8
        case (.int4Blocks, .f32): VLM_LINEAR_INT4_F32
        case (.int8Blocks, .int8): VLM_LINEAR_INT8_INT8
        case (.int8Blocks, .f32): VLM_LINEAR_INT8_F32
        case (.bf16Panels, .bf16): VLM_LINEAR_BF16_BF16
        case (.bf16Panels, .int16): VLM_LINEAR_BF16_INT16
        case (.bf16Panels, .f32), (.bf16Panels, .blas): VLM_LINEAR_BF16_F32
        case (.f32Panels, .f32), (.f32Panels, .blas): VLM_LINEAR_F32_F32
        case (.f8Blocks, .f32): VLM_LINEAR_F8_F32
        case (.f8Blocks, .bf16): VLM_LINEAR_F8_BF16
        case (.f4Blocks, .f32): VLM_LINEAR_F4_F32
        case (.f4Blocks, .int8): VLM_LINEAR_F4_INT8
        case (.int4Blocks, .blas), (.int4Blocks, .bf16), (.int8Blocks, .blas), (.int8Blocks, .bf16), (.bf16Panels, .int8), (.f32Panels, .bf16), (.f32Panels, .int8),
            (.f8Blocks, .blas), (.f8Blocks, .int8), (.f4Blocks, .blas), (.f4Blocks, .bf16), (.f32Panels, .int16), (.int4Blocks, .int16),
            (.int8Blocks, .int16), (.f8Blocks, .int16), (.f4Blocks, .int16), (.int8Panels, _), (.plain, _), (.indices, _):
            nil
        }
    }
}

extension Activation {
    var kernelValue: vlm_activation {
        switch self {
        case .none: VLM_ACTIVATION_NONE
        case .silu: VLM_ACTIVATION_SILU
        case .relu: VLM_ACTIVATION_RELU
        case .quickGelu: VLM_ACTIVATION_QUICK_GELU
        case .gelu: VLM_ACTIVATION_GELU_ERF
        case .geluTanh: VLM_ACTIVATION_GELU_TANH
        }
    }
}
