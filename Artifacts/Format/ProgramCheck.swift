package import Plan
import Tensors

extension Program {
    /// The first contradiction in the program or its weight table; nil when a backend may trust them.
    ///
    /// Afterwards every slot lies in its arena, weight or output with all symbols at their bounds, every kernel has its
    /// operands, extents fit, and there is one plan for `extend` and for each decode gear.
    package func contradiction(weights: [WeightEntry]) -> String? {
        do {
            try ProgramCheck(program: self, weights: weights).run()
            return nil
        } catch {
            return error.reason
        }
    }
}

private struct Contradiction: Error {
    var reason: String
}

/// A step as messages name it.
private struct Place: CustomStringConvertible {
    var step: Int
    var plan: String
    var kernel: Kernel

    var description: String { "step \(step) of \(plan) (\(kernel.name))" }
}

private struct ProgramCheck {
    var program: Program
    var weights: [WeightEntry]

    func run() throws(Contradiction) {
        try checkLimits()
        try checkCache()
        for weight in weights { try check(weight) }
        try checkEntries()
        for plan in program.plans { try check(plan) }
    }

    private func require(_ holds: Bool, _ reason: @autoclosure () -> String) throws(Contradiction) {
        if !holds { throw Contradiction(reason: reason()) }
    }

    private func isSize(_ value: Int, atMost limit: Int = 1 << 31) -> Bool { value > 0 && value <= limit }

    private func checkLimits() throws(Contradiction) {
        let limits = program.limits
        try require(
            isSize(limits.maxSequences) && isSize(limits.maxModelLength) && isSize(limits.maxBatchedTokens)
                && limits.maxPatches >= 0 && limits.maxPatches <= 1 << 31, "a limit is out of range")
        try require(
            isSize(program.vocabularySize) && isSize(program.hiddenSize) && isSize(program.positionAxes, atMost: 8),
            "vocabulary, hidden size or position axes are out of range")
        let gears = limits.gears
        try require(
            !gears.isEmpty && gears[0] > 0 && zip(gears, gears.dropFirst()).allSatisfy(<),
            "decode gears \(gears) are not positive and ascending")
        try require(gears.last == limits.maxSequences, "the largest gear is not the sequence limit")
    }

    private func checkCache() throws(Contradiction) {
        let kv = program.kv
        try require(
            isSize(kv.layers, atMost: 1 << 16) && isSize(kv.heads, atMost: 1 << 16) && isSize(kv.headDim, atMost: 1 << 16)
                && (kv.element == .f32 || kv.element == .bf16), "the KV layout is out of range")
        let count = product([2, kv.layers, kv.heads, kv.headDim, kv.element.byteCount])
        try require(count.map { $0 <= 1 << 40 } ?? false, "the KV layout is out of range")
    }

    private func check(_ weight: WeightEntry) throws(Contradiction) {
        guard let count = product(weight.shape), weight.shape.allSatisfy({ $0 > 0 }) else {
            throw Contradiction(reason: "weight \(weight.name) has shape \(weight.shape)")
        }
        let (bits, overflow) = count.multipliedReportingOverflow(by: weight.layout.elementBits)
        try require(
            !overflow && weight.byteCount >= bits / 8 + (bits % 8 == 0 ? 0 : 1),
            "weight \(weight.name) is too short for its shape")
        if case .int4Blocks(let group) = weight.layout {
            try require(isSize(group, atMost: 1 << 20), "weight \(weight.name) has group size \(group)")
        }
    }

    private func checkEntries() throws(Contradiction) {
        var wanted: Set<Entry> = [.extend]
        for gear in program.limits.gears { wanted.insert(.decode(gear: gear)) }
        let found = program.plans.map(\.entry)
        try require(Set(found).count == found.count, "an entry has two plans")
        for entry in wanted {
            try require(found.contains(entry), "there is no plan for \(entry)")
        }
        for entry in found where entry != .vision {
            try require(wanted.contains(entry), "\(entry) is no gear of the program")
        }
    }

    private func check(_ plan: ExecutionPlan) throws(Contradiction) {
        let name = plan.entry.description
        try require(plan.arenaBytes >= 0 && plan.arenaBytes <= 1 << 42, "the arena of \(name) is out of range")
        try require(plan.unsharedBytes >= 0, "the arena of \(name) is out of range")
        try require(
            plan.bounds.values.allSatisfy { $0 > 0 && $0 <= 1 << 31 }, "a symbol of \(name) has a bound out of range")
        for output in plan.outputs {
            try require(count(output.type, plan) != nil, "output \(output.name) of \(name) has no size")
        }
        for (index, step) in plan.steps.enumerated() {
            let place = Place(step: index, plan: name, kernel: step.kernel)
            for slot in step.inputs + step.outputs { try check(slot, of: plan, place) }
            try StepCheck(program: program, weights: weights, plan: plan, step: step, place: place).run()
        }
    }

    private func check(_ slot: Slot, of plan: ExecutionPlan, _ place: Place) throws(Contradiction) {
        guard let count = count(slot.type, plan) else {
            throw Contradiction(reason: "\(place): the size of \(slot.type) is unknown or too large")
        }
        switch slot.place {
        case .arena(let offset, let stride):
            let bytes = span(slot.type, stride: stride, plan)
            try require(
                offset >= 0 && offset <= plan.arenaBytes && bytes.map { $0 <= plan.arenaBytes - offset } ?? false
                    && offset % slot.type.element.byteCount == 0,
                "\(place): \(slot.type) at \(offset) does not fit the arena of \(plan.arenaBytes) bytes")
        case .weight(let index):
            try require(weights.indices.contains(index), "\(place): there is no weight \(index)")
            try require(
                product(weights[index].shape) == count, "\(place): \(slot.type) is not weight \(weights[index].name)")
        case .output(let index):
            try require(plan.outputs.indices.contains(index), "\(place): there is no output \(index)")
            try require(
                self.count(plan.outputs[index].type, plan) == count,
                "\(place): \(slot.type) is not output \(plan.outputs[index].name)")
        case .input:
            break
        }
    }

    /// Bytes from the first element to the end of the last row; nil when rows overlap or the number is too large.
    private func span(_ type: TensorType, stride: Int, _ plan: ExecutionPlan) -> Int? {
        guard let rows = type.shape.dims.first.map({ $0.value(plan.bounds) }) ?? 1,
            let columns = type.shape.columns(plan.bounds), stride >= columns, rows > 0, columns > 0,
            let before = product([rows - 1, stride])
        else { return nil }
        return (before + columns) * type.element.byteCount
    }

    /// Elements of a value with all symbols at their bounds, at most 2⁴⁰.
    private func count(_ type: TensorType, _ plan: ExecutionPlan) -> Int? { type.shape.count(plan.bounds) }
}

extension Shape {
    /// Elements with symbols at `bounds`; nil without a bound, for a negative extent, or beyond 2⁴⁰.
    fileprivate func count(_ bounds: [String: Int]) -> Int? { count(dims[...], bounds) }

    /// Elements of one row: all extents but the first.
    fileprivate func columns(_ bounds: [String: Int]) -> Int? { count(dims.dropFirst(), bounds) }

    private func count(_ dims: ArraySlice<Dim>, _ bounds: [String: Int]) -> Int? {
        var result = 1
        for dim in dims {
            guard let value = dim.value(bounds), let next = times(result, value) else { return nil }
            result = next
        }
        return result
    }
}

/// The product of extents; nil when one is negative or the product exceeds 2⁴⁰.
private func product(_ values: [Int]) -> Int? {
    var result = 1
    for value in values {
        guard let next = times(result, value) else { return nil }
        result = next
    }
    return result
}

private func times(_ left: Int, _ right: Int) -> Int? {
    let (result, overflow) = left.multipliedReportingOverflow(by: right)
    return right >= 0 && !overflow && result <= 1 << 40 ? result : nil
}

/// Whether one step has the operands its kernel expects.
private struct StepCheck {
    var program: Program
    var weights: [WeightEntry]
    var plan: ExecutionPlan
    var step: Step
    var place: Place

    private func require(_ holds: Bool, _ reason: @autoclosure () -> String) throws(Contradiction) {
        if !holds { throw Contradiction(reason: "\(place): \(reason())") }
    }

    func run() throws(Contradiction) {
        let (inputs, outputs) = step.kernel.operandCounts
        try require(
            step.inputs.count == inputs && step.outputs.count >= outputs,
            "\(step.inputs.count) inputs and \(step.outputs.count) outputs instead of \(inputs) and \(outputs)")
        switch step.kernel {
        case .linear(let linear): try check(linear)
        case .kvWrite(let layer):
            try check(layer: layer)
            try check(rowsOf: step.inputs[...1], heads: program.kv.heads, headDim: program.kv.headDim)
        case .pagedAttention(let layer, let heads, let scale):
            try check(layer: layer)
            try require(
                heads > 0 && heads % program.kv.heads == 0 && scale.isFinite,
                "\(heads) heads over \(program.kv.heads) KV heads")
            try check(rowsOf: [step.inputs[0], step.outputs[0]], heads: heads, headDim: program.kv.headDim)
        case .segmentAttention(let heads, let headDim, let scale):
            try require(scale.isFinite, "the scale is no number")
            try check(rowsOf: step.inputs[...2] + step.outputs, heads: heads, headDim: headDim)
        case .rotary(let heads, let headDim):
            try check(rowsOf: [step.inputs[0], step.outputs[0]], heads: heads, headDim: headDim)
        default: break
        }
    }

    private func check(_ linear: Kernel.Linear) throws(Contradiction) {
        try require(linear.inputs > 0 && linear.outputs > 0, "extents are out of range")
        guard case .weight(let index) = step.inputs[1].place, weights.indices.contains(index) else {
            throw Contradiction(reason: "\(place): the second operand is not a weight")
        }
        try require(
            weights[index].shape == [linear.outputs, linear.inputs] && weights[index].layout == linear.layout,
            "weight \(weights[index].name) has another shape or layout")
        let rows = (count(step.inputs[0]) ?? 0) / linear.inputs
        try require(
            count(step.inputs[0]) == product([rows, linear.inputs])
                && count(step.outputs[0]) == product([rows, linear.outputs]), "rows of input and output differ")
    }

    private func count(_ slot: Slot) -> Int? { slot.type.shape.count(plan.bounds) }

    private func check(layer: Int) throws(Contradiction) {
        try require(layer >= 0 && layer < program.kv.layers, "there is no layer \(layer)")
    }

    /// Each row of the slots holds `heads · headDim` elements.
    private func check(rowsOf slots: ArraySlice<Slot>, heads: Int, headDim: Int) throws(Contradiction) {
        for slot in slots {
            try require(
                heads > 0 && headDim > 0 && slot.type.shape.columns(plan.bounds) == product([heads, headDim]),
                "\(slot.type) is not \(heads) heads of \(headDim)")
        }
    }
}

extension Kernel {
    /// How many slots a step of this kernel has; outputs are a minimum.
    fileprivate var operandCounts: (inputs: Int, outputs: Int) {
        switch self {
        case .linear(let linear): (2 + (linear.hasBias ? 1 : 0) + (linear.hasResidual ? 1 : 0), 1)
        case .rmsNorm: (2, 1)
        case .layerNorm: (3, 1)
        case .addRMSNorm: (3, 2)
        case .addLayerNorm: (4, 2)
        case .rotaryTable: (3, 2)
        case .rotary: (3, 1)
        case .kvWrite: (3, 0)
        case .pagedAttention: (2, 1)
        case .segmentAttention: (4, 1)
        case .gatedActivation, .widen, .copy: (1, 1)
        case .embed, .gatherRows, .add: (2, 1)
        case .selectRows: (3, 1)
        }
    }
}

extension WeightLayout {
    /// Bits that one logical element takes at least.
    package var elementBits: Int {
        switch self {
        case .plain, .indices, .f32Panels: 32
        case .bf16Panels: 16
        case .int4Blocks: 4
        }
    }
}
