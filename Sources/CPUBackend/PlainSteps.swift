import CKernels
import Execution
import Plan
import Tensors

/// What a plain kernel does, bound to its operands.
enum PlainStep {
    static func make(
        _ kernel: PlainKernel, inputs: [Operand], outputs: [Operand], origin: String
    ) throws(BackendError) -> PreparedStep {
        let (x, y) = (inputs[0], outputs[0])
        let unit = Extent(factor: 1, symbol: -1)
        switch kernel {
        case .map(let op): return MapStep(try op.mapOperation(origin), [MapWalk(broadcasting: inputs, to: y)], origin: origin)
        case .expand: return MapStep(VLM_MAP_COPY, [MapWalk(broadcasting: [x], to: y)], origin: origin)
        case .copy:
            let axes = Array(x.dims.indices)
            let walk = MapWalk(x.dims, [StridedOperand(x, axes: axes)], StridedOperand(y, axes: axes, dims: x.dims))
            return MapStep(VLM_MAP_COPY, [walk], origin: origin)
        case .transpose(let order):
            let walk = MapWalk(y.dims, [StridedOperand(x, axes: order)], StridedOperand(y, axes: Array(y.dims.indices)))
            return MapStep(VLM_MAP_COPY, [walk], origin: origin)
        case .slice(let axis, let start):
            let axes = Array(y.dims.indices)
            let walk = MapWalk(y.dims, [StridedOperand(x, axes: axes, start: (axis, start))], StridedOperand(y, axes: axes))
            return MapStep(VLM_MAP_COPY, [walk], origin: origin)
        case .concat(let axis):
            let walks = inputs.map { part in
                let axes = Array(part.dims.indices)
                return MapWalk(part.dims, [StridedOperand(part, axes: axes)], StridedOperand(y, axes: axes))
            }
            return MapStep(VLM_MAP_COPY, walks, concatenating: axis, origin: origin)
        case .repeats(let axis, let count):
            let dims = Array(x.dims[...axis]) + [Extent(factor: count, symbol: -1)] + x.dims[(axis + 1)...]
            let axes = Array(0...axis) + [-1] + Array(x.dims.indices.dropFirst(axis + 1))
            let walk = MapWalk(dims, [StridedOperand(x, axes: axes)], StridedOperand(y, axes: Array(dims.indices), dims: dims))
            return MapStep(VLM_MAP_COPY, [walk], origin: origin)
        case .along(let op, let axis):
            return AlongStep(try op.alongOperation(origin), axis: axis, inputs: inputs, outputs: outputs, origin: origin)
        case .matmul(let transposesB): return MatmulStep(transposesB: transposesB, inputs: inputs, output: y, origin: origin)
        case .gather:
            return PickStep(table: x, index: inputs[1], other: nil, output: y, unit: unit, origin: origin)
        case .selectRows:
            return PickStep(table: inputs[1], index: inputs[2], other: x, output: y, unit: unit, origin: origin)
        }
    }
}

/// One walk of a map kernel: the extents, the operands and the result.
struct MapWalk {
    let extents: WalkExtents
    let x: [StridedOperand]
    let y: StridedOperand

    init(_ dims: [Extent], _ x: [StridedOperand], _ y: StridedOperand) {
        extents = WalkExtents(dims.isEmpty ? [Extent(factor: 1, symbol: -1)] : dims)
        self.x = x
        self.y = y
    }

    /// Operands stretched to the result as numpy does it.
    init(broadcasting inputs: [Operand], to y: Operand) {
        let operands = inputs.map { StridedOperand($0, axes: stretchedAxes($0.dims, to: y.dims)) }
        self.init(y.dims, operands, StridedOperand(y, axes: Array(y.dims.indices)))
    }
}

/// For each axis of `dims` the axis of an operand that is aligned at the last one; −1 where it stretches.
private func stretchedAxes(_ operand: [Extent], to dims: [Extent]) -> [Int] {
    dims.indices.map { axis in
        let own = axis - (dims.count - operand.count)
        guard own >= 0 else { return -1 }
        let isUnit = operand[own].symbol < 0 && operand[own].factor == 1
        return isUnit ? -1 : own
    }
}

/// A function of elements, or a copy; each walk is a phase.
final class MapStep: PreparedStep {
    private let walks: [MapWalk]
    private let concatenated: Int?
    private var arguments = vlm_map_args()
    private let phases: UnsafeMutablePointer<vlm_map_args>

    /// - Parameter concatenated: the axis along which the walks' results follow each other; nil for one walk.
    init(_ operation: vlm_map_op, _ walks: [MapWalk], concatenating concatenated: Int? = nil, origin: String) {
        self.walks = walks
        self.concatenated = concatenated
        phases = .allocate(capacity: walks.count)
        phases.initialize(repeating: vlm_map_args(), count: walks.count)
        arguments.op = operation
        super.init(origin: origin)
    }

    deinit { phases.deallocate() }

    override func bind(_ context: RunContext) {
        super.bind(context)
        var place: Int64 = 0
        for (index, walk) in walks.enumerated() {
            walk.extents.bind(context)
            arguments.x.0 = walk.x[0].bind(context)
            if walk.x.count > 1 { arguments.x.1 = walk.x[1].bind(context) }
            if walk.x.count > 2 { arguments.x.2 = walk.x[2].bind(context) }
            if let axis = concatenated {
                arguments.y = walk.y.bind(context, offset: (axis, place))
                place += walk.x[0].extent(ofAxis: axis, context)
            } else {
                arguments.y = walk.y.bind(context)
            }
            walk.extents.join(walk.x[0], walk.x.count > 1 ? walk.x[1] : nil, walk.x.count > 2 ? walk.x[2] : nil, walk.y)
            arguments.extent = UnsafePointer(walk.extents.extents)
            arguments.axes = Int64(walk.extents.count)
            phases[index] = arguments
        }
    }

    override var phaseCount: Int { walks.count }
    override func itemCount(_ phase: Int) -> Int { context.items(vlm_map_items(phases + phase)) }
    override func grain(_ phase: Int) -> Int { 16 }
    override var operations: Double { Double(VLM_MAP_BLOCK) * Double(itemCount(0)) }

    override func run(_ phase: Int, _ items: Range<Int>, thread: Int) {
        context.check(vlm_map(phases + phase, Int64(items.lowerBound), Int64(items.upperBound)))
    }
}

/// Lines along one axis.
final class AlongStep: PreparedStep {
    private let axis: Int
    private let walk: WalkExtents
    private let x, y: StridedOperand
    private let chosen: StridedOperand?
    private var arguments = vlm_along_args()

    init(_ operation: vlm_along_op, axis: Int, inputs: [Operand], outputs: [Operand], origin: String) {
        self.axis = axis
        let others = inputs[0].dims.indices.filter { $0 != axis }
        walk = WalkExtents(others.map { inputs[0].dims[$0] })
        x = StridedOperand(inputs[0], axes: others)
        y = StridedOperand(outputs[0], axes: others)
        chosen = outputs.count > 1 ? StridedOperand(outputs[1], axes: others) : nil
        arguments.op = operation
        super.init(origin: origin)
    }

    override func bind(_ context: RunContext) {
        super.bind(context)
        walk.bind(context)
        arguments.extent = UnsafePointer(walk.extents)
        arguments.axes = Int64(walk.count)
        arguments.x = x.bind(context)
        arguments.y = y.bind(context)
        arguments.count = x.extent(ofAxis: axis, context)
        arguments.kept = y.extent(ofAxis: axis, context)
        arguments.x_step = x.stride(ofAxis: axis)
        arguments.y_step = y.stride(ofAxis: axis)
        guard let chosen else { return }
        arguments.chosen = chosen.bind(context)
        arguments.chosen_step = chosen.stride(ofAxis: axis)
    }

    override func itemCount(_ phase: Int) -> Int { context.items(withUnsafePointer(to: arguments) { vlm_along_items($0) }) }
    override var operations: Double { 4 * Double(itemCount(0)) * Double(arguments.count) }

    override func run(_ phase: Int, _ items: Range<Int>, thread: Int) {
        let status = withUnsafePointer(to: arguments) { vlm_along($0, Int64(items.lowerBound), Int64(items.upperBound)) }
        context.check(status)
    }
}

/// Products of matrices that are computed in the call.
final class MatmulStep: PreparedStep {
    private let transposesB: Bool
    private let walk: WalkExtents
    private let a, b, y: StridedOperand
    private let ranks: (a: Int, b: Int, y: Int)
    private var arguments = vlm_matmul_args()

    init(transposesB: Bool, inputs: [Operand], output: Operand, origin: String) {
        self.transposesB = transposesB
        let batch = Array(output.dims.dropLast(2))
        walk = WalkExtents(batch)
        a = StridedOperand(inputs[0], axes: stretchedAxes(inputs[0].dims.dropLast(2), to: batch))
        b = StridedOperand(inputs[1], axes: stretchedAxes(inputs[1].dims.dropLast(2), to: batch))
        y = StridedOperand(output, axes: Array(batch.indices))
        ranks = (inputs[0].dims.count, inputs[1].dims.count, output.dims.count)
        super.init(origin: origin)
    }

    override func bind(_ context: RunContext) {
        super.bind(context)
        walk.bind(context)
        arguments.extent = UnsafePointer(walk.extents)
        arguments.axes = Int64(walk.count)
        arguments.a = a.bind(context)
        arguments.b = b.bind(context)
        arguments.y = y.bind(context)
        arguments.m = y.extent(ofAxis: ranks.y - 2, context)
        arguments.n = y.extent(ofAxis: ranks.y - 1, context)
        arguments.k = a.extent(ofAxis: ranks.a - 1, context)
        (arguments.a_row, arguments.a_step) = (a.stride(ofAxis: ranks.a - 2), a.stride(ofAxis: ranks.a - 1))
        let (second, last) = (b.stride(ofAxis: ranks.b - 2), b.stride(ofAxis: ranks.b - 1))
        (arguments.b_step, arguments.b_column) = transposesB ? (last, second) : (second, last)
        (arguments.y_row, arguments.y_column) = (y.stride(ofAxis: ranks.y - 2), y.stride(ofAxis: ranks.y - 1))
    }

    override func itemCount(_ phase: Int) -> Int { context.items(withUnsafePointer(to: arguments) { vlm_matmul_items($0) }) }
    override var operations: Double { 2 * Double(itemCount(0)) * Double(arguments.n) * Double(arguments.k) }

    override func run(_ phase: Int, _ items: Range<Int>, thread: Int) {
        let status = withUnsafePointer(to: arguments) { vlm_matmul($0, Int64(items.lowerBound), Int64(items.upperBound)) }
        context.check(status)
    }
}

/// Rows by number, of one table or of a second one.
final class PickStep: PreparedStep {
    private let outer, inner: WalkExtents
    private let table, index, y: StridedOperand
    private let other: StridedOperand?
    private let y_outer: StridedOperand
    private let other_outer: StridedOperand?
    private var arguments = vlm_pick_args()

    init(table: Operand, index: Operand, other: Operand?, output: Operand, unit: Extent, origin: String) {
        let rank = index.dims.count
        let rowAxes = Array(table.dims.indices.dropFirst())
        outer = WalkExtents(index.dims)
        inner = WalkExtents(rowAxes.isEmpty ? [unit] : rowAxes.map { table.dims[$0] })
        self.table = StridedOperand(table, axes: rowAxes)
        self.index = StridedOperand(index, axes: Array(index.dims.indices))
        y = StridedOperand(output, axes: rowAxes.map { $0 - 1 + rank })
        y_outer = StridedOperand(output, axes: Array(0..<rank))
        self.other = other.map { StridedOperand($0, axes: rowAxes) }
        other_outer = other.map { StridedOperand($0, axes: Array(0..<rank)) }
        super.init(origin: origin)
    }

    override func bind(_ context: RunContext) {
        super.bind(context)
        outer.bind(context)
        inner.bind(context)
        arguments.index = index.bind(context)
        arguments.x = table.bind(context)
        arguments.rows = table.extent(ofAxis: 0, context)
        arguments.x_row = table.stride(ofAxis: 0)
        arguments.y = y.bind(context)
        _ = y_outer.bind(context)
        arguments.y_stride = UnsafePointer(y_outer.strides)
        if let other, let other_outer {
            arguments.a = other.bind(context)
            _ = other_outer.bind(context)
            arguments.a_stride = UnsafePointer(other_outer.strides)
        }
        inner.join(table, y, other)
        arguments.index_extent = UnsafePointer(outer.extents)
        arguments.index_axes = Int64(outer.count)
        arguments.extent = UnsafePointer(inner.extents)
        arguments.axes = Int64(inner.count)
    }

    override func itemCount(_ phase: Int) -> Int { context.items(withUnsafePointer(to: arguments) { vlm_pick_items($0) }) }
    override var operations: Double { 8 * Double(itemCount(0)) * Double(arguments.extent[0]) }

    override func run(_ phase: Int, _ items: Range<Int>, thread: Int) {
        let status = withUnsafePointer(to: arguments) { vlm_pick($0, Int64(items.lowerBound), Int64(items.upperBound)) }
        context.check(status)
    }
}

extension RunContext {
    /// The number of items that a kernel says; for arguments that it does not support none, and the complaint is kept.
    fileprivate func items(_ count: Int64) -> Int {
        if count < 0 { check(VLM_BAD_SHAPE) }
        return max(Int(count), 0)
    }
}

extension PlainOp {
    fileprivate func mapOperation(_ origin: String) throws(BackendError) -> vlm_map_op {
        switch self {
        case .cast: VLM_MAP_COPY
        case .neg: VLM_MAP_NEG
        case .square: VLM_MAP_SQUARE
        case .sqrt: VLM_MAP_SQRT
        case .rsqrt: VLM_MAP_RSQRT
        case .exp: VLM_MAP_EXP
        case .log: VLM_MAP_LOG
        case .cos: VLM_MAP_COS
        case .sin: VLM_MAP_SIN
        case .sigmoid: VLM_MAP_SIGMOID
        case .tanh: VLM_MAP_TANH
        case .erf: VLM_MAP_ERF
        case .softplus: VLM_MAP_SOFTPLUS
        case .reciprocal: VLM_MAP_RECIPROCAL
        case .add: VLM_MAP_ADD
        case .sub: VLM_MAP_SUB
        case .mul: VLM_MAP_MUL
        case .div: VLM_MAP_DIV
        case .maximum: VLM_MAP_MAXIMUM
        case .minimum: VLM_MAP_MINIMUM
        case .choose: VLM_MAP_WHERE
        case .copy, .reshape, .transpose, .slice, .concat, .expand, .repeats, .sum, .mean, .max, .argmax, .softmax, .cumsum, .topK, .matmul,
            .gather, .selectRows:
            throw .malformed("\(rawValue) of \(origin) is no function of elements")
        }
    }

    fileprivate func alongOperation(_ origin: String) throws(BackendError) -> vlm_along_op {
        switch self {
        case .sum: VLM_ALONG_SUM
        case .mean: VLM_ALONG_MEAN
        case .max: VLM_ALONG_MAX
        case .argmax: VLM_ALONG_ARGMAX
        case .softmax: VLM_ALONG_SOFTMAX
        case .cumsum: VLM_ALONG_CUMSUM
        case .topK: VLM_ALONG_TOP_K
        default: throw .malformed("\(rawValue) of \(origin) does not go along an axis")
        }
    }
}
