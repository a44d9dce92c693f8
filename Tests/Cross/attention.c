// Attention over the paged cache and inside segments.
#include "cross.h"

#include <stdio.h>
#include <string.h>

#include "vlm_attention.h"

enum { SEQUENCES_MAX = 4 };

typedef struct {
    vlm_dtype dtype;
    int64_t kv_heads, heads, dim, block, window;
    float softcap;
    bool has_reach;
    int32_t counts[SEQUENCES_MAX], contexts[SEQUENCES_MAX];  // up to the first count of 0
} paged_case;

typedef struct {
    vlm_paged_attention_args args;
    float *y, *generic, *whole;
    int64_t rows, numbers;
    void *scratch;
    char name[96];
} paged;

// Tables, queries and a cache with all sequences; blocks of sequences lie mixed.
static paged make_paged(const paged_case *c) {
    paged p = {0};
    int32_t *starts = guarded(sizeof c->counts, false), *counts = guarded(sizeof c->counts, false), *contexts = guarded(sizeof c->counts, false);
    int64_t sequences = 0, most = 0, blocks = 0;
    for (; sequences < SEQUENCES_MAX && c->counts[sequences] > 0; sequences++) {
        starts[sequences] = (int32_t)p.rows;
        counts[sequences] = c->counts[sequences];
        contexts[sequences] = c->contexts[sequences];
        p.rows += c->counts[sequences];
        const int64_t needs = (c->contexts[sequences] + c->block - 1) / c->block;
        most = needs > most ? needs : most;
    }
    blocks = sequences * most;
    int32_t *table = guarded((size_t)blocks * 4, false), *reach = guarded((size_t)p.rows * 4, false);
    for (int64_t i = 0; i < blocks; i++) table[i] = (int32_t)(i % most * sequences + i / most);
    for (int64_t s = 0, row = 0; s < sequences; s++)
        for (int32_t i = 0; i < counts[s]; i++, row++) reach[row] = (int32_t)dice(contexts[s] - counts[s] + i, contexts[s] - 1);
    const vlm_kv_layout layout = {c->dtype, c->kv_heads, c->dim, c->block, c->kv_heads * c->dim * c->block, c->dim * c->block};
    p.numbers = p.rows * c->heads * c->dim;
    p.y = guarded((size_t)p.numbers * 4, false);
    p.generic = guarded((size_t)p.numbers * 4, false);
    p.whole = guarded((size_t)p.numbers * 4, false);
    const size_t bytes = (size_t)(blocks * layout.block_stride) * (c->dtype == VLM_F32 ? 4 : 2);
    void *k = guarded(bytes, false), *v = guarded(bytes, false);
    const int64_t tokens = blocks * c->block;
    int32_t *slots = guarded((size_t)tokens * 4, false);
    for (int64_t i = 0; i < tokens; i++) slots[i] = (int32_t)i;
    const int64_t width = c->kv_heads * c->dim;
    const vlm_kv_write_args write = {.layout = layout, .blocks = blocks, .k = floats(tokens * width, -1, 1), .k_stride = width, .slots = slots,
                                     .v = floats(tokens * width, -1, 1), .v_stride = width, .k_cache = k, .v_cache = v};
    expect_ok(vlm_kv_write(&write, 0, tokens, VLM_ISA_GENERIC), 0, "kv_write");
    p.args = (vlm_paged_attention_args){.layout = layout, .blocks = blocks, .heads = c->heads, .scale = 0.3f, .softcap = c->softcap,
        .window = c->window, .reach = c->has_reach ? reach : NULL, .sequences = sequences, .query_start = starts, .query_count = counts,
        .context_length = contexts, .block_table = table, .table_stride = most, .q = floats(p.numbers, -2, 2), .q_stride = c->heads * c->dim,
        .y = p.y, .y_stride = c->heads * c->dim, .k_cache = k, .v_cache = v};
    p.scratch = guarded(vlm_paged_attention_scratch_bytes(&layout, c->heads), true);
    snprintf(p.name, sizeof p.name, "attention %s heads %lld/%lld dim %lld block %lld window %lld softcap %g", c->dtype == VLM_F32 ? "f32" : "bf16",
             (long long)c->heads, (long long)c->kv_heads, (long long)c->dim, (long long)c->block, (long long)c->window, (double)c->softcap);
    return p;
}

// All items in two pieces, the later first; with room for so many partials.
static void run_paged(paged *p, int64_t partials, int set) {
    vlm_paged_attention_args a = p->args;
    if (partials > 0) {
        a.partials = guarded((size_t)partials * vlm_paged_partial_bytes(&a.layout), true);
        a.partial_count = partials;
    }
    memset(p->y, 0xff, (size_t)p->numbers * 4);
    const int64_t items = vlm_paged_attention_items(&a), merges = vlm_paged_attention_merges(&a);
    expect_ok(vlm_paged_attention(&a, items / 2, items, p->scratch, sets[set].isa), set, p->name);
    expect_ok(vlm_paged_attention(&a, 0, items / 2, p->scratch, sets[set].isa), set, p->name);
    expect_ok(vlm_paged_attention_merge(&a, 0, merges, sets[set].isa), set, p->name);
}

static void check_paged(const paged_case *c) {
    paged p = make_paged(c);
    for (int set = 0; set < set_count; set++) {
        const bool rounds = c->dtype == VLM_BF16 && (sets[set].isa & VLM_ISA_AVX512_BF16);
        run_paged(&p, 0, set);
        memcpy(set ? p.whole : p.generic, p.y, (size_t)p.numbers * 4);
        expect_near(set, p.name, p.y, p.generic, p.numbers, rounds ? 1.5e-2 : 2e-5);
        digest_floats("paged_attention", set, p.y, p.numbers);
        run_paged(&p, p.rows * c->heads * 8, set);
        expect_near(set, "contexts in chunks", p.y, set ? p.whole : p.generic, p.numbers, 0);
    }
    release_all();
}

typedef struct {
    vlm_products products;
    int64_t heads, kv_heads, dim;
    float softcap;
    bool has_keys;  // of their own
    int32_t offsets[4], key_offsets[4];
} segment_case;

static void check_segments(const segment_case *c) {
    static const char *const names[] = {"segments", "segments of bf16", "segments of 16-bit codes"};
    static const char *const areas[] = {"segment_attention", "segment_attention", "segment_attention_int16"};
    static const double tolerances[] = {2e-5, 1.5e-2, 0};
    const int64_t rows = c->offsets[3], keys = c->has_keys ? c->key_offsets[3] : rows, numbers = rows * c->heads * c->dim;
    float *generic = guarded((size_t)numbers * 4, false), *y = guarded((size_t)numbers * 4, false);
    const vlm_segment_attention_args a = {.heads = c->heads, .kv_heads = c->kv_heads, .head_dim = c->dim, .products = c->products, .scale = 0.2f,
        .softcap = c->softcap, .segments = 3, .offsets = c->offsets, .key_offsets = c->has_keys ? c->key_offsets : NULL,
        .q = floats(numbers, -2, 2), .q_stride = c->heads * c->dim, .k = floats(keys * c->kv_heads * c->dim, -1, 1), .k_stride = c->kv_heads * c->dim,
        .v = floats(keys * c->kv_heads * c->dim, -1, 1), .v_stride = c->kv_heads * c->dim, .y = y, .y_stride = c->heads * c->dim};
    void *scratch = guarded(vlm_segment_attention_scratch_bytes(c->dim), true);
    const int64_t items = vlm_segment_attention_items(&a);
    for (int set = 0; set < set_count; set++) {
        memset(y, 0xff, (size_t)numbers * 4);
        expect_ok(vlm_segment_attention(&a, items / 2, items, scratch, sets[set].isa), set, "segments");
        expect_ok(vlm_segment_attention(&a, 0, items / 2, scratch, sets[set].isa), set, "segments");
        if (set == 0) memcpy(generic, y, (size_t)numbers * 4);
        expect_near(set, names[c->products], y, generic, numbers, tolerances[c->products]);
        digest_floats(areas[c->products], set, y, numbers);
    }
    release_all();
}

void check_attention(void) {
    static const paged_case paged_cases[] = {
        {VLM_F32, 2, 4, 64, 16, 0, 0, false, {1, 7, 1}, {40, 23, 1}},
        {VLM_BF16, 2, 4, 64, 16, 0, 0, false, {1, 7, 1}, {40, 23, 600}},
        {VLM_BF16, 1, 8, 128, 32, 0, 0, false, {1, 2}, {700, 33}},
        {VLM_BF16, 1, 1, 80, 64, 0, 0, false, {30}, {90}},
        {VLM_F32, 1, 3, 33, 16, 0, 0, false, {5, 1}, {5, 1200}},
        {VLM_BF16, 2, 2, 72, 128, 0, 30, false, {9}, {70}},
        {VLM_F32, 1, 2, 48, 32, 20, 0, false, {11, 1}, {80, 90}},
        {VLM_BF16, 1, 2, 48, 32, 7, 5, false, {70, 1}, {80, 90}},
        {VLM_F32, 1, 2, 16, 16, 0, 0, true, {17}, {60}},
        {VLM_BF16, 1, 2, 64, 256, 300, 0, true, {25, 3}, {600, 70}},
        {VLM_F32, 1, 16, 256, 16, 0, 50, false, {3}, {37}},
        {VLM_BF16, 1, 1, 96, 48, 0, 0, false, {17, 33, 50}, {17, 101, 560}},
        {VLM_BF16, 2, 14, 256, 64, 90, 3, false, {5, 2}, {300, 66}},
        {VLM_BF16, 1, 5, 34, 16, 0, 0, true, {40}, {55}},
        {VLM_BF16, 1, 200, 8, 32, 0, 0, false, {2}, {70}},
    };
    static const segment_case segment_cases[] = {
        {VLM_PRODUCTS_F32, 2, 2, 64, 0, false, {0, 50, 51, 130}, {0}},
        {VLM_PRODUCTS_F32, 3, 1, 80, 0, false, {0, 1, 1, 77}, {0}},
        {VLM_PRODUCTS_F32, 2, 1, 33, 20, true, {0, 9, 30, 41}, {0, 200, 200, 217}},
        {VLM_PRODUCTS_BF16, 2, 2, 72, 0, false, {0, 60, 61, 120}, {0}},
        {VLM_PRODUCTS_BF16, 1, 1, 33, 9, true, {0, 9, 30, 41}, {0, 40, 40, 57}},
        {VLM_PRODUCTS_F32, 1, 1, 128, 0, false, {0, 260, 300, 303}, {0}},
        {VLM_PRODUCTS_INT16, 2, 2, 80, 0, false, {0, 60, 61, 330}, {0}},
        {VLM_PRODUCTS_INT16, 3, 1, 33, 0, true, {0, 9, 30, 41}, {0, 400, 400, 417}},
        {VLM_PRODUCTS_BF16, 1, 1, 80, 0, true, {0, 17, 50, 1100}, {0, 600, 601, 690}},
        {VLM_PRODUCTS_BF16, 2, 1, 256, 0, false, {0, 33, 49, 99}, {0}},
    };
    seed(4000);
    for (size_t i = 0; i < sizeof paged_cases / sizeof *paged_cases; i++) check_paged(paged_cases + i);
    for (size_t i = 0; i < sizeof segment_cases / sizeof *segment_cases; i++) check_segments(segment_cases + i);
}
