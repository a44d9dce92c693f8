import Execution
import Plan
import Tensors

/// Copies of a vision call's inputs, and room for its output; sized for the largest call, touched as far as one goes.
final class VisionBuffers {
    /// One for each of the plan's tensors.
    private let tensors: [Arena]
    private let output: UnsafeMutableBufferPointer<Float>
    private let outputMemory: Arena
    /// By the name of a segmentation that the plan's steps read: memory for its bounds, and how many there are.
    private var segments: [String: (memory: Arena, count: Int)] = [:]
    private let shape: VisionShape

    /// Floats of the output of the call at hand.
    private(set) var outputCount = 0

    init(_ plan: ExecutionPlan, maxPatches: Int) throws(BackendError) {
        shape = try VisionShape(plan, maxPatches: maxPatches)
        guard let count = plan.outputs.first?.type.shape.values(plan.bounds)?.reduce(1, *) else {
            throw .malformed("the vision plan has no output")
        }
        let what = "the buffers of images"
        var tensors: [Arena] = []
        for tensor in plan.tensors {
            guard let extents = tensor.type.shape.values(plan.bounds) else { throw .malformed("the input \(tensor.name) has no bound") }
            tensors.append(try Arena(elements: [(extents.reduce(1, *), 1)], of: tensor.type.element.byteCount, for: what))
        }
        self.tensors = tensors
        for (name, rows) in shape.segmentRows { segments[name] = (try Arena(elements: [(rows + 1, 1)], of: 4, for: what), 0) }
        outputMemory = try Arena(elements: [(count, 1)], of: 4, for: what)
        output = UnsafeMutableBufferPointer(start: outputMemory.base.bindMemory(to: Float.self, capacity: count), count: count)
    }

    /// Takes over the inputs of a call; returns the values of the plan's symbols. Throws `unsupported` for a call that does not fit the
    /// plan or contradicts itself.
    func fill(_ input: VisionInput) throws(BackendError) -> [String: Int] {
        let values = try shape.symbols(of: input)
        for (index, tensor) in shape.plan.tensors.enumerated() {
            switch input[tensor.name]?.values {
            case .bytes(let values)?: tensors[index].fill(values)
            case .integers(let values)?: tensors[index].fill(values)
            case .floats(let values)?: tensors[index].fill(values)
            case nil: break
            }
        }
        for (name, segment) in segments {
            guard let bounds = input.segments[name] else { continue }
            segment.memory.fill(bounds)
            segments[name]?.count = bounds.count
        }
        outputCount = shape.plan.outputs[0].type.shape.values(values)?.reduce(1, *) ?? 0
        return values
    }

    func address(ofTensor index: Int) -> UnsafeMutableRawPointer { tensors[index].base }

    var outputAddress: UnsafeMutableRawPointer? { UnsafeMutableRawPointer(output.baseAddress) }

    var result: UnsafeBufferPointer<Float> { UnsafeBufferPointer(rebasing: output[..<min(outputCount, output.count)]) }

    /// The bounds of a segmentation of the call at hand.
    func bounds(_ name: String) -> UnsafeBufferPointer<Int32> {
        guard let segment = segments[name] else { return UnsafeBufferPointer(start: nil, count: 0) }
        return UnsafeBufferPointer(start: segment.memory.base.assumingMemoryBound(to: Int32.self), count: segment.count)
    }
}

extension Arena {
    /// Copies elements to the beginning.
    fileprivate func fill(_ values: [some BitwiseCopyable]) {
        values.withUnsafeBytes { bytes in
            if let start = bytes.baseAddress { base.copyMemory(from: start, byteCount: bytes.count) }
        }
    }
}

/// What a vision plan asks of the calls that it is run for.
struct VisionShape {
    let plan: ExecutionPlan
    private let maxPatches: Int

    /// - Parameter maxPatches: most patches of a call that the program was compiled for.
    init(_ plan: ExecutionPlan, maxPatches: Int) throws(BackendError) {
        self.plan = plan
        self.maxPatches = maxPatches
        for tensor in plan.tensors where tensor.type.shape.dims.count(where: { $0.symbol != nil }) != 1 {
            throw .malformed("the input \(tensor.name) of images does not have rows of one kind")
        }
    }

    /// The most rows that each segmentation of the plan's steps is of, by its name.
    var segmentRows: [String: Int] {
        var rows: [String: Int] = [:]
        for step in plan.steps {
            guard case .segmentAttention(let attention) = step.kernel, case .segments(let queries, let keys) = attention.mask else { continue }
            for (name, slot) in [(queries, step.inputs[0]), (keys, step.inputs[1])] {
                rows[name] = max(rows[name] ?? 0, slot.type.shape.dims.first?.value(plan.bounds) ?? 0)
            }
        }
        return rows
    }

    /// The values of the symbols for a call; throws `unsupported` for one that does not fit or contradicts itself.
    func symbols(of input: VisionInput) throws(BackendError) -> [String: Int] {
        guard input.patches > 0, input.patches <= maxPatches else {
            throw .unsupported("a vision call of \(input.patches) patches; the artifact takes 1 to \(maxPatches)")
        }
        var symbols: [String: Int] = [:]
        for declared in plan.tensors {
            guard let given = input[declared.name] else { throw .unsupported("a vision call without \(declared.name), which the artifact reads") }
            let (symbol, value) = try row(of: declared, given)
            if let known = symbols[symbol], known != value {
                throw .unsupported("a vision call whose \(declared.name) has rows for \(value), where others have them for \(known) (\(symbol))")
            }
            symbols[symbol] = value
        }
        guard let rows = plan.outputs.first?.type.shape.dims.first?.value(symbols), rows == input.features else {
            throw .unsupported("a vision call of \(input.features) features, which is not what the artifact makes of it")
        }
        try checkSegments(of: input, symbols)
        return symbols
    }

    /// The symbol that a tensor's rows count in, and its value.
    private func row(of declared: ExecutionPlan.NamedTensor, _ given: VisionInput.Tensor) throws(BackendError) -> (String, Int) {
        let isSame =
            switch given.values {
            case .bytes: declared.type.element == .u8
            case .integers: declared.type.element == .i32
            case .floats: declared.type.element == .f32
            }
        guard isSame else { throw .unsupported("\(declared.name) of a vision call is not \(declared.type.element)") }
        let dims = declared.type.shape.dims
        let width = dims.reduce(1) { $0 * $1.factor }
        guard let symbol = dims.lazy.compactMap(\.symbol).first, width > 0, given.values.count % width == 0 else {
            throw .unsupported("\(declared.name) of a vision call has \(given.values.count) elements, no multiple of \(width)")
        }
        let value = given.values.count / width
        guard value > 0, value <= plan.bounds[symbol] ?? 0 else {
            throw .unsupported("\(declared.name) of a vision call is for \(value) (\(symbol)); the artifact takes 1 to \(plan.bounds[symbol] ?? 0)")
        }
        return (symbol, value)
    }

    /// Segments of queries and of keys are as many, in order, and end where the rows do.
    private func checkSegments(of input: VisionInput, _ symbols: [String: Int]) throws(BackendError) {
        for step in plan.steps {
            guard case .segmentAttention(let attention) = step.kernel, case .segments(let queries, let keys) = attention.mask else { continue }
            try check(input.segments[queries], queries, rows: step.inputs[0].type.shape.dims.first?.value(symbols) ?? 0)
            guard queries != keys else { continue }
            try check(input.segments[keys], keys, rows: step.inputs[1].type.shape.dims.first?.value(symbols) ?? 0)
            guard input.segments[queries]?.count == input.segments[keys]?.count else {
                throw .unsupported("a vision call has other segments of \(queries) than of \(keys)")
            }
        }
    }

    private func check(_ bounds: [Int32]?, _ name: String, rows: Int) throws(BackendError) {
        guard let bounds, bounds.count > 1, bounds.first == 0 else { throw .unsupported("the \(name) of a vision call do not begin at row 0") }
        guard bounds.last.map(Int.init) == rows else { throw .unsupported("the \(name) of a vision call do not end at row \(rows)") }
        for index in bounds.indices.dropFirst() where bounds[index - 1] >= bounds[index] {
            throw .unsupported("segment \(index - 1) of the \(name) of a vision call has no rows")
        }
    }
}
