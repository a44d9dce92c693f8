import CKernels
import COpenBLAS
import Plan

/// `y = activation(x · Wᵗ + bias) + residual`; preparing the rows is a phase of its own where the arithmetic needs it.
final class LinearStep: PreparedStep {
    private var arguments: vlm_linear_args
    private let x, y: Operand
    private let residual: Operand?
    private let environment: StepEnvironment
    private let prepares: Bool
    private let panels: Int
    /// Whether many rows go to OpenBLAS.
    private let mayUseBLAS: Bool

    /// - Parameters:
    ///   - operands: x, weight, then bias and residual as the parameters flag them.
    ///   - maxRows: most rows of any batch.
    init(
        _ linear: Kernel.Linear, operands: [Operand], output: Operand, maxRows: Int, origin: String,
        _ environment: StepEnvironment
    ) {
        arguments = vlm_linear_args()
        arguments.kind = linear.kind
        arguments.activation = linear.activation.kernelValue
        arguments.inputs = Int64(linear.inputs)
        arguments.outputs = Int64(linear.outputs)
        if case .int4Blocks(let group) = linear.layout { arguments.group = Int64(group) }
        if case .memory(let weight) = operands[1].place { arguments.weight = weight }
        if linear.hasBias, case .memory(let bias) = operands[2].place {
            arguments.bias = bias.assumingMemoryBound(to: Float.self)
        }
        x = operands[0]
        y = output
        residual = linear.hasResidual ? operands[operands.count - 1] : nil
        self.environment = environment
        panels = Int(vlm_panels(arguments.outputs))
        let prepared = vlm_linear_prepared_bytes(arguments.kind, Int64(maxRows), arguments.inputs, arguments.group)
        prepares = prepared > 0
        environment.scratch.reserve(shared: prepared)
        environment.scratch.reserve(thread: vlm_linear_scratch_bytes())
        mayUseBLAS =
            linear.arithmetic == .blas && maxRows >= Int(VLM_OPENBLAS_ROWS) && environment.threads <= Int(VLM_OPENBLAS_THREADS)
            && (linear.activation == .none || !linear.hasResidual) && vlm_openblas_open()
        if mayUseBLAS { environment.scratch.reserve(thread: vlm_openblas_scratch_bytes()) }
        super.init(origin: origin)
    }

    override func bind(_ context: RunContext) {
        super.bind(context)
        arguments.rows = Int64(x.rows.value(context) * x.columns) / max(arguments.inputs, 1)
        arguments.x = UnsafePointer(x.floats(context))
        arguments.x_stride = Int64(x.columns == Int(arguments.inputs) ? x.stride : Int(arguments.inputs))
        arguments.prepared = prepares ? environment.scratch.shared : nil
        arguments.y = y.floats(context)
        arguments.y_stride = Int64(y.stride)
        arguments.residual = residual.flatMap { UnsafePointer($0.floats(context)) }
        arguments.residual_stride = Int64(residual?.stride ?? 0)
    }

    override var operations: Double { 2 * Double(arguments.rows) * Double(arguments.inputs) * Double(arguments.outputs) }

    override var phaseCount: Int { prepares ? 2 : 1 }

    override func itemCount(_ phase: Int) -> Int {
        guard arguments.rows > 0 else { return 0 }
        return prepares && phase == 0 ? Int(arguments.rows) : panels
    }

    private var usesBLAS: Bool { mayUseBLAS && arguments.rows >= Int(VLM_OPENBLAS_ROWS) }

    override func grain(_ phase: Int) -> Int {
        if usesBLAS { return Self.blasGrain }
        if prepares && phase == 0 { return max(1, 65_536 / Int(arguments.inputs)) }
        let panelWork = Int(arguments.inputs) * Int(VLM_PANEL) * Int(max(arguments.rows, 1))
        return max(Self.streams, 131_072 / max(panelWork, 1) / Self.streams * Self.streams)
    }

    /// Panels that kernels read side by side when there are few rows.
    private static let streams = 4
    /// Panels for which it is worth that OpenBLAS packs the rows of x once more.
    private static let blasGrain = 8

    override func run(_ phase: Int, _ items: Range<Int>, thread: Int) {
        let begin = Int64(items.lowerBound), end = Int64(items.upperBound)
        let (scratch, isa) = (environment.scratch.thread(thread), environment.isa)
        let status = withUnsafePointer(to: arguments) { arguments in
            if prepares && phase == 0 { return vlm_linear_prepare(arguments, begin, end, isa) }
            if usesBLAS && vlm_openblas_linear(arguments, begin, end, scratch, isa) { return VLM_OK }
            return vlm_linear(arguments, begin, end, scratch, isa)
        }
        context.check(status)
    }
}

extension Kernel.Linear {
    var kind: vlm_linear_kind {
        switch (layout, arithmetic) {
        case (.int4Blocks, .int8): VLM_LINEAR_INT4_INT8
        case (.int4Blocks, _): VLM_LINEAR_INT4_F32
        case (.bf16Panels, .bf16): VLM_LINEAR_BF16_BF16
        case (.bf16Panels, _): VLM_LINEAR_BF16_F32
        default: VLM_LINEAR_F32_F32
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
