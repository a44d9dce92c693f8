package import Plan
import Tensors

extension Program {
    /// The first contradiction in the program or its weight table; nil when a backend may trust them.
    ///
    /// Afterwards every slot lies in its arena, weight, output or the engine's buffer with all symbols at their bounds, every
    /// kernel finds operands of the extents, elements and layouts that it reads and writes, and there is one plan for `extend`
    /// and for each decode gear. A batch within the bounds then cannot make a kernel leave its memory. What only the bytes of
    /// weights show (padding of panels, axes of rotary tables) is the backend's to check.
    package func contradiction(weights: [WeightEntry]) -> String? {
        do {
            try ProgramCheck(program: self, weights: weights).run()
            return nil
        } catch {
            return error.reason
        }
    }
}

struct Contradiction: Error {
    var reason: String
}

/// A step as messages name it.
struct Place: CustomStringConvertible {
    var step: Int
    var plan: String
    var kernel: Kernel

    var description: String { "step \(step) of \(plan) (\(kernel.name))" }
}

private struct ProgramCheck {
    let program: Program
    let weights: [WeightEntry]
    /// Elements of a row of inner states that `extend` reads and leaves.
    private let innerWidthRead, innerWidth: Int

    init(program: Program, weights: [WeightEntry]) {
        (self.program, self.weights) = (program, weights)
        (innerWidthRead, innerWidth) = (program.innerWidthRead, program.innerWidth)
    }

    func run() throws(Contradiction) {
        try checkLimits()
        try checkCache()
        for weight in weights { try check(weight) }
        try checkEntries()
        for plan in program.plans { try check(plan) }
        try checkStates()
    }

    private func require(_ holds: Bool, _ reason: @autoclosure () -> String) throws(Contradiction) {
        if !holds { throw Contradiction(reason: reason()) }
    }

    private func isSize(_ value: Int, atMost limit: Int = 1 << 31) -> Bool { value > 0 && value <= limit }

    private func checkLimits() throws(Contradiction) {
        typealias Limits = Program.Limits
        let limits = program.limits
        for (field, value, most) in [
            ("limits.maxSequences", limits.maxSequences, Limits.sequencesMax),
            ("limits.maxModelLength", limits.maxModelLength, Limits.modelLengthMax),
            ("limits.maxBatchedTokens", limits.maxBatchedTokens, Limits.batchedTokensMax),
            ("vocabularySize", program.vocabularySize, Program.vocabularyMax), ("hiddenSize", program.hiddenSize, Program.hiddenSizeMax),
            ("positionAxes", program.positionAxes, 8),
        ] {
            try require(isSize(value, atMost: most), "\(field) is \(value), not in 1 … \(most)")
        }
        try require(limits.maxPatches >= 0 && limits.maxPatches <= 1 << 31, "limits.maxPatches is \(limits.maxPatches), not in 0 … 2^31")
        let gears = limits.gears
        let most = 64 * Program.hiddenSizeMax
        try require(innerWidth <= most && innerWidthRead <= most, "inner states of \(max(innerWidth, innerWidthRead)) elements are more than \(most)")
        try require(innerWidth == 0 || innerWidthRead == 0, "the program reads inner states and leaves some")
        try require(
            !gears.isEmpty && gears[0] > 0 && zip(gears, gears.dropFirst()).allSatisfy(<),
            "decode gears \(gears) are not positive and ascending")
        try require(gears.last == limits.maxSequences, "the largest gear is not the sequence limit")
    }

    private func checkCache() throws(Contradiction) {
        let kv = program.kv
        try require(
            isSize(kv.layers.count, atMost: 1 << 12) && (kv.element == .f32 || kv.element == .bf16), "the KV layout is out of range")
        for layer in kv.layers {
            let isSound = isSize(layer.heads, atMost: 1 << 12) && isSize(layer.headDim, atMost: 1 << 12)
            try require(isSound, "the KV layout is out of range")
        }
    }

    /// Every layer's state is as large in each step that reads it, and those of all sequences fit memory.
    private func checkStates() throws(Contradiction) {
        var widths: [StateRole: Int] = [:]
        for state in program.states {
            let other = widths.updateValue(state.width, forKey: state.role)
            try require(other == nil, "the state \(state.role) has \(other ?? 0) values, and \(state.width) in another step")
        }
        let all = product([program.limits.maxSequences, program.stateBytes])
        try require(all.map { $0 <= 1 << 40 } ?? false, "the states of \(program.limits.maxSequences) sequences take more than 2^40 bytes")
    }

    private func check(_ weight: WeightEntry) throws(Contradiction) {
        guard let count = product(weight.shape), weight.shape.allSatisfy({ $0 > 0 }) else {
            throw Contradiction(reason: "weight \(weight.name) has shape \(weight.shape)")
        }
        let (bits, overflow) = count.multipliedReportingOverflow(by: weight.layout.elementBits)
        try require(
            !overflow && weight.byteCount >= bits / 8 + (bits % 8 == 0 ? 0 : 1),
            "weight \(weight.name) is too short for its shape")
        if weight.layout.isInBlocks {
            try require(isSize(weight.layout.group, atMost: 1 << 20), "weight \(weight.name) has group size \(weight.layout.group)")
        }
        try require(
            !weight.layout.isPacked || weight.shape.count == 2, "weight \(weight.name) is packed but no matrix")
        try require(weight.layout != .indices || count <= 1 << 20, "weight \(weight.name) has \(count) indices, more than 2^20")
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
        try require(plan.steps.count <= 1 << 17, "\(name) has \(plan.steps.count) steps, more than 2^17")
        try checkOutputs(of: plan)
        try checkTensors(of: plan)
        for (index, step) in plan.steps.enumerated() {
            let place = Place(step: index, plan: name, kernel: step.kernel)
            for slot in step.inputs + step.outputs { try check(slot, of: plan, place) }
            for slot in step.outputs { try require(slot.place.isWritable, "\(place): it writes to \(slot.place)") }
            try StepCheck(program: program, weights: weights, plan: plan, step: step, place: place).run()
        }
    }

    /// Outputs that fit the buffers in which the backend leaves them: one, and of `extend` a second, what the logits are made of. A head has that of
    /// `decode` as well; a model that a head reads has its inner states behind them.
    private func checkOutputs(of plan: ExecutionPlan) throws(Contradiction) {
        let name = plan.entry.description
        let wanted = plan.entry == .vision ? 1 : (plan.entry == .extend || innerWidthRead > 0 ? 2 : 1) + (innerWidth > 0 ? 1 : 0)
        try require(plan.outputs.count == wanted, "\(name) has \(plan.outputs.count) outputs instead of \(wanted)")
        for (index, output) in plan.outputs.enumerated() {
            let type = output.type
            guard type.element == .f32, let count = count(type, plan), let columns = type.shape.columns(plan.bounds) else {
                throw Contradiction(reason: "output \(index) of \(name) is not of f32 and known size")
            }
            if plan.entry == .vision {
                let isWhole = columns % program.hiddenSize == 0 && (1...32).contains(columns / program.hiddenSize)
                try require(isWhole, "rows of \(name)'s output \(type) are not the hidden size, nor a multiple")
                continue
            }
            let isInner = index > 0 && output.name == ExecutionPlan.innerStatesName
            let (width, what) =
                index == 0 ? (program.vocabularySize, "vocabulary") : isInner ? (innerWidth, "inner states") : (program.hiddenSize, "hidden size")
            try require(columns == width, "rows of \(name)'s output \(type) are not the \(what)")
            try require(!isInner || index == plan.outputs.count - 1, "the inner states of \(name) are not its last output")
            let rows = isInner ? max(program.limits.maxBatchedTokens, program.limits.maxSequences) : program.limits.maxSequences
            if let room = product([rows, width]) {
                try require(count <= room, "output \(type) of \(name) exceeds the rows of all \(isInner ? "tokens" : "sequences")")
            }
        }
    }

    /// What a vision plan reads has rows of one kind, and fits memory.
    private func checkTensors(of plan: ExecutionPlan) throws(Contradiction) {
        let name = plan.entry.description
        try require(plan.tensors.isEmpty == (plan.entry != .vision), "\(name) reads \(plan.tensors.count) tensors of images")
        try require(plan.tensors.count <= 64, "\(name) reads \(plan.tensors.count) tensors of images, more than 64")
        for tensor in plan.tensors {
            let isRead = [.u8, .i32, .f32].contains(tensor.type.element)
            try require(
                isRead && tensor.type.shape.dims.count(where: { $0.symbol != nil }) == 1 && tensor.type.shape.dims.allSatisfy { $0.factor > 0 },
                "the input \(tensor.name) of \(name) is \(tensor.type)")
            guard let count = count(tensor.type, plan), count * tensor.type.element.byteCount <= 1 << 34 else {
                throw Contradiction(reason: "the input \(tensor.name) of \(name), \(tensor.type), takes more than 2^34 bytes")
            }
        }
    }

    private func check(_ slot: Slot, of plan: ExecutionPlan, _ place: Place) throws(Contradiction) {
        if case .input(let role) = slot.place { return try check(role, slot.type, of: plan, place) }
        if case .tensor(let index) = slot.place {
            try require(plan.tensors.indices.contains(index), "\(place): there is no tensor \(index)")
            return try require(count(slot.type, plan) == count(plan.tensors[index].type, plan), "\(place): \(slot.type) is not \(plan.tensors[index].name)")
        }
        guard let count = count(slot.type, plan) else {
            throw Contradiction(reason: "\(place): the size of \(slot.type) is unknown or too large")
        }
        var varies = slot.type.shape.dims.dropFirst().contains { $0.symbol != nil }
        if case .arena(_, let stride) = slot.place { varies = varies != (stride == nil) }
        try require(!varies, "\(place): rows of \(slot.type) vary in size")
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
        case .input, .tensor: break
        }
    }

    /// Whether the engine's buffer for an input holds the slot.
    private func check(
        _ role: InputRole, _ type: TensorType, of plan: ExecutionPlan, _ place: Place
    ) throws(Contradiction) {
        let reason = "\(place): \(type) is not the input \(role.rawValue)"
        try require(plan.entry != .vision, "\(place): there is no \(role.rawValue)")
        guard let count = count(type, plan), let extents = type.shape.values(plan.bounds) else {
            throw Contradiction(reason: reason)
        }
        let limits = program.limits
        let most = max(limits.maxBatchedTokens, limits.maxSequences)
        let isFixedRow = type.shape.dims.dropFirst().allSatisfy { $0.symbol == nil }
        let fits =
            switch role {
            case .ids, .slots, .imageRows, .stateSlots, .ordinals, .adapters: type.element == .i32 && extents.count == 1 && count <= most
            case .sampleRows: type.element == .i32 && extents.count == 1 && count <= limits.maxSequences
            case .positions:
                type.element == .i32 && extents.count == 2 && extents[0] == program.positionAxes && extents[1] <= most
            case .imageEmbeds:
                type.element == .f32 && isFixedRow && extents.count == 2 && extents[0] <= most
                    && extents[1] == program.imageWidth
            case .innerStates:
                type.element == .f32 && isFixedRow && extents.count == 2 && extents[0] <= most && innerWidthRead > 0
                    && extents[1] == (plan.entry == .extend ? innerWidthRead : program.hiddenSize)
            }
        try require(fits, reason)
    }

    /// Bytes from the first element to the end of the last row; nil when rows overlap or the number is too large.
    private func span(_ type: TensorType, stride: Int?, _ plan: ExecutionPlan) -> Int? {
        guard let stride else { return count(type, plan).flatMap { product([$0, type.element.byteCount]) } }
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
    func count(_ bounds: [String: Int]) -> Int? { count(dims[...], bounds) }

    /// Elements of one row: all extents but the first.
    func columns(_ bounds: [String: Int]) -> Int? { count(dims.dropFirst(), bounds) }

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
func product(_ values: [Int]) -> Int? {
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

extension Slot.Place {
    fileprivate var isWritable: Bool {
        switch self {
        case .arena, .output: true
        case .input, .tensor, .weight: false
        }
    }
}

extension WeightLayout {
    /// Whether it is a layout of matrices that linear layers and tables read.
    var isPacked: Bool {
        switch self {
        case .plain, .indices: false
        case .f32Panels, .bf16Panels, .int8Panels, .int4Blocks, .int8Blocks, .f8Blocks, .f4Blocks: true
        }
    }

    /// Whether groups of its inputs have scales.
    fileprivate var isInBlocks: Bool {
        switch self {
        case .plain, .indices, .f32Panels, .bf16Panels, .int8Panels: false
        case .int4Blocks, .int8Blocks, .f8Blocks, .f4Blocks: true
        }
    }

    /// Bits that one logical element takes at least.
    package var elementBits: Int {
        switch self {
        case .plain, .indices, .f32Panels: 32
        case .bf16Panels: 16
        case .f8Blocks, .int8Blocks, .int8Panels: 8
        case .int4Blocks, .f4Blocks: 4
        }
    }
}
