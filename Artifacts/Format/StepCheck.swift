import Plan
import Tensors

/// Whether one step's operands have the extents, elements and layouts that its kernel reads and writes.
///
/// That each slot by itself lies in its memory is known before. Symbols stand at their bounds: a kernel takes fewer rows at
/// run time, never longer ones.
struct StepCheck {
    let program: Program
    let weights: [WeightEntry]
    let plan: ExecutionPlan
    let step: Step
    let place: Place

    func run() throws(Contradiction) {
        guard let row = step.kernel.row else { throw Contradiction(reason: "\(place): no row of the registry is like it") }
        guard let rules = step.kernel.inputRules(count: step.inputs.count), step.outputs.count == row.results.count else {
            let wanted = "\(row.operands.count) inputs and \(row.results.count) outputs"
            throw Contradiction(reason: "\(place): \(step.inputs.count) inputs and \(step.outputs.count) outputs instead of \(wanted)")
        }
        for (rule, slot) in zip(rules + row.results, step.inputs + step.outputs) { try check(slot, rule) }
        switch step.kernel {
        case .packActivations(let layout): try check(layout)
        case .linear(let linear): try check(linear)
        case .screenedLinear(let linear): try checkScreened(linear)
        case .adapt(let adapt): try check(adapt)
        case .rmsNorm, .layerNorm: try checkNorm(activations: 1)
        case .addRMSNorm, .addLayerNorm: try checkNorm(activations: 2)
        case .rotaryTable: try checkRotaryTable()
        case .rotary(let heads, let headDim, let parts): try checkRotary(heads: heads, headDim: headDim, parts: parts)
        case .kvWrite(let layer): try checkCacheWrite(layer: layer)
        case .pagedAttention(let attention): try check(attention)
        case .segmentAttention(let attention): try check(attention)
        case .shortConvolution(let convolution): try check(convolution)
        case .gatedDelta(let delta): try check(delta)
        case .gatedActivation: try checkGatedActivation()
        case .embed: try checkEmbed()
        case .selectRows, .gatherRows: try checkIndexedRows()
        case .gatherColumns: try checkIndexedColumns()
        case .widen, .add: try checkElements()
        case .scale: try checkScale()
        case .scaleRows:
            try checkShapes(.map(.mul))
            try require(try floats(step.inputs[1]).columns == 1, "\(step.inputs[1].type) is not one number for each row")
            try requireSame(try floats(step.outputs[0]), [try floats(step.inputs[0])])
            try require(step.inputs[0].type.shape[0] == step.inputs[1].type.shape[0], "\(step.inputs[1].type) has other rows")
        case .copyRows: try checkShapes(.copy(.reshape))
        case .copyColumns(let start): try checkShapes(.slice(axis: 1, start: start))
        case .joinColumns: try checkShapes(.concat(axis: 1))
        case .blendRows:
            try checkShapes(.matmul(transposesB: false))
            try require(step.inputs[0].type.shape[1] == 1, "\(step.inputs[0].type) is not one weight for each row")
            try require(step.inputs[0].type.shape[0] == step.inputs[1].type.shape[0], "\(step.inputs[1].type) has other rows")
        case .plain(let kernel): try checkShapes(kernel)
        }
    }

    private func require(_ holds: Bool, _ reason: @autoclosure () -> String) throws(Contradiction) {
        if !holds { throw Contradiction(reason: "\(place): \(reason())") }
    }
}

/// A slot as kernels see it, with symbols at their bounds.
private struct Extents {
    var type: TensorType
    var rows: Int
    var columns: Int
    /// Whether no gap lies between rows.
    var isContiguous: Bool

    var count: Int { rows * columns }

    func hasExtents(of other: Extents) -> Bool { rows == other.rows && columns == other.columns }
}

extension StepCheck {
    /// What the registry asks of a slot by itself.
    private func check(_ slot: Slot, _ rule: OperandRule) throws(Contradiction) {
        switch rule.elements {
        case .f32: _ = try floats(slot)
        case .i32: _ = try integers(slot)
        case .u8: try require(element(of: slot) == .u8, "\(slot.type) in \(slot.place) are no pixels")
        case .any: try checkPlain(slot)
        case .packed: return _ = try packed(slot)
        case .packedRows: _ = try packedRows(slot)
        }
        if rule.isWeight, case .weight = slot.place {} else if rule.isWeight {
            throw Contradiction(reason: "\(place): \(rule.name) is no weight")
        }
        try require(rule.ranks.contains(slot.type.shape.rank), "\(slot.type) is no \(rule.name)")
        let varies = slot.type.shape.dims.dropFirst().contains { $0.symbol != nil }
        try require(!varies || rule.layout == .whole || rule.layout == .strided, "rows of \(slot.type) vary in size")
        if rule.layout == .dense || rule.layout == .whole { try requireContiguous([try extents(slot)]) }
    }

    /// A slot whose memory has the elements that its type says.
    private func checkPlain(_ slot: Slot) throws(Contradiction) {
        let isPlain =
            switch slot.place {
            case .arena: true
            case .output(let index): slot.type.element == plan.outputs[index].type.element
            case .input: true
            case .tensor: slot.type.element == element(of: slot)
            case .weight(let index):
                weights[index].layout == .plain && slot.type.element == .f32
                    || weights[index].layout == .indices && slot.type.element == .i32
            }
        try require(isPlain && slot.type.element.hasPlainKernel, "\(slot.type) in \(slot.place) is not read by plain kernels")
    }

    /// The element of an image's tensor; nil for a slot that is none.
    private func element(of slot: Slot) -> DType? {
        if case .tensor(let index) = slot.place { plan.tensors[index].type.element } else { nil }
    }

    /// A slot that a kernel reads or writes as f32.
    private func floats(_ slot: Slot) throws(Contradiction) -> Extents {
        let isFloat =
            switch slot.place {
            case .arena, .output, .input: slot.type.element == .f32
            case .tensor: element(of: slot) == .f32
            case .weight(let index): weights[index].layout == .plain
            }
        try require(isFloat, "\(slot.type) in \(slot.place) is not read as f32")
        return try extents(slot)
    }

    /// A slot that a kernel reads as i32.
    private func integers(_ slot: Slot) throws(Contradiction) -> Extents {
        let isInteger =
            switch slot.place {
            case .arena, .input: slot.type.element == .i32
            case .output: false
            case .tensor: element(of: slot) == .i32
            case .weight(let index): weights[index].layout == .indices
            }
        try require(isInteger, "\(slot.type) in \(slot.place) is not read as i32")
        return try extents(slot)
    }

    /// A slot that a kernel reads or writes as packed rows, which begin at multiples of 64 bytes.
    private func packedRows(_ slot: Slot) throws(Contradiction) -> Extents {
        guard case .arena(let offset, _) = slot.place, slot.type.element == .u8, offset % 64 == 0 else {
            throw Contradiction(reason: "\(place): \(slot.type) in \(slot.place) are no packed rows")
        }
        let extents = try extents(slot)
        try requireContiguous([extents])
        return extents
    }

    /// A weight in panels or blocks, the only layouts that linear layers and tables read.
    private func packed(_ slot: Slot) throws(Contradiction) -> WeightEntry {
        guard case .weight(let index) = slot.place, weights[index].layout.isPacked else {
            throw Contradiction(reason: "\(place): \(slot.type) in \(slot.place) is no packed weight")
        }
        return weights[index]
    }

    /// A vector in the weights.
    private func vector(_ slot: Slot, count: Int) throws(Contradiction) {
        guard case .weight = slot.place, try floats(slot).count == count else {
            throw Contradiction(reason: "\(place): \(slot.type) is not a weight of \(count) elements")
        }
    }

    private func extents(_ slot: Slot) throws(Contradiction) -> Extents {
        let shape = slot.type.shape
        guard let rows = shape.dims.first.map({ $0.value(plan.bounds) }) ?? 1, let columns = shape.columns(plan.bounds) else {
            throw Contradiction(reason: "\(place): the size of \(slot.type) is unknown or too large")
        }
        guard case .arena(_, let stride) = slot.place else {
            return Extents(type: slot.type, rows: rows, columns: columns, isContiguous: true)
        }
        return Extents(type: slot.type, rows: rows, columns: columns, isContiguous: stride == nil || stride == columns || rows == 1)
    }

    private func requireContiguous(_ all: [Extents]) throws(Contradiction) {
        for extents in all { try require(extents.isContiguous, "rows of \(extents.type) lie apart") }
    }

    private func requireSame(_ first: Extents, _ others: [Extents]) throws(Contradiction) {
        for other in others { try require(other.hasExtents(of: first), "\(other.type) has not the extents of \(first.type)") }
    }

    private func requireIndex(_ slot: Slot, for rows: Extents) throws(Contradiction) {
        try require(try integers(slot).count == rows.rows, "\(slot.type) is not one index for each row of \(rows.type)")
    }

    /// Each row holds `heads · headDim` elements.
    private func require(_ all: [Extents], heads: Int, headDim: Int) throws(Contradiction) {
        for extents in all {
            try require(
                heads > 0 && headDim > 0 && extents.columns == product([heads, headDim]),
                "\(extents.type) is not \(heads) heads of \(headDim)")
        }
    }
}

extension StepCheck {
    private func check(_ linear: Kernel.Linear) throws(Contradiction) {
        try require(linear.inputs > 0 && linear.outputs > 0, "extents are out of range")
        try require(!linear.isGated || linear.outputs % (2 * WeightLayout.panel) == 0, "the gate is no whole panels")
        try require(!linear.isGated || linear.arithmetic != .blas, "OpenBLAS gates nothing")
        let weight = try packed(step.inputs[1])
        try require(
            weight.shape == [linear.outputs, linear.inputs] && weight.layout == linear.layout,
            "weight \(weight.name) has another shape or layout")
        let (x, y) = (linear.activations == nil ? try floats(step.inputs[0]) : try packedRows(step.inputs[0]), try floats(step.outputs[0]))
        guard let width = linear.activations.map({ $0.rowBytes(inputs: linear.inputs) }) ?? linear.inputs else {
            throw Contradiction(reason: "\(place): \(linear.inputs) inputs have no rows in \(linear.arithmetic.rawValue)")
        }
        try require(
            x.count % width == 0 && y.columns % linear.width == 0 && x.count / width == y.count / linear.width,
            "\(x.type) to \(y.type) is not \(linear.inputs) inputs to \(linear.width) outputs")
        if x.columns != width { try requireContiguous([x]) }
        if y.columns != linear.width { try requireContiguous([y]) }
        if linear.hasBias { try vector(step.inputs[2], count: linear.outputs) }
    }

    /// A linear layer into the logits, whose int8 weight has the extents of the other.
    private func checkScreened(_ linear: Kernel.Linear) throws(Contradiction) {
        try check(linear)
        let screen = try packed(step.inputs[2])
        try require(
            screen.layout == .int8Panels && screen.shape == [linear.outputs, linear.inputs], "weight \(screen.name) has another shape or layout")
        try require(linear.activation == .none && !linear.isGated, "a screened layer has an activation")
        try require(linear.inputs <= 1 << 16, "a screened layer has \(linear.inputs) inputs")
        // What is wanted of a row is said for the rows of the logits alone.
        guard plan.entry != .vision, case .output(0) = step.outputs[0].place else {
            throw Contradiction(reason: "\(place): a screened layer makes no logits")
        }
    }

    private func check(_ adapt: Kernel.Adapt) throws(Contradiction) {
        let (y, x) = (try floats(step.inputs[0]), try floats(step.inputs[1]))
        try requireSame(try floats(step.outputs[0]), [y])
        let isWhole = !adapt.layers.isEmpty && adapt.layers.allSatisfy { !$0.name.isEmpty && $0.outputs > 0 && $0.outputs <= y.columns }
        try require(isWhole && adapt.layers.reduce(0, { $0 + $1.outputs }) == y.columns, "the layers are not the columns of \(y.type)")
        try require(x.rows == y.rows && x.columns == adapt.inputs, "\(x.type) is not \(adapt.inputs) inputs for each row of \(y.type)")
        try requireIndex(step.inputs[2], for: y)
    }

    /// Each row of x becomes a packed row.
    private func check(_ layout: ActivationLayout) throws(Contradiction) {
        let (x, y) = (try floats(step.inputs[0]), try packedRows(step.outputs[0]))
        let width = step.inputs[0].type.shape.dims.last?.fixedValue ?? 0
        guard let bytes = layout.rowBytes(inputs: width) else {
            throw Contradiction(reason: "\(place): \(x.type) has no rows for \(layout)")
        }
        try require(x.count % width == 0 && y.count % bytes == 0 && x.count / width == y.count / bytes, "\(y.type) are not the rows of \(x.type)")
        if x.columns != width { try requireContiguous([x]) }
    }

    /// x, then what is added to it, then the norm's vectors.
    private func checkNorm(activations: Int) throws(Contradiction) {
        let y = try floats(step.outputs[0])
        for slot in step.inputs[..<activations] + step.outputs[1...] { try requireSame(y, [try floats(slot)]) }
        guard let width = step.outputs[0].type.shape.dims.last?.fixedValue, width > 0, y.columns % width == 0 else {
            throw Contradiction(reason: "\(place): \(y.type) has no rows to normalize")
        }
        for slot in step.inputs[activations...] { try vector(slot, count: width) }
    }

    private func checkRotaryTable() throws(Contradiction) {
        let (cos, sin) = (try floats(step.outputs[0]), try floats(step.outputs[1]))
        try requireSame(cos, [sin])
        let positions = step.inputs[0].type.shape.values(plan.bounds) ?? []
        _ = try integers(step.inputs[0])
        try require(
            positions.count == 2 && positions[1] == cos.rows, "\(step.inputs[0].type) are not positions for \(cos.type)")
        let count = try floats(step.inputs[1]).count
        try require(cos.columns > 0 && count > 0 && count % cos.columns == 0, "\(step.inputs[1].type) are not the frequencies")
        try require(try integers(step.inputs[2]).count == count, "\(step.inputs[2].type) are not the axes")
    }

    private func checkRotary(heads: Int, headDim: Int, parts: Int) throws(Contradiction) {
        let (x, y) = (try floats(step.inputs[0]), try floats(step.outputs[0]))
        try require([x, y], heads: heads, headDim: headDim)
        try requireSame(x, [y])
        let isCut = parts > 0 && parts <= headDim && headDim % (2 * parts) == 0
        try require(isCut, "heads of \(headDim) have no halves in \(parts) parts")
        for slot in step.inputs[1...] {
            let table = try floats(slot)
            try require(
                table.rows == x.rows && table.columns == headDim / 2, "\(slot.type) has not \(headDim / 2) angles a row")
        }
    }

    private func checkCacheWrite(layer: Int) throws(Contradiction) {
        try checkDecoder(layer: layer)
        let (k, v) = (try floats(step.inputs[0]), try floats(step.inputs[1]))
        let cache = program.kv.layers[layer]
        try require([k, v], heads: cache.heads, headDim: cache.headDim)
        try requireSame(k, [v])
        try requireIndex(step.inputs[2], for: k)
    }

    private func check(_ attention: Kernel.PagedAttention) throws(Contradiction) {
        try checkDecoder(layer: attention.layer)
        let cache = program.kv.layers[attention.layer]
        try require(attention.heads > 0 && attention.heads % cache.heads == 0, "\(attention.heads) heads over \(cache.heads) KV heads")
        try checkScores(scale: attention.scale, softcap: attention.softcap)
        guard case .causal(let window, _) = attention.mask else {
            throw Contradiction(reason: "\(place): the mask over a cache is \(attention.mask)")
        }
        try require(isCount(window ?? 1), "the window is \(window ?? 0), not in 1 … 2^31 − 1")
        let (q, y) = (try floats(step.inputs[0]), try floats(step.outputs[0]))
        try require([q, y], heads: attention.heads, headDim: cache.headDim)
        try requireSame(q, [y])
        // The rows are those of the batch, whatever the shape says.
        try require(q.rows == batchRows, "\(q.type) has not a row for each token of the batch")
    }

    private func check(_ attention: Kernel.SegmentAttention) throws(Contradiction) {
        try require(plan.entry == .vision, "segments are of images")
        try checkScores(scale: attention.scale, softcap: attention.softcap)
        guard case .segments = attention.mask else { throw Contradiction(reason: "\(place): the mask inside images is \(attention.mask)") }
        let (heads, kvHeads, headDim) = (attention.heads, attention.kvHeads, attention.headDim)
        try require(heads > 0 && kvHeads > 0 && heads % kvHeads == 0, "\(heads) heads over \(kvHeads) KV heads")
        let (q, y) = (try floats(step.inputs[0]), try floats(step.outputs[0]))
        let (k, v) = (try floats(step.inputs[1]), try floats(step.inputs[2]))
        try require([q, y], heads: heads, headDim: headDim)
        try require([k, v], heads: kvHeads, headDim: headDim)
        try requireSame(y, [q])
        try requireSame(k, [v])
    }

    private func check(_ convolution: Kernel.ShortConvolution) throws(Contradiction) {
        let (channels, taps) = (convolution.channels, convolution.taps)
        try require(channels > 0 && (2...64).contains(taps), "a convolution of \(taps) taps over \(channels) channels")
        try checkState(layer: convolution.layer)
        let (x, w, y) = (try floats(step.inputs[0]), try floats(step.inputs[1]), try floats(step.outputs[0]))
        try requireSame(y, [x])
        try require(x.columns == channels, "\(x.type) has not \(channels) channels")
        try require(w.rows == channels && w.columns == taps, "\(w.type) is not \(taps) taps of \(channels) channels")
        for slot in step.inputs[2...] { try requireIndex(slot, for: x) }
    }

    private func check(_ delta: Kernel.GatedDelta) throws(Contradiction) {
        try checkState(layer: delta.layer)
        try require(
            delta.keyHeads > 0 && delta.heads > 0 && delta.heads % delta.keyHeads == 0, "\(delta.heads) heads over \(delta.keyHeads) key heads")
        let (q, k, v) = (try floats(step.inputs[0]), try floats(step.inputs[1]), try floats(step.inputs[2]))
        let y = try floats(step.outputs[0])
        try require([q, k], heads: delta.keyHeads, headDim: delta.keyDim)
        try require([v, y], heads: delta.heads, headDim: delta.valueDim)
        try requireSame(q, [k])
        try requireSame(v, [y])
        try require(q.rows == v.rows, "\(q.type) has not a row for each of \(v.type)")
        for slot in step.inputs[3...4] {
            let scale = try floats(slot)
            try require(scale.rows == v.rows && scale.columns == delta.heads, "\(scale.type) is not one number for each head of \(v.type)")
        }
        for slot in step.inputs[5...] { try requireIndex(slot, for: v) }
    }

    /// The state itself is as large as the kernel says, in every plan.
    private func checkState(layer: Int) throws(Contradiction) {
        try require(plan.entry != .vision, "images have no states")
        try require((0...1 << 16).contains(layer), "there is no layer \(layer)")
        guard let state = step.kernel.state, state.width > 0 else {
            throw Contradiction(reason: "\(place): the state is out of range")
        }
    }

    private func checkScores(scale: Float, softcap: Float) throws(Contradiction) {
        try require(scale.isFinite, "the scale is no number")
        try require(softcap.isFinite && softcap >= 0, "the softcap is \(softcap)")
    }

    private func isCount(_ value: Int) -> Bool { value > 0 && value <= Int(Int32.max) }

    private func checkDecoder(layer: Int) throws(Contradiction) {
        try require(plan.entry != .vision, "images have no cache")
        try require(program.kv.layers.indices.contains(layer), "there is no layer \(layer)")
    }

    /// Tokens of the largest batch of the plan.
    private var batchRows: Int? {
        if case .decode(let gear) = plan.entry { return gear }
        return plan.bounds["T"]
    }

    private func checkGatedActivation() throws(Contradiction) {
        let (x, y) = (try floats(step.inputs[0]), try floats(step.outputs[0]))
        let widths = [step.inputs[0], step.outputs[0]].map { $0.type.shape.dims.last?.fixedValue ?? 0 }
        try require(
            x.rows == y.rows && x.columns == 2 * y.columns && widths[0] == 2 * widths[1], "\(x.type) is not twice as wide as \(y.type)")
    }

    private func checkEmbed() throws(Contradiction) {
        let (table, index, y) = (try packed(step.inputs[0]), try integers(step.inputs[1]), try floats(step.outputs[0]))
        let width = step.outputs[0].type.shape.dims.last?.fixedValue
        try require(table.shape[1] == width, "rows of \(table.name) are not \(width ?? 0) wide")
        try require(index.count == y.count / table.shape[1], "\(index.type) is not one index for each row of \(y.type)")
        if y.columns != width { try requireContiguous([y]) }
        guard step.inputs[1].place == .input(.ids) else { return }
        try require(table.shape[0] >= program.vocabularySize, "\(table.name) has fewer rows than the vocabulary")
    }

    private func checkIndexedRows() throws(Contradiction) {
        let y = try floats(step.outputs[0])
        try requireIndex(step.inputs[step.inputs.count - 1], for: y)
        let table = try floats(step.inputs[step.kernel == .selectRows ? 1 : 0])
        if step.kernel == .selectRows { try requireSame(y, [try floats(step.inputs[0])]) }
        try require(table.columns == y.columns, "\(table.type) has other columns")
    }

    private func checkIndexedColumns() throws(Contradiction) {
        let (x, index, y) = (try floats(step.inputs[0]), try integers(step.inputs[1]), try floats(step.outputs[0]))
        try require(x.rows == y.rows, "\(x.type) has other rows than \(y.type)")
        try require(index.count == y.columns, "\(index.type) is not one index for each column of \(y.type)")
    }

    /// What the fallback for an op asks of the types.
    private func checkShapes(_ kernel: PlainKernel) throws(Contradiction) {
        if let reason = kernel.contradiction(step.inputs.map(\.type), step.outputs.map(\.type)) {
            throw Contradiction(reason: "\(place): \(reason)")
        }
    }

    private func checkScale() throws(Contradiction) {
        let (x, y) = (try floats(step.inputs[0]), try floats(step.outputs[0]))
        try requireSame(x, [y])
        let last = step.outputs[0].type.shape.dims.last?.fixedValue
        guard case .weight = step.inputs[1].place, let width = last, [1, width].contains(try floats(step.inputs[1]).count) else {
            throw Contradiction(reason: "\(place): \(step.inputs[1].type) is not a weight of 1 or \(last ?? 0) elements")
        }
    }

    /// Kernels that go over all elements as if they were one row.
    private func checkElements() throws(Contradiction) {
        let y = try floats(step.outputs[0])
        for slot in step.inputs {
            let operand = try extents(slot)
            try require(operand.count == y.count, "\(operand.type) has not as many elements as \(y.type)")
        }
    }
}
