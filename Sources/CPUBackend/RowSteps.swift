import CKernels
import Plan

/// A kernel that computes rows of its output one by one.
class RowStep: PreparedStep {
    let inputs, outputs: [Operand]
    let isa: vlm_isa
    private(set) var rows = 0

    init(inputs: [Operand], outputs: [Operand], origin: String, isa: vlm_isa) {
        self.inputs = inputs
        self.outputs = outputs
        self.isa = isa
        super.init(origin: origin)
    }

    override func bind(_ context: RunContext) {
        super.bind(context)
        rows = outputs[0].rows.value(context)
    }

    override func itemCount(_ phase: Int) -> Int { rows }

    override func grain(_ phase: Int) -> Int { max(1, 16384 / max(outputs[0].columns, 1)) }

    override var operations: Double { 8 * Double(rows) * Double(outputs[0].columns) }
}

/// RMSNorm or LayerNorm over the last axis, with the residual sum in front where the step has two outputs.
final class NormStep: RowStep {
    private var arguments = vlm_norm_args()
    private let centered: Bool
    /// Rows of the last axis in each row of memory, such as heads.
    private let groups: Int

    init(centered: Bool, eps: Float, inputs: [Operand], outputs: [Operand], origin: String, isa: vlm_isa) {
        self.centered = centered
        groups = outputs[0].columns / max(outputs[0].width, 1)
        arguments.eps = eps
        super.init(inputs: inputs, outputs: outputs, origin: origin, isa: isa)
    }

    override func bind(_ context: RunContext) {
        super.bind(context)
        let adds = outputs.count == 2
        arguments.columns = Int64(outputs[0].width)
        arguments.x = UnsafePointer(inputs[0].floats(context))
        arguments.x_stride = Int64(inputs[0].stride)
        arguments.add = adds ? UnsafePointer(inputs[1].floats(context)) : nil
        arguments.add_stride = Int64(inputs[1].stride)
        arguments.sum = adds ? outputs[0].floats(context) : nil
        arguments.sum_stride = Int64(outputs[0].stride)
        let weight = adds ? 2 : 1
        arguments.weight = UnsafePointer(inputs[weight].floats(context))
        arguments.bias = centered ? UnsafePointer(inputs[weight + 1].floats(context)) : nil
        let y = outputs[adds ? 1 : 0]
        arguments.y = y.floats(context)
        arguments.y_stride = Int64(y.stride)
    }

    override func run(_ phase: Int, _ items: Range<Int>, thread: Int) {
        if groups == 1 { return normalize(arguments, items) }
        for row in items {
            var inside = arguments
            inside.x = arguments.x + row * Int(arguments.x_stride)
            inside.y = arguments.y + row * Int(arguments.y_stride)
            inside.add = arguments.add.map { $0 + row * Int(arguments.add_stride) }
            inside.sum = arguments.sum.map { $0 + row * Int(arguments.sum_stride) }
            (inside.x_stride, inside.y_stride) = (arguments.columns, arguments.columns)
            (inside.add_stride, inside.sum_stride) = (arguments.columns, arguments.columns)
            normalize(inside, 0..<groups)
        }
    }

    private func normalize(_ arguments: vlm_norm_args, _ rows: Range<Int>) {
        let begin = Int64(rows.lowerBound), end = Int64(rows.upperBound)
        withUnsafePointer(to: arguments) { arguments in
            if centered {
                vlm_layer_norm(arguments, begin, end, isa)
            } else {
                vlm_rms_norm(arguments, begin, end, isa)
            }
        }
    }
}

/// Cosine and sine of each row's rotary angles.
final class RotaryTableStep: RowStep {
    private var arguments = vlm_rotary_table_args()

    override func bind(_ context: RunContext) {
        super.bind(context)
        arguments.pairs = Int64(outputs[0].columns)
        arguments.sets = Int64(inputs[1].rows.value(context) / max(outputs[0].columns, 1))
        arguments.positions = UnsafePointer(inputs[0].integers(context))
        arguments.positions_stride = Int64(rows)
        arguments.inv_freq = UnsafePointer(inputs[1].floats(context))
        arguments.axis = UnsafePointer(inputs[2].integers(context))
        arguments.scale = 1
        arguments.cos = outputs[0].floats(context)
        arguments.sin = outputs[1].floats(context)
    }

    override func run(_ phase: Int, _ items: Range<Int>, thread: Int) {
        withUnsafePointer(to: arguments) {
            vlm_rotary_table($0, Int64(items.lowerBound), Int64(items.upperBound), isa)
        }
    }
}

/// Rotates each part of each head, half against half.
final class RotaryStep: RowStep {
    private var arguments = vlm_rotary_args()

    init(heads: Int, headDim: Int, parts: Int, inputs: [Operand], outputs: [Operand], origin: String, isa: vlm_isa) {
        arguments.heads = Int64(heads)
        arguments.parts = Int64(parts)
        arguments.head_dim = Int64(headDim)
        arguments.rotary_dim = Int64(headDim)
        super.init(inputs: inputs, outputs: outputs, origin: origin, isa: isa)
    }

    override func bind(_ context: RunContext) {
        super.bind(context)
        arguments.x = UnsafePointer(inputs[0].floats(context))
        arguments.x_stride = Int64(inputs[0].stride)
        arguments.y = outputs[0].floats(context)
        arguments.y_stride = Int64(outputs[0].stride)
        arguments.cos = UnsafePointer(inputs[1].floats(context))
        arguments.sin = UnsafePointer(inputs[2].floats(context))
    }

    override func run(_ phase: Int, _ items: Range<Int>, thread: Int) {
        withUnsafePointer(to: arguments) {
            vlm_rotary($0, Int64(items.lowerBound), Int64(items.upperBound), isa)
        }
    }
}

/// `activation(gate) · up` over the last axis.
final class GatedActivationStep: RowStep {
    private var arguments = vlm_gated_args()
    /// Rows of the last axis in each row of memory.
    private let groups: Int

    init(_ activation: Activation, inputs: [Operand], outputs: [Operand], origin: String, isa: vlm_isa) {
        arguments.activation = activation.kernelValue
        groups = outputs[0].columns / max(outputs[0].width, 1)
        super.init(inputs: inputs, outputs: outputs, origin: origin, isa: isa)
    }

    override func bind(_ context: RunContext) {
        super.bind(context)
        arguments.columns = Int64(outputs[0].width)
        arguments.x = UnsafePointer(inputs[0].floats(context))
        arguments.x_stride = Int64(inputs[0].stride)
        arguments.y = outputs[0].floats(context)
        arguments.y_stride = Int64(outputs[0].stride)
    }

    override func run(_ phase: Int, _ items: Range<Int>, thread: Int) {
        if groups == 1 { return withUnsafePointer(to: arguments) { vlm_gated($0, Int64(items.lowerBound), Int64(items.upperBound), isa) } }
        for row in items {
            var inside = arguments
            inside.x = arguments.x + row * Int(arguments.x_stride)
            inside.y = arguments.y + row * Int(arguments.y_stride)
            (inside.x_stride, inside.y_stride) = (2 * arguments.columns, arguments.columns)
            withUnsafePointer(to: inside) { vlm_gated($0, 0, Int64(groups), isa) }
        }
    }
}

/// Rows of a packed table by number.
final class EmbedStep: RowStep {
    private var arguments = vlm_unpack_rows_args()
    /// Numbers in each row of the index.
    private let groups: Int

    init(table: WeightEntry, inputs: [Operand], outputs: [Operand], origin: String, isa: vlm_isa) {
        arguments.format = table.layout.kernelFormat
        arguments.group = Int64(table.layout.group)
        arguments.outputs = Int64(table.shape.first ?? 0)
        arguments.inputs = Int64(table.shape.last ?? 0)
        groups = inputs[1].columns
        super.init(inputs: inputs, outputs: outputs, origin: origin, isa: isa)
    }

    override func bind(_ context: RunContext) {
        super.bind(context)
        arguments.packed = UnsafeRawPointer(inputs[0].address(context))
        arguments.ids = UnsafePointer(inputs[1].integers(context))
        arguments.y = outputs[0].floats(context)
        arguments.y_stride = groups == 1 ? Int64(outputs[0].stride) : arguments.inputs
    }

    override func itemCount(_ phase: Int) -> Int { rows * groups }

    override func run(_ phase: Int, _ items: Range<Int>, thread: Int) {
        let status = withUnsafePointer(to: arguments) {
            vlm_unpack_rows($0, Int64(items.lowerBound), Int64(items.upperBound), isa)
        }
        context.check(status)
    }
}

/// Rows by index: of one table, or of a second one where the index says so.
final class IndexedRowsStep: RowStep {
    private var arguments = vlm_rows_args()
    private let selects: Bool

    /// - Parameter selects: inputs are a, b, index; else x, index.
    init(selects: Bool, inputs: [Operand], outputs: [Operand], origin: String, isa: vlm_isa) {
        self.selects = selects
        super.init(inputs: inputs, outputs: outputs, origin: origin, isa: isa)
    }

    override func bind(_ context: RunContext) {
        super.bind(context)
        let source = inputs[selects ? 1 : 0]
        let columns = Int64(outputs[0].columns)
        arguments.columns = columns
        arguments.x = UnsafePointer(source.floats(context))
        arguments.x_rows = Int64(source.rows.value(context))
        arguments.x_stride = Int64(source.stride)
        arguments.a = selects ? UnsafePointer(inputs[0].floats(context)) : nil
        arguments.a_stride = Int64(inputs[0].stride)
        arguments.index = UnsafePointer(inputs[selects ? 2 : 1].integers(context))
        arguments.y = outputs[0].floats(context)
        arguments.y_stride = Int64(outputs[0].stride)
    }

    override func run(_ phase: Int, _ items: Range<Int>, thread: Int) {
        let begin = Int64(items.lowerBound), end = Int64(items.upperBound)
        let status = withUnsafePointer(to: arguments) {
            selects ? vlm_select_rows($0, begin, end, isa) : vlm_gather_rows($0, begin, end, isa)
        }
        context.check(status)
    }
}

/// Columns by index, in the order of a weight's groups.
final class IndexedColumnsStep: RowStep {
    private var arguments = vlm_columns_args()

    override func bind(_ context: RunContext) {
        super.bind(context)
        arguments.columns = Int64(outputs[0].columns)
        arguments.x = UnsafePointer(inputs[0].floats(context))
        arguments.x_columns = Int64(inputs[0].columns)
        arguments.x_stride = Int64(inputs[0].stride)
        arguments.index = UnsafePointer(inputs[1].integers(context))
        arguments.y = outputs[0].floats(context)
        arguments.y_stride = Int64(outputs[0].stride)
    }

    override func run(_ phase: Int, _ items: Range<Int>, thread: Int) {
        context.check(withUnsafePointer(to: arguments) { vlm_gather_columns($0, Int64(items.lowerBound), Int64(items.upperBound)) })
    }
}

/// Element by element over whole rows: widening bytes, adding.
final class ElementStep: RowStep {
    enum Operation { case widen, add }
    private let operation: Operation
    private var first: UnsafeMutableRawPointer?
    private var second: UnsafeMutablePointer<Float>?
    private var result: UnsafeMutablePointer<Float>?

    init(_ operation: Operation, inputs: [Operand], outputs: [Operand], origin: String, isa: vlm_isa) {
        self.operation = operation
        super.init(inputs: inputs, outputs: outputs, origin: origin, isa: isa)
    }

    override func bind(_ context: RunContext) {
        super.bind(context)
        first = inputs[0].address(context)
        second = operation == .add ? inputs[1].floats(context) : nil
        result = outputs[0].floats(context)
    }

    override func run(_ phase: Int, _ items: Range<Int>, thread: Int) {
        guard let first, let result else { return }
        let begin = Int64(items.lowerBound * outputs[0].columns), end = Int64(items.upperBound * outputs[0].columns)
        switch operation {
        case .widen: vlm_u8_to_f32(first.assumingMemoryBound(to: UInt8.self), result, begin, end, isa)
        case .add: vlm_add(first.assumingMemoryBound(to: Float.self), second, result, begin, end, isa)
        }
    }
}

/// Rows times a number, times one for each of their elements, or each times a number of its own.
final class ScaleStep: RowStep {
    private var arguments = vlm_scale_args()
    private let isRowwise: Bool
    /// Rows of the last axis in each row of memory, such as heads, where those are what is scaled.
    private let groups: Int

    init(isRowwise: Bool, inputs: [Operand], outputs: [Operand], origin: String, isa: vlm_isa) {
        self.isRowwise = isRowwise
        groups = isRowwise ? 1 : outputs[0].columns / max(outputs[0].width, 1)
        super.init(inputs: inputs, outputs: outputs, origin: origin, isa: isa)
    }

    override func bind(_ context: RunContext) {
        super.bind(context)
        arguments.columns = Int64(outputs[0].columns / groups)
        arguments.x = UnsafePointer(inputs[0].floats(context))
        arguments.x_stride = Int64(isRowwise ? inputs[0].stride : outputs[0].width)
        arguments.w = UnsafePointer(inputs[1].floats(context))
        arguments.w_step = isRowwise || inputs[1].rows.value(context) * inputs[1].columns == 1 ? 0 : 1
        arguments.w_stride = isRowwise ? 1 : 0
        arguments.y = outputs[0].floats(context)
        arguments.y_stride = Int64(isRowwise ? outputs[0].stride : outputs[0].width)
    }

    override func run(_ phase: Int, _ items: Range<Int>, thread: Int) {
        withUnsafePointer(to: arguments) { vlm_scale($0, Int64(items.lowerBound * groups), Int64(items.upperBound * groups), isa) }
    }
}

extension WeightLayout {
    var kernelFormat: vlm_weight_format {
        switch self {
        case .bf16Panels: VLM_WEIGHT_BF16
        case .int8Panels: VLM_WEIGHT_SCREEN
        case .int4Blocks: VLM_WEIGHT_INT4
        case .int8Blocks: VLM_WEIGHT_INT8
        case .f8Blocks: VLM_WEIGHT_F8
        case .f4Blocks: VLM_WEIGHT_F4
        case .f32Panels, .plain, .indices: VLM_WEIGHT_F32
        }
    }
}
