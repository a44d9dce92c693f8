import CKernels
import Execution
import Plan
import Tensors

/// Writes the K and V columns of a packed projection to a layer's cache.
final class KVWriteStep: PreparedStep {
    private var arguments = vlm_kv_write_args()
    private let k, v, slots: Operand
    private let layer: Int
    private let environment: StepEnvironment
    private var rows = 0

    init(layer: Int, operands: [Operand], origin: String, _ environment: StepEnvironment) {
        self.layer = layer
        k = operands[0]
        v = operands[1]
        slots = operands[2]
        self.environment = environment
        super.init(origin: origin)
    }

    override func bind(_ context: RunContext) {
        super.bind(context)
        rows = k.rows.value(context)
        arguments.layout = environment.kv.kernelLayout(layer)
        arguments.blocks = Int64(environment.kv.blockCount)
        arguments.k = UnsafePointer(k.floats(context))
        arguments.v = UnsafePointer(v.floats(context))
        arguments.k_stride = Int64(k.stride)
        arguments.v_stride = Int64(v.stride)
        arguments.slots = UnsafePointer(slots.integers(context))
        arguments.k_cache = environment.kv.keys(layer)
        arguments.v_cache = environment.kv.values(layer)
    }

    override func itemCount(_ phase: Int) -> Int { rows }
    override func grain(_ phase: Int) -> Int { 16 }

    override func run(_ phase: Int, _ items: Range<Int>, thread: Int) {
        let status = withUnsafePointer(to: arguments) {
            vlm_kv_write($0, Int64(items.lowerBound), Int64(items.upperBound), environment.isa)
        }
        context.check(status)
    }
}

/// Causal attention of a batch's queries over a layer's cache.
final class PagedAttentionStep: PreparedStep {
    private var arguments = vlm_paged_attention_args()
    private let q, y: Operand
    private let layer: Int
    private let environment: StepEnvironment
    /// Without dots of bf16 where products are of f32.
    private let isa: vlm_isa
    private let hasSpans: Bool
    /// Most tokens of a block that the kernels take.
    private static let largestBlock = 256
    /// Chunks of contexts for each thread that there is room for.
    private static let chunksPerThread = 64

    init(
        _ attention: Kernel.PagedAttention, operands: [Operand], output: Operand, origin: String, _ environment: StepEnvironment
    ) throws(BackendError) {
        guard case .causal(let window, let hasSpans) = attention.mask else {
            throw .unsupported("attention of \(origin) with the mask `\(attention.mask)`")
        }
        layer = attention.layer
        q = operands[0]
        y = output
        self.environment = environment
        isa = attention.arithmetic == .bf16 ? environment.isa : environment.isa & ~VLM_ISA_AVX512_BF16
        arguments.heads = Int64(attention.heads)
        arguments.scale = attention.scale
        arguments.softcap = attention.softcap
        arguments.window = Int64(window ?? 0)
        self.hasSpans = hasSpans
        super.init(origin: origin)
        // Scratch grows with the blocks, whose size is chosen later.
        var layout = environment.kv.kernelLayout(layer, blockSize: Self.largestBlock)
        let bytes = vlm_paged_attention_scratch_bytes(&layout, arguments.heads)
        guard bytes > 0 else { throw .malformed("the KV layout of \(origin) is not one that attention reads") }
        environment.scratch.reserve(thread: bytes)
        guard environment.threads > 1 else { return }
        arguments.partial_count = Int64(Self.chunksPerThread * environment.threads) * arguments.heads
        environment.scratch.reserve(shared: Int(arguments.partial_count) * vlm_paged_partial_bytes(&layout))
    }

    override func bind(_ context: RunContext) {
        super.bind(context)
        guard let io = context.io else { return }
        if arguments.partial_count > 0 { arguments.partials = environment.scratch.shared.assumingMemoryBound(to: Float.self) }
        arguments.layout = environment.kv.kernelLayout(layer)
        arguments.blocks = Int64(environment.kv.blockCount)
        arguments.sequences = Int64(io.sequenceCount)
        arguments.query_start = UnsafePointer(io.queryStarts.baseAddress)
        arguments.query_count = UnsafePointer(io.queryCounts.baseAddress)
        arguments.context_length = UnsafePointer(io.contextLengths.baseAddress)
        arguments.block_table = UnsafePointer(io.blockTables.baseAddress)
        arguments.table_stride = Int64(io.maxBlocks)
        arguments.reach = hasSpans ? UnsafePointer(io.reach.baseAddress) : nil
        arguments.q = UnsafePointer(q.floats(context))
        arguments.q_stride = Int64(q.stride)
        arguments.y = y.floats(context)
        arguments.y_stride = Int64(y.stride)
        arguments.k_cache = UnsafeRawPointer(environment.kv.keys(layer))
        arguments.v_cache = UnsafeRawPointer(environment.kv.values(layer))
    }

    /// The items, then the rows of contexts that were split.
    override var phaseCount: Int { 2 }

    override func itemCount(_ phase: Int) -> Int {
        withUnsafePointer(to: arguments) { Int(phase == 0 ? vlm_paged_attention_items($0) : vlm_paged_attention_merges($0)) }
    }

    override func grain(_ phase: Int) -> Int { phase == 0 ? 1 : 8 }

    override func run(_ phase: Int, _ items: Range<Int>, thread: Int) {
        let (begin, end) = (Int64(items.lowerBound), Int64(items.upperBound))
        let status = withUnsafePointer(to: arguments) {
            phase == 0
                ? vlm_paged_attention($0, begin, end, environment.scratch.thread(thread), isa)
                : vlm_paged_attention_merge($0, begin, end, isa)
        }
        context.check(status)
    }
}

/// Full attention inside each image.
final class SegmentAttentionStep: PreparedStep {
    private var arguments = vlm_segment_attention_args()
    private let q, k, v, y: Operand
    private let queries, keys: String
    /// Of queries and of keys, for the call at hand.
    private var bounds = (UnsafeBufferPointer<Int32>(start: nil, count: 0), UnsafeBufferPointer<Int32>(start: nil, count: 0))
    private let environment: StepEnvironment

    init(
        _ attention: Kernel.SegmentAttention, operands: [Operand], output: Operand, origin: String, _ environment: StepEnvironment
    ) throws(BackendError) {
        guard case .segments(let queries, let keys) = attention.mask else {
            throw .unsupported("attention of \(origin) with the mask `\(attention.mask)`")
        }
        (self.queries, self.keys) = (queries, keys)
        (q, k, v) = (operands[0], operands[1], operands[2])
        y = output
        self.environment = environment
        arguments.heads = Int64(attention.heads)
        arguments.kv_heads = Int64(attention.kvHeads)
        arguments.head_dim = Int64(attention.headDim)
        arguments.products =
            switch attention.arithmetic {
            case .bf16: VLM_PRODUCTS_BF16
            case .int16: VLM_PRODUCTS_INT16
            case .f32, .blas, .int8: VLM_PRODUCTS_F32
            }
        arguments.scale = attention.scale
        arguments.softcap = attention.softcap
        environment.scratch.reserve(thread: vlm_segment_attention_scratch_bytes(arguments.head_dim))
        super.init(origin: origin)
    }

    override func bind(_ context: RunContext) {
        super.bind(context)
        guard let vision = context.vision else { return }
        bounds = (vision.bounds(queries), vision.bounds(keys))
        arguments.segments = Int64(max(min(bounds.0.count, bounds.1.count) - 1, 0))
        arguments.offsets = bounds.0.baseAddress
        arguments.key_offsets = bounds.1.baseAddress
        arguments.q = UnsafePointer(q.floats(context))
        arguments.k = UnsafePointer(k.floats(context))
        arguments.v = UnsafePointer(v.floats(context))
        arguments.q_stride = Int64(q.stride)
        arguments.k_stride = Int64(k.stride)
        arguments.v_stride = Int64(v.stride)
        arguments.y = y.floats(context)
        arguments.y_stride = Int64(y.stride)
    }

    override var operations: Double {
        var sum = 0.0
        for segment in 0..<Int(arguments.segments) {
            sum += Double(bounds.0[segment + 1] - bounds.0[segment]) * Double(bounds.1[segment + 1] - bounds.1[segment])
        }
        return 4 * sum * Double(arguments.heads * arguments.head_dim)
    }

    override func itemCount(_ phase: Int) -> Int {
        withUnsafePointer(to: arguments) { Int(vlm_segment_attention_items($0)) }
    }

    override func run(_ phase: Int, _ items: Range<Int>, thread: Int) {
        let status = withUnsafePointer(to: arguments) {
            vlm_segment_attention(
                $0, Int64(items.lowerBound), Int64(items.upperBound), environment.scratch.thread(thread),
                environment.isa)
        }
        context.check(status)
    }
}
