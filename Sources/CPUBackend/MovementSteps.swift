import CKernels

/// Rows of matrices beside each other; of a single one, without the gaps between them.
final class JoinStep: RowStep {
    private var parts: [vlm_copy_rows_args]
    /// Elements between the rows that are written.
    private let stride: Int

    /// - Parameter keepsRows: the result has the rows of the operands; else those of the only one follow each other in it.
    init(keepsRows: Bool, inputs: [Operand], outputs: [Operand], origin: String, isa: vlm_isa) {
        parts = Array(repeating: vlm_copy_rows_args(), count: inputs.count)
        stride = keepsRows ? outputs[0].stride : inputs[0].columns
        super.init(inputs: inputs, outputs: outputs, origin: origin, isa: isa)
    }

    override func bind(_ context: RunContext) {
        super.bind(context)
        var next = outputs[0].floats(context)
        for index in parts.indices {
            parts[index] = vlm_copy_rows_args(
                columns: Int64(inputs[index].columns), x: UnsafePointer(inputs[index].floats(context)),
                x_stride: Int64(inputs[index].stride), y: next, y_stride: Int64(stride))
            next = next.map { $0 + inputs[index].columns }
        }
    }

    override func itemCount(_ phase: Int) -> Int { inputs[0].rows.value(context) }

    override func grain(_ phase: Int) -> Int { max(1, 16384 / max(stride, 1)) }

    override func run(_ phase: Int, _ items: Range<Int>, thread: Int) {
        for index in parts.indices {
            withUnsafePointer(to: parts[index]) { vlm_copy_rows($0, Int64(items.lowerBound), Int64(items.upperBound), isa) }
        }
    }
}

/// Some columns of each row.
final class CopyColumnsStep: RowStep {
    private var arguments = vlm_copy_rows_args()
    private let start: Int

    init(start: Int, inputs: [Operand], outputs: [Operand], origin: String, isa: vlm_isa) {
        self.start = start
        super.init(inputs: inputs, outputs: outputs, origin: origin, isa: isa)
    }

    override func bind(_ context: RunContext) {
        super.bind(context)
        arguments.columns = Int64(outputs[0].columns)
        arguments.x = inputs[0].floats(context).map { UnsafePointer($0 + start) }
        arguments.x_stride = Int64(inputs[0].stride)
        arguments.y = outputs[0].floats(context)
        arguments.y_stride = Int64(outputs[0].stride)
    }

    override func run(_ phase: Int, _ items: Range<Int>, thread: Int) {
        withUnsafePointer(to: arguments) { vlm_copy_rows($0, Int64(items.lowerBound), Int64(items.upperBound), isa) }
    }
}

/// Sums of rows, each with a weight of its own.
final class BlendStep: RowStep {
    private var arguments = vlm_blend_rows_args()

    override func bind(_ context: RunContext) {
        super.bind(context)
        arguments.columns = Int64(outputs[0].width)
        arguments.count = Int64(inputs[0].width)
        arguments.w = UnsafePointer(inputs[0].floats(context))
        arguments.x = UnsafePointer(inputs[1].floats(context))
        arguments.y = outputs[0].floats(context)
    }

    override func run(_ phase: Int, _ items: Range<Int>, thread: Int) {
        withUnsafePointer(to: arguments) { vlm_blend_rows($0, Int64(items.lowerBound), Int64(items.upperBound), isa) }
    }
}
