import ArtifactFormat
import CKernels
import Dispatch
import HuggingFace
import IR
import Plan
import Reference
import Synchronization
import Tensors

/// Turns checkpoint tensors into packed weights, a few dozen megabytes at a time.
package struct WeightPacker {
    /// Part of every packed weight's key: to be raised with each change of the bytes that a layout or a recipe leads to.
    package static let version = 3

    /// Checkpoint tensors by the names that recipes use.
    let tensors: [String: TensorView]
    private let buffer = PackingBuffer()

    /// Most bytes packed before they are handed on.
    private static let chunkBytes = 32 << 20

    init(tensors: [String: TensorView]) { self.tensors = tensors }

    /// Packs a weight and hands its bytes on in order.
    func pack(
        _ request: WeightRequest, to write: (UnsafeRawBufferPointer) throws(ArtifactError) -> Void
    ) throws(CompileError) {
        switch request.layout {
        case .plain, .indices: try packPlain(request, write)
        case .f32Panels: try packPanels(request, VLM_WEIGHT_F32, write)
        case .bf16Panels: try packPanels(request, VLM_WEIGHT_BF16, write)
        case .int8Panels: try packPanels(request, VLM_WEIGHT_SCREEN, write)
        case .int4Blocks(let group): try packAWQ(request, group: group, write)
        case .int8Blocks(let group): try packInt8(request, group: group, write)
        case .f8Blocks: try packFloats(request, VLM_WEIGHT_F8, write)
        case .f4Blocks: try packFloats(request, VLM_WEIGHT_F4, write)
        }
    }

    private func packPlain(
        _ request: WeightRequest, _ write: (UnsafeRawBufferPointer) throws(ArtifactError) -> Void
    ) throws(CompileError) {
        let tensor = try evaluate(request)
        if request.layout == .indices {
            try Self.hand(tensor.ints, to: write)
        } else {
            try Self.hand(tensor.cast(to: .f32).floats, to: write)
        }
    }

    private static func hand<Element>(
        _ elements: [Element], to write: (UnsafeRawBufferPointer) throws(ArtifactError) -> Void
    ) throws(CompileError) {
        let outcome = elements.withUnsafeBytes { bytes in
            Result { () throws(ArtifactError) in try write(bytes) }
        }
        if case .failure(let error) = outcome { throw .artifact(error) }
    }

    private func evaluate(_ request: WeightRequest) throws(CompileError) -> Tensor { try evaluated(request)[0] }

    /// All results of a recipe, at least one.
    private func evaluated(_ request: WeightRequest) throws(CompileError) -> [Tensor] {
        do throws(EvaluationError) {
            return try RecipeStream(graph: request.recipe.graph, tensors: tensors).values()
        } catch { throw Self.failure(request, error) }
    }

    private static func failure(_ request: WeightRequest, _ error: EvaluationError) -> CompileError {
        .unsupported("packing a weight of \(request.origin): \(error)")
    }

    /// Packs a recipe that computes something, some output rows at a time: `boxes` says which part of each result they are, and `pack`
    /// puts the values into the panels of that many rows.
    private func packComputed(
        _ request: WeightRequest, panelBytes: Int, _ write: (UnsafeRawBufferPointer) throws(ArtifactError) -> Void,
        boxes: @Sendable (Range<Int>) -> [[Range<Int>]],
        _ pack: @escaping @Sendable ([Tensor], Range<Int>, UnsafeMutableRawPointer) throws(CompileError) -> Void
    ) throws(CompileError) {
        let outputs = request.shape[0]
        let stream = RecipeStream(graph: request.recipe.graph, tensors: tensors)
        let atOnce = RecipeStream.rowsAtOnce(inputs: request.shape[1], panel: Int(VLM_PANEL))
        let parts = stride(from: 0, to: outputs, by: atOnce).map { $0..<min($0 + atOnce, outputs) }
        guard stream.hasBoxes(parts.map(boxes)) else {
            let values = try evaluated(request)
            return try packInChunks(outputs: outputs, panelBytes: panelBytes, write) { rows, target throws(CompileError) in
                try pack(values, rows, target)
            }
        }
        try packInChunks(outputs: outputs, panelBytes: panelBytes, rowsAtOnce: atOnce, write) { rows, target throws(CompileError) in
            let values: [Tensor]
            do throws(EvaluationError) { values = try stream.values(boxes(rows)) } catch { throw Self.failure(request, error) }
            try pack(values, 0..<rows.count, target)
        }
    }

    private func packPanels(
        _ request: WeightRequest, _ format: vlm_weight_format,
        _ write: (UnsafeRawBufferPointer) throws(ArtifactError) -> Void
    ) throws(CompileError) {
        let (outputs, inputs) = (request.shape[0], request.shape[1])
        let panelBytes = vlm_panel_bytes(format, Int64(inputs), 0)
        let reader = PartReader(graph: request.recipe.graph, tensors: tensors)
        if let parts = reader.rows(of: request.recipe.graph.results[0]), parts.allSatisfy({ $0.tensor.type.element.kernelType != nil }) {
            let sources = parts.map { RowSource($0, inputs: inputs) }
            return try packInChunks(outputs: outputs, panelBytes: panelBytes, write) { rows, target throws(CompileError) in
                try Self.require(RowSource.pack(sources, rows, inputs: inputs, format, to: target))
            }
        }
        let columns = request.recipe.graph.type(of: request.recipe.graph.results[0]).shape.dims.dropFirst().map { 0..<($0.fixedValue ?? 0) }
        try packComputed(request, panelBytes: panelBytes, write) { [[$0] + columns] } _: { values, rows, target throws(CompileError) in
            let isPacked = values[0].cast(to: .f32).floats.withUnsafeBufferPointer { floats in
                let source = RowSource(
                    base: UnsafeRawPointer(floats.baseAddress!), type: VLM_F32, rows: floats.count / max(inputs, 1),
                    bytesPerRow: inputs * 4)
                return RowSource.pack([source], rows, inputs: inputs, format, to: target)
            }
            try Self.require(isPacked)
        }
    }

    private func packAWQ(
        _ request: WeightRequest, group: Int, _ write: (UnsafeRawBufferPointer) throws(ArtifactError) -> Void
    ) throws(CompileError) {
        let (outputs, inputs) = (request.shape[0], request.shape[1])
        let reader = PartReader(graph: request.recipe.graph, tensors: tensors)
        let results = request.recipe.graph.results
        guard results.count == 3 else { throw .internalInconsistency("packing \(request.origin): int4 weights have three parts") }
        let panelBytes = vlm_panel_bytes(VLM_WEIGHT_INT4, Int64(inputs), Int64(group))
        guard panelBytes > 0 else {
            throw .unsupported("\(request.origin): int4 groups of \(group) over \(inputs) inputs; known: 32, 64, 128")
        }
        let zeroWidth = request.recipe.graph.type(of: results[1]).element == .i32 ? 8 : 1
        if zeroWidth == 8, let weights = reader.columns(of: results[0]), let zeros = reader.columns(of: results[1]),
            let scales = reader.columns(of: results[2]), weights.count == zeros.count, weights.count == scales.count
        {
            let sources = zip(weights, zip(zeros, scales)).map { AWQSource($0, zeros: $1.0, scales: $1.1) }
            return try packInChunks(outputs: outputs, panelBytes: panelBytes, write) { rows, target throws(CompileError) in
                try Self.require(AWQSource.pack(sources, rows, inputs: inputs, group: group, to: target))
            }
        }
        let groups = 0..<inputs / group
        try packComputed(request, panelBytes: panelBytes, write) { rows in
            func words(_ count: Int) -> Range<Int> { rows.lowerBound / count..<rows.upperBound / count }
            return [[0..<inputs, words(8)], [groups, words(zeroWidth)], [groups, rows]]
        } _: { values, rows, target throws(CompileError) in
            guard let source = AWQSource(values) else { throw .unsupported("packing \(request.origin): a zero is not 0 … 16") }
            try Self.require(AWQSource.pack([source], rows, inputs: inputs, group: group, to: target))
        }
    }

    /// Codes and scales, as the recipe computes them.
    private func packFloats(
        _ request: WeightRequest, _ format: vlm_weight_format, _ write: (UnsafeRawBufferPointer) throws(ArtifactError) -> Void
    ) throws(CompileError) {
        let (inputs, group) = (request.shape[1], request.layout.group)
        let shapes = request.recipe.graph.results.map { request.recipe.graph.type(of: $0).shape }
        let parts = format == VLM_WEIGHT_F4 ? 3 : 2
        guard shapes.count == parts else { throw .internalInconsistency("packing \(request.origin): small floats have \(parts) parts") }
        let panelBytes = vlm_panel_bytes(format, Int64(inputs), Int64(group))
        guard panelBytes > 0 else { throw .unsupported("\(request.origin): groups of \(group) small floats over \(inputs) inputs") }
        try packComputed(request, panelBytes: panelBytes, write) { rows in
            shapes.map { [rows] + $0.dims.dropFirst().map { 0..<($0.fixedValue ?? 0) } }
        } _: { values, rows, target throws(CompileError) in
            let source = FloatSource(values, rows, inputs: inputs, group: group)
            try Self.require(format == VLM_WEIGHT_F4 ? source.packFloat4(to: target) : source.packFloat8(to: target))
        }
    }

    /// Codes, scales and zeros, as the recipe computes them.
    private func packInt8(
        _ request: WeightRequest, group: Int, _ write: (UnsafeRawBufferPointer) throws(ArtifactError) -> Void
    ) throws(CompileError) {
        let graph = request.recipe.graph
        guard graph.results.count == 3 else { throw .internalInconsistency("packing \(request.origin): 8-bit weights have three parts") }
        let (inputs, groups) = (request.shape[1], request.shape[1] / max(group, 1))
        let panelBytes = vlm_panel_bytes(VLM_WEIGHT_INT8, Int64(inputs), Int64(group))
        guard panelBytes > 0 else { throw .unsupported("\(request.origin): groups of \(group) 8-bit weights over \(inputs) inputs") }
        let centre: Int32 = graph.type(of: graph.results[0]).element == .i8 ? 128 : 0
        try packComputed(request, panelBytes: panelBytes, write) { rows in
            [[rows, 0..<inputs], [rows, 0..<groups], [rows, 0..<groups]]
        } _: { values, rows, target throws(CompileError) in
            let codes = values[0].ints[rows.lowerBound * inputs..<rows.upperBound * inputs]
            let zeros = values[2].ints[rows.lowerBound * groups..<rows.upperBound * groups].map { $0 &+ centre }
            if let wrong = codes.first(where: { !(0...255).contains($0 &+ centre) }) {
                throw .unsupported("packing \(request.origin): \(wrong) is no 8-bit code")
            }
            if let wrong = zeros.first(where: { !(0...256).contains($0) }) {
                throw .unsupported("packing \(request.origin): a zero of \(wrong &- centre) is outside the codes")
            }
            let packed = Int8Rows(codes: codes.map { UInt8($0 &+ centre) }, zeros: zeros.map(UInt16.init), scales: values[1].cast(to: .f32).floats)
            try Self.require(packed.pack(count: rows.count, inputs: inputs, group: group, firstScale: rows.lowerBound * groups, to: target))
        }
    }

    private static func require(_ isPacked: Bool) throws(CompileError) {
        guard isPacked else { throw .internalInconsistency("a weight has a shape that its packing kernel refuses") }
    }

    /// Packs panel by panel on all cores, a chunk at a time; `pack` fills the panels of a range of output rows.
    private func packInChunks(
        outputs: Int, panelBytes: Int, rowsAtOnce: Int = Int(VLM_PANEL),
        _ write: (UnsafeRawBufferPointer) throws(ArtifactError) -> Void,
        _ pack: @Sendable (Range<Int>, UnsafeMutableRawPointer) throws(CompileError) -> Void
    ) throws(CompileError) {
        let panels = rowsAtOnce / Int(VLM_PANEL)
        let whole = (outputs + Int(VLM_PANEL) - 1) / Int(VLM_PANEL)
        let parts = (whole + panels - 1) / panels
        let chunk = max(1, min(parts, Self.chunkBytes / max(panels * panelBytes, 1)))
        let target = SendablePointer(buffer.reserve(chunk * panels * panelBytes))
        for first in stride(from: 0, to: parts, by: chunk) {
            let count = min(chunk, parts - first)
            let failure = Mutex<CompileError?>(nil)
            DispatchQueue.concurrentPerform(iterations: count) { index in
                let rows = (first + index) * rowsAtOnce..<min((first + index + 1) * rowsAtOnce, outputs)
                do throws(CompileError) {
                    try pack(rows, target.pointer + index * panels * panelBytes)
                } catch {
                    failure.withLock { $0 = $0 ?? error }
                }
            }
            if let error = failure.withLock({ $0 }) { throw error }
            let filled = min(count * panels, whole - first * panels)
            do throws(ArtifactError) {
                try write(UnsafeRawBufferPointer(start: target.pointer, count: filled * panelBytes))
            } catch { throw .artifact(error) }
        }
    }
}

/// Memory for one chunk, kept from weight to weight: a chunk for each would leave holes between what stays.
private final class PackingBuffer {
    private var memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)

    /// At least `byteCount` bytes, valid until the next call.
    func reserve(_ byteCount: Int) -> UnsafeMutableRawPointer {
        if memory.count < byteCount || memory.baseAddress == nil {
            memory.deallocate()
            memory = .allocate(byteCount: max(byteCount, 1), alignment: 64)
        }
        return memory.baseAddress!
    }

    deinit { memory.deallocate() }
}

/// A pointer that several threads may use for disjoint parts.
private struct SendablePointer: @unchecked Sendable {
    let pointer: UnsafeMutableRawPointer

    init(_ pointer: UnsafeMutableRawPointer) { self.pointer = pointer }
}

/// Row-major rows of a plain weight in memory.
private struct RowSource: @unchecked Sendable {
    let base: UnsafeRawPointer
    let type: vlm_dtype
    let rows: Int
    let bytesPerRow: Int

    init(base: UnsafeRawPointer, type: vlm_dtype, rows: Int, bytesPerRow: Int) {
        self.base = base
        self.type = type
        self.rows = rows
        self.bytesPerRow = bytesPerRow
    }

    init(_ part: TensorPart, inputs: Int) {
        let bytesPerRow = inputs * part.tensor.type.element.byteCount
        self.init(
            base: part.tensor.bytes.baseAddress! + part.range.lowerBound * bytesPerRow,
            type: part.tensor.type.element.kernelType ?? VLM_F32, rows: part.range.count, bytesPerRow: bytesPerRow)
    }

    /// Packs the rows `wanted` of the stacked sources as the outputs of one panel.
    static func pack(
        _ sources: [RowSource], _ wanted: Range<Int>, inputs: Int, _ format: vlm_weight_format,
        to target: UnsafeMutableRawPointer
    ) -> Bool {
        var start = 0
        for source in sources {
            let here = (start..<start + source.rows).clamped(to: wanted)
            if !here.isEmpty {
                var arguments = vlm_pack_rows_args()
                arguments.format = format
                arguments.source_type = source.type
                arguments.outputs = Int64(wanted.count)
                arguments.inputs = Int64(inputs)
                arguments.first = Int64(here.lowerBound - wanted.lowerBound)
                arguments.count = Int64(here.count)
                arguments.source = source.base + (here.lowerBound - start) * source.bytesPerRow
                arguments.source_stride = Int64(inputs)
                arguments.packed = target
                guard vlm_pack_rows(&arguments) == VLM_OK else { return false }
            }
            start += source.rows
        }
        return true
    }
}

/// Output rows of 8-bit weights.
private struct Int8Rows {
    let codes: [UInt8]
    let zeros: [UInt16]
    /// Of these rows from some place on.
    let scales: [Float]

    /// Packs all rows as the outputs of their panels.
    func pack(count: Int, inputs: Int, group: Int, firstScale: Int, to target: UnsafeMutableRawPointer) -> Bool {
        codes.withUnsafeBufferPointer { codes in
            zeros.withUnsafeBufferPointer { zeros in
                scales.withUnsafeBufferPointer { scales in
                    var arguments = vlm_pack_int8_args()
                    (arguments.outputs, arguments.count) = (Int64(count), Int64(count))
                    (arguments.inputs, arguments.group) = (Int64(inputs), Int64(group))
                    (arguments.codes, arguments.zeros) = (codes.baseAddress, zeros.baseAddress)
                    arguments.scales = scales.baseAddress.map { $0 + firstScale }
                    arguments.packed = target
                    return vlm_pack_int8(&arguments) == VLM_OK
                }
            }
        }
    }
}

/// Words at an address that stays.
private final class ComputedWords {
    private let memory: UnsafeMutableBufferPointer<Int32>

    init(_ words: [Int32]) {
        memory = .allocate(capacity: max(words.count, 1))
        _ = memory.initialize(from: words)
    }

    var pointer: UnsafePointer<Int32> { UnsafePointer(memory.baseAddress!) }

    deinit { memory.deallocate() }
}

/// Output columns of AWQ's packed int4 weights, zeros and scales.
private struct AWQSource: @unchecked Sendable {
    let weights: UnsafePointer<Int32>
    /// Packed as the weights are; nil where `zeroNumbers` has them.
    let zeros: UnsafePointer<Int32>?
    /// f16 bits of whole numbers; empty where the zeros are packed.
    let zeroNumbers: [UInt16]
    /// f16 bits; owned where the checkpoint has another type.
    let scales: [UInt16]
    let sourceOutputs: Int
    let columns: Range<Int>
    /// What `weights` and `zeros` point into where a recipe computed them.
    private let owned: [ComputedWords]

    /// Of computed words, zeros (words too, or whole numbers 0 … 16) and scales; nil for other zeros.
    init?(_ parts: [Tensor]) {
        let isReal = parts[1].element.isFloat
        guard !isReal || parts[1].floats.allSatisfy({ (0...16).contains($0) && $0.rounded() == $0 }) else { return nil }
        owned = [ComputedWords(parts[0].ints)] + (isReal ? [] : [ComputedWords(parts[1].ints)])
        (weights, zeros) = (owned[0].pointer, isReal ? nil : owned[1].pointer)
        zeroNumbers = isReal ? parts[1].floats.map { Float16($0).bitPattern } : []
        scales = parts[2].floats.map { Float16($0).bitPattern }
        sourceOutputs = parts[2].shape[1]
        columns = 0..<sourceOutputs
    }

    init(_ weights: TensorPart, zeros: TensorPart, scales: TensorPart) {
        self.weights = weights.tensor.bytes.bindMemory(to: Int32.self).baseAddress!
        self.zeros = zeros.tensor.bytes.bindMemory(to: Int32.self).baseAddress!
        self.scales = scales.tensor.halfBits
        sourceOutputs = scales.tensor.type.shape.dims.last?.fixedValue ?? 0
        columns = scales.range
        (owned, zeroNumbers) = ([], [])
    }

    static func pack(
        _ sources: [AWQSource], _ wanted: Range<Int>, inputs: Int, group: Int, to target: UnsafeMutableRawPointer
    ) -> Bool {
        var start = 0
        for source in sources {
            let here = (start..<start + source.columns.count).clamped(to: wanted)
            if !here.isEmpty {
                var arguments = vlm_pack_awq_args()
                arguments.outputs = Int64(wanted.count)
                arguments.inputs = Int64(inputs)
                arguments.group = Int64(group)
                arguments.source_outputs = Int64(source.sourceOutputs)
                arguments.source_begin = Int64(source.columns.lowerBound + here.lowerBound - start)
                arguments.source_end = arguments.source_begin + Int64(here.count)
                arguments.first = Int64(here.lowerBound - wanted.lowerBound)
                arguments.qweight = source.weights
                arguments.qzeros = source.zeros
                arguments.packed = target
                let status = source.scales.withUnsafeBufferPointer { scales in
                    source.zeroNumbers.withUnsafeBufferPointer { zeros in
                        arguments.scales = scales.baseAddress
                        if source.zeros == nil { arguments.zeros = zeros.baseAddress }
                        return vlm_pack_awq(&arguments)
                    }
                }
                guard status == VLM_OK else { return false }
            }
            start += source.columns.count
        }
        return true
    }
}

extension DType {
    /// The type as the packing kernels name it; nil for one they do not read.
    fileprivate var kernelType: vlm_dtype? {
        switch self {
        case .f32: VLM_F32
        case .bf16: VLM_BF16
        case .f16: VLM_F16
        default: nil
        }
    }
}

extension TensorView {
    /// The elements as f16 bits, converted where the checkpoint stores another real type.
    fileprivate var halfBits: [UInt16] {
        switch type.element {
        case .f16: Array(bytes.bindMemory(to: UInt16.self))
        case .bf16: bytes.bindMemory(to: UInt16.self).map { Float16(Float(bitPattern: UInt32($0) << 16)).bitPattern }
        default: bytes.bindMemory(to: Float.self).map { Float16($0).bitPattern }
        }
    }
}
