import COpenBLAS
import CKernels
import Dispatch

/// Times kernels on Qwen2-VL-2B's shapes, split over threads by ranges of items.
struct KernelBench {
    static let rounds = 7
    let isa = vlm_cpu_features()
    let threads: Int
    private let pool: UnsafeMutableRawBufferPointer  // weights, larger than the caches
    private let x, y: UnsafeMutablePointer<Float>
    private let scratch: [UnsafeMutableRawPointer]
    private let packed: UnsafeMutableRawPointer
    private static let activations = 512 * 17920
    /// Inputs and outputs of the large layers of decoder and vision tower.
    private static let layers = [(1536, 2048), (1536, 17920), (8960, 1536), (1280, 3840), (1280, 5120)]

    init(threads: Int) {
        self.threads = threads
        pool = .allocate(byteCount: 512 << 20, alignment: 4096)
        let words = pool.bindMemory(to: UInt32.self)
        var state: UInt32 = 1
        for i in words.indices {  // small bf16 numbers; as f16 they are scales near 1
            state = state &* 1_664_525 &+ 1_013_904_223
            words[i] = (state & 0x807f_807f) | 0x3f00_3f00
        }
        x = .allocate(capacity: Self.activations)
        y = .allocate(capacity: Self.activations)
        for i in 0..<Self.activations { (x[i], y[i]) = (Float(i % 127 - 63) / 64, 0) }
        scratch = (0..<threads).map { _ in .allocate(byteCount: 8 << 20, alignment: 64) }
        packed = .allocate(byteCount: 64 << 20, alignment: 64)
    }

    /// Seconds of `items` split evenly over the threads; `body` gets a range and its thread.
    private func seconds(_ items: Int64, _ body: (Int64, Int64, Int) -> Void) -> Double {
        let clock = ContinuousClock(), begin = clock.now
        withoutActuallyEscaping(body) { body in
            nonisolated(unsafe) let run = body
            let threads = self.threads
            DispatchQueue.concurrentPerform(iterations: threads) { t in
                run(items * Int64(t) / Int64(threads), items * Int64(t + 1) / Int64(threads), t)
            }
        }
        let d = (clock.now - begin).components
        return Double(d.seconds) + Double(d.attoseconds) * 1e-18
    }

    /// A ceiling in units of 10⁹ per second.
    private func ceiling(_ rate: vlm_rate, at offset: Int = 0) -> Double {
        let bytes = rate == VLM_RATE_READ ? (32 << 20) / threads / 4096 * 4096 : 0, base = pool.baseAddress! + offset
        let iterations: Int64 = rate == VLM_RATE_READ ? 1 : 200_000
        let time = seconds(Int64(threads)) { _, _, t in _ = vlm_rate_run(rate, iterations, base + t * bytes, bytes, isa) }
        return vlm_rate_work(rate, bytes, isa) * Double(iterations) * Double(threads) / time * 1e-9
    }

    /// Prints the median share and the best rate; `work` in units of 10⁹.
    private func report(_ name: String, work: Double, unit: String, rate: vlm_rate, time: (Int) -> Double) {
        var shares: [Double] = [], best = 0.0
        for round in 0..<Self.rounds {
            let offset = ((round * 61 + 17) % 448) << 20
            let before = ceiling(rate, at: offset), value = work / time(round), after = ceiling(rate, at: offset)
            shares.append(value / ((before + after) / 2))
            best = max(best, value)
        }
        shares.sort()
        func percent(_ share: Double) -> String { "\(Int(share * 100 + 0.5)) %" }
        func padded(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(0, width - text.count)) }
        let rounded = Double(Int(best * 10 + 0.5)) / 10
        print(padded(name, 44), padded("\(rounded) \(unit)", 16), "share \(percent(shares[shares.count / 2]))",
            "(\(percent(shares[0]))…\(percent(shares[shares.count - 1])))")
    }

    /// Of dots of 16 bits, else of products and sums.
    private var codeRate: vlm_rate { vlm_rate_work(VLM_RATE_INT16_DOT, 0, isa) > 0 ? VLM_RATE_INT16_DOT : VLM_RATE_INT16_PAIRS }

    private func peak(_ kind: vlm_linear_kind) -> vlm_rate {
        switch kind {
        case VLM_LINEAR_BF16_BF16, VLM_LINEAR_F8_BF16: VLM_RATE_BF16_DOT
        case VLM_LINEAR_INT4_INT8, VLM_LINEAR_F4_INT8: VLM_RATE_INT8_DOT
        case VLM_LINEAR_BF16_INT16: codeRate
        // Products of 8 by 8 bits have no room in 16, so that without dots of bytes they are of 16 bits.
        case VLM_LINEAR_INT8_INT8: vlm_rate_work(VLM_RATE_INT8_DOT, 0, isa) > 0 ? VLM_RATE_INT8_DOT : VLM_RATE_INT16_PAIRS
        default: VLM_RATE_F32_FMA
        }
    }

    private func linear(_ kind: vlm_linear_kind, rows: Int, _ shape: (inputs: Int, outputs: Int), offset: Int = 0) -> vlm_linear_args {
        vlm_linear_args(
            kind: kind, activation: VLM_ACTIVATION_NONE, rows: Int64(rows), inputs: Int64(shape.inputs), outputs: Int64(shape.outputs),
            group: vlm_linear_format(kind) == VLM_WEIGHT_F4 ? 32 : 128, x: x, x_stride: Int64(shape.inputs), packed: packed, weight: pool.baseAddress! + offset, bias: nil, residual: nil,
            residual_stride: 0, y: y, y_stride: Int64(shape.outputs), is_far: vlm_memory_is_far(), is_gated: false)
    }

    /// Packs the activations where the kind reads them so.
    private func pack(_ linear: vlm_linear_args) {
        let format = vlm_linear_rows(linear.kind)
        guard format >= 0 else { return }
        var arguments = vlm_pack_activations_args(
            format: vlm_row_format(UInt32(format)), rows: linear.rows, inputs: linear.inputs, group: linear.group, x: linear.x,
            x_stride: linear.x_stride, packed: packed)
        _ = vlm_pack_activations(&arguments, 0, linear.rows, isa)
    }

    private var kinds: [(String, vlm_linear_kind)] {
        let all = [
            ("bf16·f32", VLM_LINEAR_BF16_F32), ("bf16·bf16", VLM_LINEAR_BF16_BF16), ("bf16·int16", VLM_LINEAR_BF16_INT16), ("f32·f32", VLM_LINEAR_F32_F32),
            ("int4·f32", VLM_LINEAR_INT4_F32), ("int4·int8", VLM_LINEAR_INT4_INT8), ("f8·f32", VLM_LINEAR_F8_F32), ("f8·bf16", VLM_LINEAR_F8_BF16),
            ("f4·f32", VLM_LINEAR_F4_F32), ("f4·int8", VLM_LINEAR_F4_INT8), ("int8·f32", VLM_LINEAR_INT8_F32), ("int8·int8", VLM_LINEAR_INT8_INT8),
        ]
        return all.filter { vlm_rate_work(peak($0.1), 0, isa) > 0 }
    }

    private func run(_ arguments: vlm_linear_args) -> Double {
        seconds(withUnsafePointer(to: arguments) { vlm_linear_items($0, isa) }) { begin, end, t in
            withUnsafePointer(to: arguments) { _ = vlm_linear($0, begin, end, scratch[t], isa) }
        }
    }

    /// Prefill and vision shapes.
    func tall() {
        for (name, kind) in kinds {
            for rows in [192, 256, 512] {
                for shape in Self.layers {
                    let arguments = linear(kind, rows: rows, shape)
                    pack(arguments)
                    let work = 2e-9 * Double(rows * shape.0 * shape.1)
                    report("\(name) \(rows) rows \(shape.0)→\(shape.1)", work: work, unit: "GOP/s", rate: peak(kind)) { _ in run(arguments) }
                }
            }
        }
    }

    /// The f32 kernel beside OpenBLAS on exact prefill's and vision's shapes, in turns.
    func blas() {
        for (name, kind) in [("bf16·f32", VLM_LINEAR_BF16_F32), ("f32·f32", VLM_LINEAR_F32_F32)] {
            for (rows, shape) in [128, 256, 512, 1024].flatMap({ rows in Self.layers.map { (rows, $0) } }) {
                guard rows * max(shape.0, shape.1) <= Self.activations else { continue }
                let arguments = linear(kind, rows: rows, shape)
                var times: (ours: [Double], theirs: [Double]) = ([], [])
                for _ in 0..<Self.rounds {
                    times.ours.append(run(arguments))
                    times.theirs.append(
                        seconds(vlm_panels(arguments.outputs)) { begin, end, t in
                            withUnsafePointer(to: arguments) { _ = vlm_openblas_linear($0, begin, end, scratch[t], isa) }
                        })
                }
                let ratios = zip(times.theirs, times.ours).map { $0 / $1 }.sorted()
                func rate(_ seconds: [Double]) -> Int { Int(2e-9 * Double(rows * shape.0 * shape.1) / (seconds.min() ?? 1)) }
                func fixed(_ value: Double) -> Double { Double(Int(value * 100 + 0.5)) / 100 }
                print(
                    "\(name) \(rows) rows \(shape.0)→\(shape.1): \(rate(times.ours)) GFLOP/s, OpenBLAS \(rate(times.theirs)); faster by",
                    "\(fixed(ratios[Self.rounds / 2])) (\(fixed(ratios[0]))…\(fixed(ratios[Self.rounds - 1])))")
            }
        }
    }

    /// Decode shapes: weights come from memory.
    func thin() {
        for (name, kind) in kinds {
            for rows in [1, 4, 8, 16] {
                for shape in [(1536, 17920), (8960, 1536), (1536, 151_936)] {
                    let bytes = vlm_weight_bytes(vlm_linear_format(kind), Int64(shape.1), Int64(shape.0), 128)
                    guard bytes <= pool.count - (1 << 20), rows * shape.1 <= Self.activations else { continue }
                    let slots = max(1, (pool.count - bytes) / (bytes + 4096))
                    let first = linear(kind, rows: rows, shape)
                    pack(first)
                    report("\(name) \(rows) rows \(shape.0)→\(shape.1)", work: Double(bytes) * 1e-9, unit: "GB/s", rate: VLM_RATE_READ) { round in
                        run(linear(kind, rows: rows, shape, offset: round % slots * ((bytes + 4095) / 4096 * 4096)))
                    }
                }
            }
        }
    }

    func attention() {
        for patches in [1024, 4096] {
            segment(patches, VLM_PRODUCTS_F32)
            segment(patches, VLM_PRODUCTS_INT16)
            if isa & VLM_ISA_AVX512_BF16 != 0 { segment(patches, VLM_PRODUCTS_BF16) }
        }
        for (queries, context) in [(1, 1024), (1, 16384), (256, 1024), (256, 8192)] {
            for dtype in [VLM_F32, VLM_BF16] { paged(queries: queries, context: context, dtype) }
        }
    }

    private func segment(_ patches: Int, _ products: vlm_products) {
        let offsets = [0, Int32(patches)]
        let (name, rate) =
            switch products {
            case VLM_PRODUCTS_BF16: ("bf16", VLM_RATE_BF16_DOT)
            case VLM_PRODUCTS_INT16: ("int16", codeRate)
            default: ("f32", VLM_RATE_F32_FMA)
            }
        offsets.withUnsafeBufferPointer { offsets in
            var a = vlm_segment_attention_args(
                heads: 16, kv_heads: 16, head_dim: 80, products: products, scale: 0.1, softcap: 0, segments: 1, offsets: offsets.baseAddress,
                key_offsets: nil, q: x, q_stride: 3840, k: x + 1280,
                k_stride: 3840, v: x + 2560, v_stride: 3840, y: y, y_stride: 1280)
            let items = vlm_segment_attention_items(&a), arguments = a
            report(
                "segment attention \(name) \(patches) × 16 × 80", work: 4e-9 * Double(patches * patches * 16 * 80), unit: "GFLOP/s",
                rate: rate
            ) { _ in
                seconds(items) { begin, end, t in
                    withUnsafePointer(to: arguments) { _ = vlm_segment_attention($0, begin, end, scratch[t], isa) }
                }
            }
        }
    }

    private func paged(queries: Int, context: Int, _ dtype: vlm_dtype) {
        let block = 64, dots = dtype == VLM_BF16 && isa & VLM_ISA_AVX512_BF16 != 0, layout = vlm_kv_layout(
            dtype: dtype, kv_heads: 2, head_dim: 128, block_size: Int64(block), block_stride: Int64(2 * 128 * block), head_stride: Int64(128 * block))
        let table = (0..<Int32(context / block)).map { $0 }, start: [Int32] = [0], count = [Int32(queries)], length = [Int32(context)]
        let valuesAt = 16 << 20, bytes = 2 * 2 * 128 * context * (dtype == VLM_F32 ? 4 : 2)
        let visible = Double(queries) * (Double(context) - Double(queries - 1) / 2)
        var a = vlm_paged_attention_args()
        (a.layout, a.blocks, a.heads, a.scale, a.sequences) = (layout, Int64(table.count), 12, 0.1, 1)
        (a.table_stride, a.q, a.q_stride, a.y, a.y_stride) = (Int64(table.count), UnsafePointer(x), 1536, y, 1536)
        start.withUnsafeBufferPointer { start in
            count.withUnsafeBufferPointer { count in
                length.withUnsafeBufferPointer { length in
                    table.withUnsafeBufferPointer { table in
                        (a.query_start, a.query_count, a.context_length) = (start.baseAddress, count.baseAddress, length.baseAddress)
                        a.block_table = table.baseAddress
                        let items = vlm_paged_attention_items(&a)
                        // A token reads its cache from memory, another place in each round; of a prompt operations count.
                        report(
                            "paged attention \(queries) of \(context), \(dtype == VLM_F32 ? "f32" : "bf16") cache",
                            work: queries == 1 ? Double(bytes) * 1e-9 : 4e-9 * visible * 12 * 128, unit: queries == 1 ? "GB/s" : "GFLOP/s",
                            rate: queries == 1 ? VLM_RATE_READ : dots ? VLM_RATE_BF16_DOT : VLM_RATE_F32_FMA
                        ) { round in
                            let keys = pool.baseAddress! + (queries == 1 ? round % 14 * (2 * valuesAt) : 0)
                            (a.k_cache, a.v_cache) = (UnsafeRawPointer(keys), UnsafeRawPointer(keys + valuesAt))
                            let arguments = a
                            return seconds(items) { begin, end, t in
                                withUnsafePointer(to: arguments) { _ = vlm_paged_attention($0, begin, end, scratch[t], isa) }
                            }
                        }
                    }
                }
            }
        }
    }
}
