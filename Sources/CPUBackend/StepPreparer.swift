import CKernels
import Execution
import Plan
import Tensors

/// Binds the steps of plans to kernels and to weights.
struct StepPreparer {
    let weights: any WeightMemory
    let environment: StepEnvironment
    /// Largest values of the plan's symbols.
    let bounds: [String: Int]
    /// Where the outputs of the plan at hand lie.
    private var outputs: [OutputBuffer] = []

    init(weights: any WeightMemory, environment: StepEnvironment, bounds: [String: Int]) {
        (self.weights, self.environment, self.bounds) = (weights, environment, bounds)
    }

    func prepare(_ plan: ExecutionPlan) throws(BackendError) -> [PreparedStep] {
        var preparer = self
        preparer.outputs = plan.outputs.indices.map { OutputBuffer($0, of: plan) }
        var steps: [PreparedStep] = []
        for step in plan.steps { steps.append(try preparer.prepare(step)) }
        return steps
    }

    private func prepare(_ step: Step) throws(BackendError) -> PreparedStep {
        let inputs = try operands(step.inputs)
        let outputs = try operands(step.outputs)
        let (origin, isa) = (step.origin, environment.isa)
        guard step.kernel.inputRules(count: inputs.count) != nil, outputs.count == step.kernel.row?.results.count else {
            throw .malformed("step \(step.kernel.name) of \(origin) has the wrong number of operands")
        }
        switch step.kernel {
        case .packActivations(let layout):
            return try PackActivationsStep(layout, inputs: inputs, outputs: outputs, origin: origin, isa: isa)
        case .linear(let linear):
            return try LinearStep(linear, operands: inputs, output: outputs[0], maxRows: maxRows(of: step), origin: origin, environment)
        case .adapt(let adapt):
            let rows = step.outputs[0].type.shape.values(bounds)?.first ?? 0
            return try AdaptStep(adapt, operands: inputs, output: outputs[0], maxRows: rows, origin: origin, environment)
        case .screenedLinear(let linear):
            return try ScreenedLinearStep(linear, operands: inputs, output: outputs[0], maxRows: maxRows(of: step), origin: origin, environment)
        case .rmsNorm(let eps), .addRMSNorm(let eps):
            return NormStep(centered: false, eps: eps, inputs: inputs, outputs: outputs, origin: origin, isa: isa)
        case .layerNorm(let eps), .addLayerNorm(let eps):
            return NormStep(centered: true, eps: eps, inputs: inputs, outputs: outputs, origin: origin, isa: isa)
        case .rotaryTable:
            try checkAxes(of: step)
            return RotaryTableStep(inputs: inputs, outputs: outputs, origin: origin, isa: isa)
        case .rotary(let heads, let headDim, let parts):
            return RotaryStep(
                heads: heads, headDim: headDim, parts: parts, inputs: inputs, outputs: outputs, origin: origin, isa: isa)
        case .kvWrite(let layer):
            return KVWriteStep(layer: layer, operands: inputs, origin: origin, environment)
        case .pagedAttention(let attention):
            return try PagedAttentionStep(attention, operands: inputs, output: outputs[0], origin: origin, environment)
        case .segmentAttention(let attention):
            return try SegmentAttentionStep(attention, operands: inputs, output: outputs[0], origin: origin, environment)
        case .shortConvolution(let convolution):
            return try ShortConvolutionStep(convolution, operands: inputs, output: outputs[0], origin: origin, environment.states)
        case .gatedDelta(let delta): return try GatedDeltaStep(delta, operands: inputs, output: outputs[0], origin: origin, environment.states)
        case .gatedActivation(let activation):
            return GatedActivationStep(activation, inputs: inputs, outputs: outputs, origin: origin, isa: isa)
        case .embed:
            guard case .weight(let index) = step.inputs[0].place else {
                throw .malformed("step embed of \(origin) reads a table that is not a weight")
            }
            return EmbedStep(
                table: weights.entries[index], inputs: inputs, outputs: outputs, origin: origin, isa: isa)
        case .selectRows, .gatherRows:
            return IndexedRowsStep(
                selects: step.kernel == .selectRows, inputs: inputs, outputs: outputs, origin: origin, isa: isa)
        case .gatherColumns: return IndexedColumnsStep(inputs: inputs, outputs: outputs, origin: origin, isa: isa)
        case .widen: return ElementStep(.widen, inputs: inputs, outputs: outputs, origin: origin, isa: isa)
        case .add: return ElementStep(.add, inputs: inputs, outputs: outputs, origin: origin, isa: isa)
        case .scale, .scaleRows:
            return ScaleStep(isRowwise: step.kernel == .scaleRows, inputs: inputs, outputs: outputs, origin: origin, isa: isa)
        case .copyRows, .joinColumns:
            return JoinStep(keepsRows: step.kernel == .joinColumns, inputs: inputs, outputs: outputs, origin: origin, isa: isa)
        case .copyColumns(let start):
            return CopyColumnsStep(start: start, inputs: inputs, outputs: outputs, origin: origin, isa: isa)
        case .blendRows: return BlendStep(inputs: inputs, outputs: outputs, origin: origin, isa: isa)
        case .plain(let kernel): return try PlainStep.make(kernel, inputs: inputs, outputs: outputs, origin: origin)
        }
    }

    /// Most rows of a linear layer.
    private func maxRows(of step: Step) throws(BackendError) -> Int {
        guard let results = step.outputs[0].type.shape.values(bounds)?.reduce(1, *) else {
            throw .malformed("step \(step.kernel.name) of \(step.origin) has an unknown symbol")
        }
        return results / max(step.kernel.linear?.width ?? 1, 1)
    }

    private func operands(_ slots: [Slot]) throws(BackendError) -> [Operand] {
        var result: [Operand] = []
        for slot in slots {
            let place: Operand.Place
            var dims: [Extent] = []
            for dim in slot.type.shape.dims { dims.append(try extent(dim)) }
            let columns = dims.dropFirst().reduce(1) { $0 * $1.factor }
            var stride = columns
            switch slot.place {
            case .arena(let offset, let rowStride):
                place = .arena(offset)
                stride = rowStride ?? columns
            case .input(let role): place = .input(role)
            case .tensor(let index): place = .tensor(index)
            case .output(let index):
                guard self.outputs.indices.contains(index) else { throw .malformed("a step writes to output \(index), which its plan does not have") }
                place = .output(self.outputs[index])
            case .weight(let index):
                place = .memory(try memory(ofWeight: index))
            }
            result.append(
                Operand(
                    place: place, element: slot.type.element, dims: dims, rows: dims.first ?? Extent(factor: 1, symbol: -1), columns: columns,
                    stride: stride))
        }
        return result
    }

    /// The packed bytes of a weight, which hold all that its layout pads to.
    private func memory(ofWeight index: Int) throws(BackendError) -> UnsafeRawPointer {
        guard weights.entries.indices.contains(index), let base = weights.bytes(index).baseAddress else {
            throw .malformed("weight \(index) does not exist")
        }
        let weight = weights.entries[index]
        switch weight.layout {
        case .plain: return base
        case .indices:
            guard let copy = try weights.table(index).baseAddress else { return base }
            return UnsafeRawPointer(copy)
        case .f32Panels, .bf16Panels, .int8Panels, .int4Blocks, .int8Blocks, .f8Blocks, .f4Blocks: break
        }
        guard weight.shape.count == 2 else { throw .malformed("weight \(weight.name) is packed but no matrix") }
        let bytes = vlm_weight_bytes(
            weight.layout.kernelFormat, Int64(weight.shape[0]), Int64(weight.shape[1]), Int64(weight.layout.group))
        guard bytes > 0 else {
            throw .malformed("weight \(weight.name) has shape \(weight.shape), which no kernel reads as \(weight.layout)")
        }
        guard weight.byteCount >= bytes else {
            throw .malformed("weight \(weight.name) has \(weight.byteCount) bytes; its panels take \(bytes)")
        }
        return base
    }

    /// Each pair of a rotary table takes its position from an axis that the positions have.
    private func checkAxes(of step: Step) throws(BackendError) {
        guard case .weight(let index) = step.inputs[2].place, weights.entries[index].layout == .indices,
            let count = step.inputs[0].type.shape.dims.first?.fixedValue
        else { throw .malformed("the rotary table of \(step.origin) has no axes") }
        for axis in try weights.table(index) where axis < 0 || axis >= count {
            throw .malformed("the rotary table of \(step.origin) takes axis \(axis) of \(count)")
        }
    }

    private func extent(_ dim: Dim) throws(BackendError) -> Extent {
        guard let name = dim.symbol else { return Extent(factor: dim.factor, symbol: -1) }
        guard let symbol = environment.symbols.index(of: name) else { throw .malformed("symbol \(name) has no bound") }
        return Extent(factor: dim.factor, symbol: symbol)
    }
}
