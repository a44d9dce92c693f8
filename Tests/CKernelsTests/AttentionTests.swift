import CKernels
import Seeded
import Testing

/// softmax(cap(scale · q·kᵗ))·v of one query over the keys that it sees; zeros if there are none.
private func attend(
    _ q: [Float], scale: Float, softcap: Float = 0, visible: Range<Int>, key: (Int, Int) -> Float, value: (Int, Int) -> Float
) -> [Double] {
    let cap = Double(softcap), scores = visible.map { j in
        let score = q.indices.reduce(0.0) { $0 + Double(q[$1]) * Double(key(j, $1)) } * Double(scale)
        return cap == 0 ? score : cap * (1 - 2 / (exp64(2 * score / cap) + 1))
    }
    guard let most = scores.max() else { return q.map { _ in 0 } }
    let weights = scores.map { exp64($0 - most) }, sum = weights.reduce(0, +)
    return q.indices.map { i in
        zip(visible, weights).reduce(0.0) { $0 + $1.1 * Double(value($1.0, i)) } / sum
    }
}

/// A ragged batch over a paged cache that was filled through vlm_kv_write.
private final class PagedFixture {
    let heads: Int, kvHeads: Int, dim: Int, block: Int, bf16Cache: Bool
    let counts: [Int], contexts: [Int]
    var keys: [[Float]] = [], values: [[Float]] = []  // per sequence [context, kvHeads, dim]
    let q, y: Guarded<Float>
    let kCache, vCache: Guarded<UInt8>
    let starts, countTable, contextTable, blockTable: Guarded<Int32>
    let blocks: Int, tableStride: Int
    var layout: vlm_kv_layout
    var window = 0, softcap: Float = 0
    /// Of each query row; the query's own position where it is in no span.
    var reach: Guarded<Int32>?

    init(heads: Int, kvHeads: Int, dim: Int, block: Int, bf16Cache: Bool, counts: [Int], contexts: [Int], seed: UInt64) {
        (self.heads, self.kvHeads, self.dim, self.block) = (heads, kvHeads, dim, block)
        (self.bf16Cache, self.counts, self.contexts) = (bf16Cache, counts, contexts)
        var random = Dice(seed)
        let needed = contexts.map { ($0 + block - 1) / block }
        tableStride = (needed.max() ?? 0) + 1
        blocks = needed.reduce(0, +) + 1
        layout = vlm_kv_layout(
            dtype: bf16Cache ? VLM_BF16 : VLM_F32, kv_heads: Int64(kvHeads), head_dim: Int64(dim), block_size: Int64(block),
            block_stride: Int64(kvHeads * dim * block), head_stride: Int64(dim * block))
        var free = Array(0..<Int32(blocks)).shuffled(using: &random), table: [Int32] = []
        for n in needed { table += (0..<tableStride).map { $0 < n ? free.removeLast() : -1 } }
        blockTable = Guarded(table)
        let total = counts.reduce(0, +)
        q = Guarded(random.floats(total * heads * dim, in: -2...2))
        y = Guarded(total * heads * dim) { _ in .nan }
        let bytes = blocks * kvHeads * dim * block * (bf16Cache ? 2 : 4)
        (kCache, vCache) = (Guarded(bytes, aligned: true) { _ in 0xff }, Guarded(bytes, aligned: true) { _ in 0xff })
        starts = Guarded(counts.indices.map { Int32(counts[..<$0].reduce(0, +)) })
        countTable = Guarded(counts.map(Int32.init))
        contextTable = Guarded(contexts.map(Int32.init))
        for s in contexts.indices { fill(s, &random) }
    }

    private func fill(_ s: Int, _ random: inout Dice) {
        let n = contexts[s], k = Guarded(random.floats(n * kvHeads * dim)), v = Guarded(random.floats(n * kvHeads * dim))
        let slots = Guarded((0..<n).map { blockTable[s * tableStride + $0 / block] * Int32(block) + Int32($0 % block) } + [-1])
        var a = vlm_kv_write_args(
            layout: layout, blocks: Int64(blocks), k: k.pointer, k_stride: Int64(kvHeads * dim), v: v.pointer,
            v_stride: Int64(kvHeads * dim), slots: slots.pointer, k_cache: kCache.pointer, v_cache: vCache.pointer)
        #expect(vlm_kv_write(&a, 0, Int64(n + 1), vlm_cpu_features()) == VLM_OK)
        slots[n] = Int32(blocks * block)
        #expect(vlm_kv_write(&a, Int64(n), Int64(n + 1), 0) == VLM_BAD_INDEX)
        keys.append(bf16Cache ? k.values.map(bf16) : k.values)
        values.append(bf16Cache ? v.values.map(bf16) : v.values)
    }

    func arguments() -> vlm_paged_attention_args {
        vlm_paged_attention_args(
            layout: layout, blocks: Int64(blocks), heads: Int64(heads), scale: 0.3, softcap: softcap, window: Int64(window),
            reach: reach.map { UnsafePointer($0.pointer) }, sequences: Int64(counts.count),
            query_start: starts.pointer, query_count: countTable.pointer, context_length: contextTable.pointer,
            block_table: blockTable.pointer, table_stride: Int64(tableStride), q: q.pointer, q_stride: Int64(heads * dim), y: y.pointer,
            y_stride: Int64(heads * dim), k_cache: kCache.pointer, v_cache: vCache.pointer, partials: nil, partial_count: 0)
    }

    /// Every item, cut into `pieces` that are computed from the last to the first; with room for so many partials.
    func run(_ isa: vlm_isa, partials: Int = 0, pieces: Int64 = 3) -> [Float] {
        var a = arguments(), layout = layout
        let memory = scratch(vlm_paged_attention_scratch_bytes(&layout, Int64(heads)))
        let room = Guarded<Float>(partials * vlm_paged_partial_bytes(&layout) / 4, aligned: true) { _ in .nan }
        if partials > 0 { (a.partials, a.partial_count) = (room.pointer, Int64(partials)) }
        for i in 0..<y.count { y[i] = .nan }
        let items = vlm_paged_attention_items(&a), merges = vlm_paged_attention_merges(&a)
        for i in (0..<pieces).reversed() {
            #expect(vlm_paged_attention(&a, items * i / pieces, items * (i + 1) / pieces, memory.pointer, isa) == VLM_OK)
        }
        for i in (0..<pieces).reversed() {
            #expect(vlm_paged_attention_merge(&a, merges * i / pieces, merges * (i + 1) / pieces, isa) == VLM_OK)
        }
        #expect(vlm_paged_attention_merge(&a, 0, merges + 1, isa) == VLM_BAD_SHAPE)
        return y.values
    }

    /// The fixture's rows of one query, alone in its batch with the context that it has here.
    func runAlone(sequence: Int, query: Int, _ isa: vlm_isa, partials: Int) -> [Float] {
        let (count, context, start, queryReach) = (countTable[sequence], contextTable[sequence], starts[sequence], reach)
        let others = countTable.values
        defer {
            (countTable[sequence], contextTable[sequence], starts[sequence], reach) = (count, context, start, queryReach)
            for s in counts.indices { countTable[s] = others[s] }
        }
        for s in counts.indices { countTable[s] = s == sequence ? 1 : 0 }
        contextTable[sequence] = context - count + Int32(query) + 1
        starts[sequence] = start + Int32(query)
        let row = (Int(start) + query) * heads * dim
        return Array(run(isa, partials: partials, pieces: 1)[row..<row + heads * dim])
    }

    /// Where the cache is bf16, queries and weights are too on AVX512_BF16; what these weights may add to an error.
    func roundsQueries(_ isa: vlm_isa) -> Bool { bf16Cache && isa & VLM_ISA_AVX512_BF16 != 0 }
    func tolerance(_ isa: vlm_isa) -> Double { roundsQueries(isa) ? 1e-2 : 2e-5 }

    /// Of every set of features.
    func expected() -> (vlm_isa) -> [Double] {
        let plain = expected(roundingQueries: false), rounded = bf16Cache ? expected(roundingQueries: true) : plain
        return { self.roundsQueries($0) ? rounded : plain }
    }

    private func expected(roundingQueries: Bool) -> [Double] {
        // A kernel rounds queries in units of the scores' power of two.
        let log2e = Float(1.442695), scale = Float(0.3)
        let q = roundingQueries ? q.values.map { bf16($0 * (scale * log2e)) } : q.values
        var result: [Double] = []
        for s in counts.indices {
            for i in 0..<counts[s] {
                let position = contexts[s] - counts[s] + i
                let end = reach.map { Int($0[Int(starts[s]) + i]) + 1 } ?? position + 1
                let visible = (window > 0 ? max(0, position - window + 1) : 0)..<end
                for h in 0..<heads {
                    let row = (Int(starts[s]) + i) * heads + h, kv = h / (heads / kvHeads)
                    let at = { (j: Int, d: Int) in (j * self.kvHeads + kv) * self.dim + d }
                    result += attend(
                        Array(q[row * dim..<(row + 1) * dim]), scale: roundingQueries ? 1 / log2e : scale, softcap: softcap,
                        visible: visible,
                        key: { self.keys[s][at($0, $1)] }, value: { self.values[s][at($0, $1)] })
                }
            }
        }
        return result
    }
}

@Suite struct PagedAttentionTests {
    @Test("ragged causal batches agree with f64 mathematics", arguments: [
        (12, 2, 128, 32), (4, 4, 32, 16), (6, 3, 80, 64), (8, 1, 40, 16), (14, 2, 64, 128), (3, 3, 36, 48), (2, 1, 256, 16), (70, 1, 8, 16),
    ])
    func matchesReference(heads: Int, kvHeads: Int, dim: Int, block: Int) {
        for bf16Cache in [false, true] {
            let fixture = PagedFixture(
                heads: heads, kvHeads: kvHeads, dim: dim, block: block, bf16Cache: bf16Cache, counts: [1, 21, 0, 1, 9, 3],
                contexts: [1, 21, 5, 67, 2 * block + 9, 16], seed: UInt64(dim))
            let expected = fixture.expected()
            for isa in featureSets {
                #expect(relativeError(fixture.run(isa), expected(isa)) < fixture.tolerance(isa), "isa \(isa) bf16 \(bf16Cache)")
            }
        }
    }

    @Test("windows, spans and softcaps of random batches agree with f64 mathematics", arguments: 0..<16)
    func masked(seed: UInt64) {
        var random = Dice(seed &+ 900)
        let kvHeads = Int.random(in: 1...3, using: &random), block = [16, 32, 48, 128].randomElement(using: &random)!
        let counts = (0..<4).map { _ in [0, 1, Int.random(in: 2...70, using: &random)].randomElement(using: &random)! }
        let contexts = counts.map { $0 + Int.random(in: 0...150, using: &random) }
        let fixture = PagedFixture(
            heads: kvHeads * Int.random(in: 1...7, using: &random), kvHeads: kvHeads, dim: [8, 32, 40, 80].randomElement(using: &random)!,
            block: block, bf16Cache: seed % 2 == 0, counts: counts, contexts: contexts, seed: seed)
        if seed % 4 != 0 { fixture.window = Int.random(in: 1...90, using: &random) }
        if seed % 3 != 0 { fixture.softcap = Float.random(in: 0.5...4, using: &random) }
        if seed % 5 != 0 { fixture.reach = Guarded(zip(counts, contexts).flatMap { Self.reach($0, $1, &random) } + [0]) }
        let expected = fixture.expected()
        for isa in featureSets { #expect(relativeError(fixture.run(isa), expected(isa)) < fixture.tolerance(isa), "isa \(isa)") }
    }

    /// Random spans over the last `count` positions of a context.
    private static func reach(_ count: Int, _ context: Int, _ random: inout Dice) -> [Int32] {
        var reach: [Int32] = []
        while reach.count < count {
            let length = Int.random(in: 1...min(40, count - reach.count), using: &random), first = context - count + reach.count
            let isSpan = Bool.random(using: &random)
            for i in 0..<length { reach.append(Int32(isSpan ? first + length - 1 : first + i)) }
        }
        return reach
    }

    @Test("a reach to itself and a window of all give the bits of plain causal attention")
    func plainBits() {
        for block in [16, 64] {
            let fixture = PagedFixture(
                heads: 6, kvHeads: 2, dim: 64, block: block, bf16Cache: false, counts: [1, 40], contexts: [90, 70], seed: 3)
            for isa in featureSets {
                (fixture.reach, fixture.window) = (nil, 0)
                let plain = fixture.run(isa)
                fixture.window = 90
                fixture.reach = Guarded([89] + (30..<70).map(Int32.init))
                #expect(fixture.run(isa).map(\.bitPattern) == plain.map(\.bitPattern), "isa \(isa)")
            }
        }
    }

    /// Contexts of several chunks, among short ones; a window that begins inside a chunk, and spans over the end of one.
    private static func chunked(_ seed: UInt64) -> PagedFixture {
        var random = Dice(seed &+ 70)
        let kvHeads = [1, 2, 3][Int(seed % 3)], group = Int(seed % 8) + 1, counts = [1, 3, 30, 2, 0, 1]
        let fixture = PagedFixture(
            heads: kvHeads * group, kvHeads: kvHeads, dim: [64, 72, 80, 96, 128, 256][Int(seed % 6)],
            block: [16, 64, 128, 48][Int(seed / 2 % 4)],
            bf16Cache: seed % 2 == 0, counts: counts, contexts: [1300, 514, 1030, 90, 700, 512], seed: seed)
        if seed % 3 == 1 { fixture.window = Int.random(in: 1...900, using: &random) }
        if seed % 4 == 3 { fixture.softcap = 2 }
        if seed % 5 == 4 { fixture.reach = Guarded(zip(counts, [1300, 514, 1030, 90, 700, 512]).flatMap { reach($0, $1, &random) } + [0]) }
        return fixture
    }

    @Test("contexts of several chunks agree with f64 mathematics, split or not, with the same bits", arguments: 0..<12)
    func chunks(seed: UInt64) {
        let fixture = Self.chunked(seed), expected = fixture.expected()
        for isa in featureSets {
            let whole = fixture.run(isa)
            #expect(relativeError(whole, expected(isa)) < fixture.tolerance(isa), "isa \(isa)")
            for (chunks, pieces) in [(4, 1), (9, 2), (100, 5), (1000, 64)] {
                let bits = fixture.run(isa, partials: chunks * fixture.heads, pieces: Int64(pieces)).map(\.bitPattern)
                #expect(bits == whole.map(\.bitPattern), "isa \(isa), room for \(chunks) chunks")
            }
        }
    }

    @Test("a row has the bits that it has alone", arguments: 0..<12)
    func alone(seed: UInt64) {
        let fixture = Self.chunked(seed), width = fixture.heads * fixture.dim
        guard fixture.reach == nil else { return }
        for isa in featureSets {
            let batch = fixture.run(isa, partials: 20 * fixture.heads)
            for (sequence, query) in [(0, 0), (1, 0), (1, 2), (2, 0), (2, 11), (2, 29), (3, 1), (5, 0)] {
                let row = (Int(fixture.starts[sequence]) + query) * width
                for partials in [0, 100 * fixture.heads] {
                    let alone = fixture.runAlone(sequence: sequence, query: query, isa, partials: partials)
                    let same = alone.map(\.bitPattern) == batch[row..<row + width].map(\.bitPattern)
                    #expect(same, "isa \(isa), query \(query) of \(sequence)")
                }
            }
        }
    }

    @Test("a reach before the query or behind the cache, negative windows and softcaps are refused")
    func maskRefusals() {
        let fixture = PagedFixture(heads: 2, kvHeads: 1, dim: 16, block: 16, bf16Cache: false, counts: [2], contexts: [20], seed: 1)
        let memory = scratch(vlm_paged_attention_scratch_bytes(&fixture.layout, 2))
        for (reach, status) in [([18, 19], VLM_OK), ([19, 19], VLM_OK), ([17, 19], VLM_BAD_INDEX), ([18, 20], VLM_BAD_INDEX)] {
            fixture.reach = Guarded(reach.map(Int32.init))
            var a = fixture.arguments()
            #expect(vlm_paged_attention(&a, 0, 1, memory.pointer, 0) == status, "\(reach)")
        }
        for (window, softcap) in [(-1, Float(0)), (0, -1), (0, .nan)] {
            (fixture.window, fixture.softcap) = (window, softcap)
            var a = fixture.arguments()
            #expect(vlm_paged_attention(&a, 0, 1, memory.pointer, 0) == VLM_BAD_SHAPE)
        }
    }

    @Test("tables and lengths that do not fit are refused")
    func refusals() {
        let fixture = PagedFixture(heads: 2, kvHeads: 1, dim: 16, block: 16, bf16Cache: false, counts: [2], contexts: [20], seed: 1)
        var a = fixture.arguments()
        let memory = scratch(vlm_paged_attention_scratch_bytes(&fixture.layout, 2)), items = vlm_paged_attention_items(&a)
        #expect(vlm_paged_attention(&a, 0, items + 1, memory.pointer, 0) == VLM_BAD_SHAPE)
        fixture.blockTable[1] = 3
        #expect(vlm_paged_attention(&a, 0, items, memory.pointer, 0) == VLM_BAD_INDEX)
        fixture.contextTable[0] = 49
        #expect(vlm_paged_attention(&a, 0, items, memory.pointer, 0) == VLM_BAD_SHAPE)
        fixture.contextTable[0] = 1
        #expect(vlm_paged_attention(&a, 0, items, memory.pointer, 0) == VLM_BAD_SHAPE)
        var odd = vlm_kv_layout(dtype: VLM_BF16, kv_heads: 1, head_dim: 5, block_size: 16, block_stride: 80, head_stride: 80)
        #expect(vlm_paged_attention_scratch_bytes(&odd, 2) == 0, "bf16 lies in pairs")
    }
}

@Suite struct SegmentAttentionTests {
    @Test("segments agree with f64 mathematics", arguments: [(2, 2, 80), (4, 2, 72), (1, 1, 32), (3, 3, 64), (2, 1, 88), (1, 1, 36)])
    func matchesReference(heads: Int, kvHeads: Int, dim: Int) {
        let offsets: [Int32] = [0, 1, 1, 66, 96, 227], rows = 227
        var random = Dice(UInt64(dim)), result: [Double] = []
        let width = (heads + 2 * kvHeads) * dim
        let qkv = Guarded(random.floats(rows * width)), y = Guarded(rows * heads * dim) { _ in Float.nan }, bounds = Guarded(offsets)
        for r in 0..<rows {
            let s = offsets.lastIndex { $0 <= r }!, begin = Int(offsets[s]), end = Int(offsets[s + 1])
            for h in 0..<heads {
                let kv = h / (heads / kvHeads), k = (heads + kv) * dim, v = (heads + kvHeads + kv) * dim
                result += attend(
                    (0..<dim).map { qkv[r * width + h * dim + $0] }, scale: 0.5, visible: 0..<end - begin,
                    key: { qkv[(begin + $0) * width + k + $1] }, value: { qkv[(begin + $0) * width + v + $1] })
            }
        }
        var a = vlm_segment_attention_args(
            heads: Int64(heads), kv_heads: Int64(kvHeads), head_dim: Int64(dim), products: VLM_PRODUCTS_F32, scale: 0.5, softcap: 0, segments: Int64(offsets.count - 1),
            offsets: bounds.pointer, key_offsets: nil, q: qkv.pointer, q_stride: Int64(width), k: qkv.pointer + heads * dim, k_stride: Int64(width),
            v: qkv.pointer + (heads + kvHeads) * dim, v_stride: Int64(width), y: y.pointer, y_stride: Int64(heads * dim))
        let memory = scratch(vlm_segment_attention_scratch_bytes(Int64(dim))), items = vlm_segment_attention_items(&a)
        for isa in featureSets {
            for i in 0..<y.count { y[i] = .nan }
            #expect(vlm_segment_attention(&a, 0, 2, memory.pointer, isa) == VLM_OK)
            #expect(vlm_segment_attention(&a, 2, items, memory.pointer, isa) == VLM_OK)
            #expect(relativeError(y.values, result) < 2e-5, "isa \(isa)")
        }
        #expect(vlm_segment_attention(&a, 0, items + 1, memory.pointer, 0) == VLM_BAD_SHAPE)
    }

    @Test("queries and keys of other segments, grouped heads and softcaps agree with f64 mathematics", arguments: [
        (4, 2, 64, Float(0)), (6, 1, 40, 1.5), (2, 2, 32, 0.5),
    ])
    func crossAttention(heads: Int, kvHeads: Int, dim: Int, softcap: Float) {
        let queryBounds: [Int32] = [0, 3, 3, 260, 265], keyBounds: [Int32] = [0, 150, 151, 151, 290]
        var random = Dice(UInt64(dim)), result: [Double] = []
        let q = Guarded(random.floats(265 * heads * dim, in: -2...2)), y = Guarded(265 * heads * dim) { _ in Float.nan }
        let k = Guarded(random.floats(290 * kvHeads * dim)), v = Guarded(random.floats(290 * kvHeads * dim))
        for r in 0..<265 {
            let s = queryBounds.lastIndex { $0 <= r }!
            for h in 0..<heads {
                let at = { (j: Int, d: Int) in (j * kvHeads + h / (heads / kvHeads)) * dim + d }
                result += attend(
                    (0..<dim).map { q[(r * heads + h) * dim + $0] }, scale: 0.5, softcap: softcap,
                    visible: Int(keyBounds[s])..<Int(keyBounds[s + 1]), key: { k[at($0, $1)] }, value: { v[at($0, $1)] })
            }
        }
        let bounds = Guarded(queryBounds), keys = Guarded(keyBounds)
        var a = vlm_segment_attention_args(
            heads: Int64(heads), kv_heads: Int64(kvHeads), head_dim: Int64(dim), products: VLM_PRODUCTS_F32, scale: 0.5, softcap: softcap, segments: 4,
            offsets: bounds.pointer, key_offsets: keys.pointer, q: q.pointer, q_stride: Int64(heads * dim), k: k.pointer,
            k_stride: Int64(kvHeads * dim), v: v.pointer, v_stride: Int64(kvHeads * dim), y: y.pointer, y_stride: Int64(heads * dim))
        let memory = scratch(vlm_segment_attention_scratch_bytes(Int64(dim))), items = vlm_segment_attention_items(&a)
        for isa in featureSets {
            for i in 0..<y.count { y[i] = .nan }
            #expect(vlm_segment_attention(&a, 0, items, memory.pointer, isa) == VLM_OK)
            #expect(relativeError(y.values, result) < 2e-5, "isa \(isa)")
        }
        a.softcap = -1
        #expect(vlm_segment_attention(&a, 0, items, memory.pointer, 0) == VLM_BAD_SHAPE)
    }

    @Test("rounded products agree with mathematics and the portable version; a row alone is the same bits", arguments: [
        (2, 2, 80, Float(0)), (4, 2, 72, 0), (3, 1, 7, 1.5), (1, 1, 256, 0), (2, 2, 32, 0.5), (1, 1, 1, 0),
    ], [VLM_PRODUCTS_BF16, VLM_PRODUCTS_INT16])
    func roundedProducts(shape: (heads: Int, kvHeads: Int, dim: Int, softcap: Float), products: vlm_products) {
        let (heads, kvHeads, dim, softcap) = shape, areCodes = products == VLM_PRODUCTS_INT16
        let queries: [Int32] = [0, 2, 2, 16, 1120, 1121], keyBounds: [Int32] = [0, 257, 258, 258, 853, 886]
        let (rows, keys) = (1121, 886)
        var random = Dice(UInt64(dim))
        let q = Guarded(random.floats(rows * heads * dim, in: -3...3)), y = Guarded(rows * heads * dim) { _ in Float.nan }
        let k = Guarded(random.floats(keys * kvHeads * dim)), v = Guarded(random.floats(keys * kvHeads * dim))
        let bounds = Guarded(queries), ofKeys = Guarded(keyBounds), width = heads * dim, kvWidth = kvHeads * dim
        var a = vlm_segment_attention_args(
            heads: Int64(heads), kv_heads: Int64(kvHeads), head_dim: Int64(dim), products: VLM_PRODUCTS_F32, scale: 0.5, softcap: softcap, segments: 5,
            offsets: bounds.pointer, key_offsets: ofKeys.pointer, q: q.pointer, q_stride: Int64(width), k: k.pointer, k_stride: Int64(kvWidth),
            v: v.pointer, v_stride: Int64(kvWidth), y: y.pointer, y_stride: Int64(width))
        let memory = scratch(vlm_segment_attention_scratch_bytes(Int64(dim)))
        #expect(vlm_segment_attention(&a, 0, vlm_segment_attention_items(&a), memory.pointer, 0) == VLM_OK)
        let exact = y.values.map(Double.init)
        a.products = products
        let items = vlm_segment_attention_items(&a)
        var portable: [Double] = []
        for isa in featureSets {
            for i in 0..<y.count { y[i] = .nan }
            for item in 0..<items { #expect(vlm_segment_attention(&a, item, item + 1, memory.pointer, isa) == VLM_OK) }
            #expect(distance(y.values, exact) < (areCodes ? 3e-3 : 1.5e-2), "isa \(isa)")
            if isa == 0 { portable = y.values.map(Double.init) }
            #expect(distance(y.values, portable) < 1e-3, "isa \(isa)")
            if areCodes && softcap == 0 { #expect(y.values.map(Double.init) == portable, "isa \(isa)") }
            for (row, segment) in [(1, 0), (2, 2), (15, 2), (16, 3), (700, 3), (1119, 3), (1120, 4)] {
                let one = Guarded<Int32>([0, 1]), seen = Guarded<Int32>([0, keyBounds[segment + 1] - keyBounds[segment]])
                let alone = Guarded(width) { _ in Float.nan }
                var b = a
                (b.segments, b.offsets, b.key_offsets, b.y) = (1, UnsafePointer(one.pointer), UnsafePointer(seen.pointer), alone.pointer)
                b.q = UnsafePointer(q.pointer + row * width)
                b.k = UnsafePointer(k.pointer + Int(keyBounds[segment]) * kvWidth)
                b.v = UnsafePointer(v.pointer + Int(keyBounds[segment]) * kvWidth)
                #expect(vlm_segment_attention(&b, 0, Int64(heads), memory.pointer, isa) == VLM_OK)
                let together = y.values[row * width..<(row + 1) * width].map(\.bitPattern)
                #expect(alone.values.map(\.bitPattern) == together, "isa \(isa), row \(row)")
            }
        }
        a.products = vlm_products(3)
        #expect(vlm_segment_attention(&a, 0, items, memory.pointer, 0) == VLM_BAD_SHAPE)
    }

    @Test("a NaN in the keys is not hidden")
    func nan() {
        let q = Guarded<Float>(32) { _ in 1 }, k = Guarded<Float>(32) { $0 == 3 ? .nan : 1 }, y = Guarded<Float>(32) { _ in 0 }
        let bounds = Guarded<Int32>([0, 1])
        var a = vlm_segment_attention_args(
            heads: 1, kv_heads: 1, head_dim: 32, products: VLM_PRODUCTS_F32, scale: 1, softcap: 0, segments: 1, offsets: bounds.pointer, key_offsets: nil, q: q.pointer, q_stride: 32, k: k.pointer,
            k_stride: 32, v: q.pointer, v_stride: 32, y: y.pointer, y_stride: 32)
        let memory = scratch(vlm_segment_attention_scratch_bytes(32))
        for (isa, products) in featureSets.flatMap({ isa in [VLM_PRODUCTS_F32, VLM_PRODUCTS_BF16, VLM_PRODUCTS_INT16].map { (isa, $0) } }) {
            a.products = products
            #expect(vlm_segment_attention(&a, 0, 1, memory.pointer, isa) == VLM_OK)
            #expect(y[0].isNaN, "isa \(isa), products \(products)")
        }
    }
}

/// ‖values − expected‖ / ‖expected‖: rounding to bf16 may go the other way after any difference, now and then.
private func distance(_ values: [Float], _ expected: [Double]) -> Double {
    let squares = zip(values, expected).reduce((0.0, 0.0)) { ($0.0 + (Double($1.0) - $1.1) * (Double($1.0) - $1.1), $0.1 + $1.1 * $1.1) }
    return (squares.0 / squares.1).squareRoot()
}
