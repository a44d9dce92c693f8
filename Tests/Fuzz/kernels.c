// A libFuzzer target for the checks of kernels' arguments; `make fuzz` builds it with ASan and UBSan and runs it for a minute.
//
// Sizes, ranges, indices and enum values are the input's. Every buffer is as large as the contract says for them, to the
// byte, so that a kernel which takes what it should refuse reads or writes outside.
#include "vlm_attention.h"
#include "vlm_kernels.h"
#include "vlm_recurrence.h"
#include "vlm_screen.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const uint8_t *data;
    size_t size;
} source;

static uint8_t byte(source *s) {
    if (s->size == 0) return 0;
    s->size--;
    return *s->data++;
}

// Mostly a size that a kernel takes, sometimes any number.
static int64_t number(source *s, int64_t usual) {
    static const int64_t odd[] = {-1, 0, INT64_MIN, INT64_MAX, INT64_C(1) << 31, INT64_C(1) << 32, -(INT64_C(1) << 31), INT64_C(1) << 50};
    uint8_t kind = byte(s);
    if (kind >= 250) return odd[byte(s) % 8];
    return usual > 0 ? kind % (usual + 1) : 0;
}

static int64_t pick(source *s, const int64_t *values, int count) {
    int64_t other = number(s, 3);
    return other == 3 ? number(s, 255) : values[byte(s) % count];
}

static vlm_isa isa_of(source *s) {
    static const vlm_isa sets[] = {0, 1, 3, 7, 11, 15, 17, 32, 96, 143};
    return sets[byte(s) % 10] & vlm_cpu_features();
}

enum { BYTES_MAX = 1 << 22, BUFFERS_MAX = 16 };
static void *buffers[BUFFERS_MAX];
static int buffer_count;

// A buffer of `count` elements, ended by the sanitizer's guard; NULL where the shape is more than is worth trying.
static void *buffer(source *s, int64_t count, size_t element) {
    if (count < 0 || count > BYTES_MAX / (int64_t)element || buffer_count == BUFFERS_MAX) return NULL;
    size_t size = (size_t)count * element, padded = (size + 63) / 64 * 64;
    // Aligned at its beginning, exact at its end.
    uint8_t *bytes = aligned_alloc(64, padded == 0 ? 64 : padded);
    if (!bytes) return NULL;
    buffers[buffer_count++] = bytes;
    memset(bytes, byte(s) % 3, padded == 0 ? 64 : padded);
    return bytes;
}

// Like `buffer`, with no byte behind the last.
static void *exact(source *s, int64_t count, size_t element) {
    if (count < 0 || count > BYTES_MAX / (int64_t)element || buffer_count == BUFFERS_MAX) return NULL;
    uint8_t *bytes = malloc((size_t)count * element + (count == 0));
    if (!bytes) return NULL;
    buffers[buffer_count++] = bytes;
    memset(bytes, byte(s) % 3, (size_t)count * element);
    return bytes;
}

static int32_t *indices(source *s, int64_t count, int64_t usual) {
    int32_t *values = exact(s, count, sizeof *values);
    for (int64_t i = 0; values && i < count; i++) values[i] = (int32_t)number(s, usual);
    return values;
}

// The product of sizes: 0 where one is negative, which is to be refused before anything is read; -1 for more than a buffer holds.
static int64_t product(int64_t a, int64_t b, int64_t c) {
    if (a <= 0 || b <= 0 || c <= 0) return 0;
    return a > BYTES_MAX / b || a * b > BYTES_MAX / c ? -1 : a * b * c;
}

static const int64_t groups[] = {32, 64, 128, 16};

static void linear(source *s) {
    vlm_linear_args a = {.kind = (vlm_linear_kind)number(s, 12), .activation = (vlm_activation)number(s, 6)};
    a.rows = number(s, 17), a.inputs = byte(s) % 2 ? groups[byte(s) % 3] * (1 + byte(s) % 3) : number(s, 200);
    a.outputs = number(s, 100), a.group = byte(s) % 8 ? pick(s, groups, 4) : a.inputs;
    a.x_stride = a.inputs, a.y_stride = a.residual_stride = a.outputs;
    int64_t begin = number(s, 4), end = number(s, 5), first = number(s, 17), last = number(s, 17);
    size_t weight = vlm_weight_bytes(vlm_linear_format(a.kind), a.outputs, a.inputs, a.group);
    if (weight > BYTES_MAX || a.rows > 64) return;
    a.weight = buffer(s, (int64_t)weight, 1);
    a.x = exact(s, product(a.rows, a.inputs, 1), sizeof(float));
    a.y = exact(s, product(a.rows, a.outputs, 1), sizeof(float));
    // A shape that is refused is refused before anything is read.
    if (weight != 0 && (!a.weight || (a.rows > 0 && (!a.x || !a.y)))) return;
    if (byte(s) % 2 && a.outputs > 0) a.bias = exact(s, a.outputs, sizeof(float));
    if (byte(s) % 2) a.residual = a.y;
    a.is_far = byte(s) % 2;
    vlm_isa isa = isa_of(s);
    if (byte(s) % 4 == 0) {
        a.is_gated = true;
        a.y_stride = a.outputs / 2;
        if (weight != 0 && a.rows > 0 && a.residual != a.y) a.y += a.rows * (a.outputs - a.y_stride);
    }
    vlm_pack_activations_args rows = {
        .format = (vlm_row_format)vlm_linear_rows(a.kind), .rows = a.rows, .inputs = a.inputs, .group = a.group, .x = a.x, .x_stride = a.x_stride};
    int64_t packed = weight == 0 || byte(s) % 8 == 0 ? 0 : product(a.rows, (int64_t)vlm_row_bytes(rows.format, a.inputs, a.group), 1);
    if (packed > 0) a.packed = rows.packed = buffer(s, packed, 1);
    if (rows.packed) {
        vlm_pack_activations(&rows, first, last, isa);
        vlm_pack_activations(&rows, 0, a.rows, isa);
    }
    void *scratch = buffer(s, (int64_t)vlm_linear_scratch_bytes(), 1);
    if (scratch) vlm_linear(&a, begin, end, scratch, isa);
}

static void pack(source *s) {
    int64_t outputs = number(s, 100), inputs = number(s, 100), first = number(s, 40), count = number(s, 70);
    vlm_pack_rows_args rows = {
        .format = (vlm_weight_format)number(s, 3), .source_type = (vlm_dtype)number(s, 3), .outputs = outputs, .inputs = inputs,
        .first = first, .count = count, .source_stride = inputs};
    size_t bytes = vlm_weight_bytes(rows.format, outputs, inputs, 0);
    int64_t values = product(count, inputs, 1);
    if (bytes > BYTES_MAX) return;
    rows.packed = bytes ? buffer(s, (int64_t)bytes, 1) : NULL;
    rows.source = exact(s, values, rows.source_type == VLM_F32 ? 4 : 2);
    if (values > 0 && bytes && (!rows.source || !rows.packed)) return;
    if (vlm_pack_rows(&rows) != VLM_OK || bytes == 0) return;
    vlm_unpack_panels_args panels = {
        .format = rows.format, .outputs = outputs, .inputs = inputs, .packed = rows.packed, .first = number(s, 4), .count = number(s, 4),
        .y_stride = 128};
    int64_t begin = number(s, 100), end = number(s, 100);
    panels.y = exact(s, product(end > begin && begin >= 0 ? end - begin : 0, 128, 1), sizeof(float));
    if (panels.y && (panels.count < 0 || panels.count <= 4)) vlm_unpack_panels(&panels, begin, end);
}

static void pack_floats(source *s) {
    const int is_f4 = byte(s) % 2;
    const int64_t outputs = number(s, 100), group = pick(s, groups, 4), inputs = byte(s) % 2 ? 16 * (byte(s) % 20) : number(s, 300);
    const int64_t first = number(s, 40), count = number(s, 70);
    size_t bytes = vlm_weight_bytes(is_f4 ? VLM_WEIGHT_F4 : VLM_WEIGHT_F8, outputs, inputs, group);
    if (bytes > BYTES_MAX) return;
    int64_t parts = bytes && group > 0 ? (inputs + group - 1) / group : 0;
    void *packed = bytes ? buffer(s, (int64_t)bytes, 1) : NULL;
    void *codes = exact(s, product(count, is_f4 ? inputs / 2 : inputs, 1), 1);
    void *scales = exact(s, product(count, parts, 1), is_f4 ? 1 : sizeof(float));
    float *output_scales = exact(s, product(count, 1, 1), sizeof(float));
    if (bytes != 0 && count > 0 && (!codes || !scales || !output_scales || !packed)) return;
    vlm_pack_f8_args f8 = {.outputs = outputs, .inputs = inputs, .group = group, .first = first, .count = count, .codes = codes, .scales = scales, .packed = packed};
    vlm_pack_f4_args f4 = {.outputs = outputs, .inputs = inputs, .group = group, .first = first, .count = count, .codes = codes, .scales = scales,
                           .output_scales = output_scales, .packed = packed};
    if (is_f4) vlm_pack_f4(&f4);
    else vlm_pack_f8(&f8);
}

static void pack_int8(source *s) {
    int64_t group = pick(s, groups, 4), inputs = group > 0 && group < 256 ? group * (byte(s) % 4) : number(s, 200);
    if (byte(s) % 3 == 0) group = inputs;
    vlm_pack_int8_args a = {.outputs = number(s, 100), .inputs = inputs, .group = group, .first = number(s, 40), .count = number(s, 70)};
    size_t bytes = vlm_weight_bytes(VLM_WEIGHT_INT8, a.outputs, a.inputs, a.group);
    if (bytes > BYTES_MAX) return;
    int64_t parts = bytes ? a.inputs / a.group : 0;
    a.packed = bytes ? buffer(s, (int64_t)bytes, 1) : NULL;
    a.codes = exact(s, product(a.count, a.inputs, 1), 1);
    a.scales = exact(s, product(a.count, parts, 1), sizeof(float)), a.zeros = exact(s, product(a.count, parts, 1), 2);
    if (bytes == 0 || a.count <= 0 || (a.codes && a.scales && a.zeros && a.packed)) vlm_pack_int8(&a);
}

static void pack_int4(source *s) {
    int64_t group = pick(s, groups, 3), inputs = group > 0 && group < 256 ? group * (byte(s) % 4) : number(s, 200);
    int64_t outputs = number(s, 100), first = number(s, 40), count = number(s, 70);
    size_t bytes = vlm_weight_bytes(VLM_WEIGHT_INT4, outputs, inputs, group);
    if (bytes > BYTES_MAX) return;
    int64_t parts = bytes ? inputs / group : 0;
    void *packed = bytes ? buffer(s, (int64_t)bytes, 1) : NULL;
    vlm_pack_int4_args plain = {.outputs = outputs, .inputs = inputs, .group = group, .first = first, .count = count, .packed = packed};
    plain.q = exact(s, product(count, inputs, 1), 1);
    plain.scales = exact(s, product(count, parts, 1), 2), plain.zeros = exact(s, product(count, parts, 1), 1);
    if (bytes == 0 || count <= 0 || (plain.q && plain.scales && plain.zeros && packed)) vlm_pack_int4(&plain);
    vlm_pack_awq_args awq = {.outputs = outputs, .inputs = inputs, .group = group, .first = first, .packed = packed};
    awq.source_outputs = 8 * (byte(s) % 17) + (byte(s) % 8 == 0), awq.source_begin = number(s, 60), awq.source_end = number(s, 128);
    awq.qweight = exact(s, product(inputs, awq.source_outputs / 8, 1), 4);
    awq.qzeros = exact(s, product(parts, awq.source_outputs / 8, 1), 4), awq.scales = exact(s, product(parts, awq.source_outputs, 1), 2);
    if (bytes == 0 || (awq.qweight && awq.qzeros && awq.scales && packed)) vlm_pack_awq(&awq);
    pack_floats(s);
    pack_int8(s);
}

static void rows(source *s) {
    int64_t count = byte(s) % 20, begin = byte(s) % 21, end = byte(s) % 21;
    if (begin > count || end > count) return;
    vlm_rows_args a = {.columns = byte(s) % 40, .x_rows = byte(s) % 20};
    a.x_stride = a.a_stride = a.y_stride = a.columns;
    a.x = exact(s, a.x_rows * a.columns, sizeof(float)), a.a = exact(s, count * a.columns, sizeof(float));
    a.y = exact(s, count * a.columns, sizeof(float)), a.index = indices(s, count, 20);
    if (!a.x || !a.a || !a.y || !a.index) return;
    vlm_gather_rows(&a, begin, end, 0);
    vlm_select_rows(&a, begin, end, 0);
    vlm_columns_args c = {.columns = byte(s) % 40, .x_columns = a.columns, .x_stride = a.columns};
    c.x = exact(s, count * a.columns, sizeof(float)), c.y = exact(s, count * c.columns, sizeof(float));
    c.y_stride = c.columns, c.index = indices(s, c.columns, 40);
    if (!c.x || !c.y || !c.index) return;
    vlm_gather_columns(&c, begin, end);
    vlm_unpack_rows_args unpack = {.format = (vlm_weight_format)number(s, 7), .outputs = number(s, 40), .inputs = number(s, 160)};
    unpack.group = pick(s, groups, 4), unpack.ids = a.index, unpack.y_stride = unpack.inputs;
    size_t bytes = vlm_weight_bytes(unpack.format, unpack.outputs, unpack.inputs, unpack.group);
    if (bytes > BYTES_MAX) return;
    unpack.packed = bytes ? buffer(s, (int64_t)bytes, 1) : NULL;
    unpack.y = bytes ? exact(s, product(count, unpack.inputs, 1), sizeof(float)) : NULL;
    if (bytes == 0 || (unpack.packed && unpack.y)) vlm_unpack_rows(&unpack, begin, end, 0);
}

static void attention(source *s) {
    static const int64_t sizes[] = {16, 32, 64, 128};
    vlm_kv_layout l = {.dtype = (vlm_dtype)number(s, 2), .kv_heads = number(s, 3), .head_dim = number(s, 40)};
    l.block_size = pick(s, sizes, 4);
    int64_t inside = product(l.head_dim, l.block_size, 1), all = product(l.kv_heads, l.head_dim, l.block_size);
    l.head_stride = inside, l.block_stride = all;
    vlm_paged_attention_args a = {.layout = l, .blocks = byte(s) % 6, .heads = number(s, 6), .scale = 0.5f, .sequences = byte(s) % 4};
    int64_t tokens = byte(s) % 20, cache = product(a.blocks, all, 1);
    size_t element = l.dtype == VLM_F32 ? 4 : 2;
    void *k_cache = buffer(s, cache, element), *v_cache = buffer(s, cache, element);
    int64_t columns = product(l.kv_heads, l.head_dim, 1);
    vlm_kv_write_args write = {.layout = l, .blocks = a.blocks, .k_stride = columns, .v_stride = columns};
    write.k_cache = k_cache, write.v_cache = v_cache;
    write.slots = indices(s, tokens, 90);
    write.k = write.v = exact(s, product(tokens, columns, 1), sizeof(float));
    if (!k_cache || !v_cache || !write.slots || !write.k || all < 0 || columns < 0 || inside < 0) return;
    vlm_kv_write(&write, 0, tokens, isa_of(s));
    a.table_stride = byte(s) % 6, a.k_cache = k_cache, a.v_cache = v_cache;
    int64_t width = product(a.heads, l.head_dim, 1);
    a.q_stride = a.y_stride = width;
    int32_t *start = indices(s, a.sequences, 6), *count = indices(s, a.sequences, 6);
    a.query_start = start, a.query_count = count, a.context_length = indices(s, a.sequences, byte(s) % 2 ? 60 : 640);
    a.block_table = indices(s, a.sequences * a.table_stride, 5);
    a.softcap = (float)number(s, 2), a.window = number(s, 40);
    int64_t need = 0;
    for (int64_t i = 0; start && count && i < a.sequences; i++)
        if (start[i] >= 0 && count[i] > 0 && (int64_t)start[i] + count[i] > need) need = (int64_t)start[i] + count[i];
    if (byte(s) % 2) a.reach = indices(s, need, 60);
    if (byte(s) % 2) a.partial_count = byte(s), a.partials = buffer(s, product(a.partial_count, (l.head_dim + 15) / 16 * 16 + 16, 4), 1);
    a.q = a.y = exact(s, product(need, width, 1), sizeof(float));
    size_t scratch_bytes = l.head_dim < 4096 && width >= 0 ? vlm_paged_attention_scratch_bytes(&l, a.heads) : BYTES_MAX + 1;
    void *scratch = buffer(s, (int64_t)scratch_bytes, 1);
    if (!a.q || !scratch || !a.query_start || !a.query_count || !a.context_length || !a.block_table) return;
    vlm_paged_attention(&a, number(s, 3), number(s, 8), scratch, isa_of(s));
    if (vlm_paged_attention(&a, 0, vlm_paged_attention_items(&a), scratch, isa_of(s)) != VLM_OK) return;
    vlm_paged_attention_merge(&a, number(s, 3), vlm_paged_attention_merges(&a), isa_of(s));
}

static void segments(source *s) {
    vlm_segment_attention_args a = {.heads = number(s, 4), .kv_heads = number(s, 4), .head_dim = number(s, 40), .scale = 0.5f};
    a.segments = byte(s) % 4;
    int32_t *offsets = exact(s, a.segments + 1, sizeof *offsets);
    if (!offsets) return;
    int32_t end = 0;
    for (int64_t i = 0; i <= a.segments; i++) offsets[i] = end, end += byte(s) % 40;
    a.softcap = (float)number(s, 2);
    a.products = (vlm_products)(byte(s) % 4);
    int64_t rows = offsets[a.segments], key_rows = rows;
    if (byte(s) % 2) {
        int32_t *keys = exact(s, a.segments + 1, sizeof *keys);
        if (!keys) return;
        end = 0;
        for (int64_t i = 0; i <= a.segments; i++) keys[i] = end, end += byte(s) % 40;
        a.key_offsets = keys, key_rows = keys[a.segments];
    }
    int64_t width = product(a.heads, a.head_dim, 1), kv_width = product(a.kv_heads, a.head_dim, 1);
    a.offsets = offsets, a.q_stride = a.y_stride = width, a.k_stride = a.v_stride = kv_width;
    a.q = exact(s, product(rows, width, 1), sizeof(float)), a.y = exact(s, product(rows, width, 1), sizeof(float));
    a.k = exact(s, product(key_rows, kv_width, 1), sizeof(float));
    a.v = exact(s, product(key_rows, kv_width, 1), sizeof(float));
    if (width < 0 || kv_width < 0 || a.head_dim > 4096) return;
    void *scratch = buffer(s, a.head_dim > 0 ? (int64_t)vlm_segment_attention_scratch_bytes(a.head_dim) : 0, 1);
    if (a.q && a.k && a.v && a.y && scratch) vlm_segment_attention(&a, number(s, 3), number(s, 8), scratch, isa_of(s));
}

static void recurrences(source *s) {
    vlm_sequences rows = {.rows = byte(s) % 12, .count = byte(s) % 4};
    rows.slots = indices(s, rows.rows, 4), rows.ordinals = indices(s, rows.rows, 3);
    vlm_short_convolution_args c = {.channels = number(s, 20), .taps = number(s, 5)};
    c.x_stride = c.y_stride = c.channels;
    int64_t kept = c.taps < 1 ? 0 : product(c.channels, c.taps - 1, 1), all = product(rows.rows, c.channels, 1);
    c.sequences = rows, c.sequences.state = exact(s, product(rows.count, kept, 1), sizeof(float));
    c.x = c.y = exact(s, all, sizeof(float)), c.weight = exact(s, product(c.channels, c.taps, 1), sizeof(float));
    if (!rows.slots || !rows.ordinals || !c.sequences.state || !c.y || !c.weight) return;
    vlm_short_convolution(&c, number(s, 20), number(s, 20));
    vlm_gated_delta_args d = {.key_heads = number(s, 3), .heads = number(s, 6), .key_dim = number(s, 9), .value_dim = number(s, 9)};
    int64_t keys = product(d.key_heads, d.key_dim, 1), values = product(d.heads, d.value_dim, 1);
    d.sequences = rows, d.sequences.state = exact(s, product(rows.count, values, d.key_dim), sizeof(float));
    d.q_stride = d.k_stride = keys, d.v_stride = d.y_stride = values, d.decay_stride = d.gain_stride = d.heads;
    d.q = d.k = exact(s, product(rows.rows, keys, 1), sizeof(float)), d.v = exact(s, product(rows.rows, values, 1), sizeof(float));
    d.y = exact(s, product(rows.rows, values, 1), sizeof(float));
    d.decay = d.gain = exact(s, product(rows.rows, d.heads, 1), sizeof(float));
    if (d.sequences.state && d.q && d.v && d.y && d.decay) vlm_gated_delta(&d, number(s, 6), number(s, 6));
}

static void screen(source *s) {
    vlm_screen_args a = {.rows = number(s, 9), .inputs = number(s, 200), .outputs = number(s, 100)};
    a.x_stride = a.inputs, a.y_stride = a.outputs;
    int64_t begin = number(s, 4), end = number(s, 5), first = number(s, 9), last = number(s, 9), panels = vlm_panels(a.outputs);
    size_t weight = vlm_weight_bytes(VLM_WEIGHT_SCREEN, a.outputs, a.inputs, 0);
    if (weight > BYTES_MAX || a.rows > 64) return;
    a.weight = buffer(s, (int64_t)weight, 1);
    a.coded = buffer(s, product(a.rows, (int64_t)vlm_screen_row_bytes(a.inputs), 1), 1);
    if (byte(s) % 2) a.x = exact(s, product(a.rows, a.inputs, 1), sizeof(float));
    else a.packed = buffer(s, product(a.rows, (int64_t)vlm_row_bytes(VLM_ROWS_BF16, a.inputs, 0), 1), 1);
    a.y = exact(s, product(a.rows, a.outputs, 1), sizeof(float));
    a.lower = exact(s, product(a.rows, panels, 1), sizeof(float)), a.upper = exact(s, product(a.rows, panels, 1), sizeof(float));
    if (weight != 0 && (!a.weight || !a.coded || !a.y || !a.lower || !a.upper || (!a.x && !a.packed))) return;
    vlm_isa isa = isa_of(s);
    vlm_screen_code(&a, first, last, isa);
    if (a.rows > 0 && weight != 0 && vlm_screen_code(&a, 0, a.rows, isa) != VLM_OK) return;
    vlm_screen(&a, begin, end, isa);
    if (weight == 0 || vlm_screen(&a, 0, panels, isa) != VLM_OK) return;
    vlm_screen_choice choice = {.rows = a.rows, .panels = panels, .lower = a.lower, .upper = a.upper};
    choice.wanted = indices(s, a.rows, 5), choice.reach = exact(s, a.rows, sizeof(float)), choice.chosen = exact(s, panels, sizeof(int32_t));
    if (choice.wanted && choice.reach && choice.chosen) vlm_screen_choose(&choice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static void (*const kernels[])(source *) = {linear, pack, pack_int4, rows, attention, segments, recurrences};
    source s = {data, size};
    uint8_t which = byte(&s);
    if (which == 255) screen(&s);
    else kernels[which % 7](&s);
    while (buffer_count > 0) free(buffers[--buffer_count]);
    return 0;
}
