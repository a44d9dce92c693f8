// Kernels of rows and of single numbers, adapters, and the rates that the machine is measured by.
#include "cross.h"

#include <string.h>

#include "vlm_adapters.h"

static const int64_t counts[] = {1, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 31, 100, 257};
enum { COUNTS = sizeof counts / sizeof *counts };

static void check_norm(int64_t columns, bool has_mean, bool has_add, bool is_affine) {
    const int64_t rows = 3, count = rows * columns;
    const float *x = floats(count, -1, 1);
    float *sum = guarded((size_t)count * 4, false), *y = guarded((size_t)count * 4, false), *generic = guarded((size_t)count * 4, false);
    const vlm_norm_args a = {.columns = columns, .eps = 1e-6f, .x = sum, .x_stride = columns, .add = has_add ? floats(count, -1, 1) : NULL,
        .add_stride = columns, .sum = has_add ? sum : NULL, .sum_stride = columns, .weight = is_affine ? floats(columns, -1, 1) : NULL,
        .bias = is_affine && has_mean ? floats(columns, -1, 1) : NULL, .y = y, .y_stride = columns};
    for (int set = 0; set < set_count; set++) {
        memcpy(sum, x, (size_t)count * 4);
        if (has_mean) vlm_layer_norm(&a, 0, rows, sets[set].isa);
        else vlm_rms_norm(&a, 0, rows, sets[set].isa);
        if (set == 0) memcpy(generic, y, (size_t)count * 4);
        expect_each_near(set, has_mean ? "layer_norm" : "rms_norm", y, generic, count, 2e-5);
        digest_floats("norms", set, y, count);
        digest_floats("norms", set, sum, count);
    }
    release_all();
}

// Numbers of a wide range with all extremes among them.
static float *wide(int64_t count, float most) {
    float *x = floats(count, -most, most);
    for (int64_t i = 0; i < count; i += dice(1, 9)) x[i] = extremes[dice(0, extreme_count - 1)];
    return x;
}

static void check_elements(int64_t count) {
    const float *x = wide(count, 12), *b = floats(count, -2, 2);
    float *y = guarded((size_t)count * 4, false), *generic = guarded((size_t)count * 4, false);
    for (int op = 0; op < VLM_ACTIVATIONS + 2; op++)
        for (int set = 0; set < set_count; set++) {
            memset(y, 0xff, (size_t)count * 4);
            if (op < VLM_ACTIVATIONS) vlm_activate((vlm_activation)op, x, y, 0, count, sets[set].isa);
            else if (op == VLM_ACTIVATIONS) vlm_exp(x, y, 0, count, sets[set].isa);
            else vlm_add(x, b, y, 0, count, sets[set].isa);
            if (set == 0) memcpy(generic, y, (size_t)count * 4);
            expect_each_near(set, op < VLM_ACTIVATIONS ? "activate" : "exp or add", y, generic, count, 2e-6);
            digest_floats("elements", set, y, count);
        }
    release_all();
}

static void check_gated(int64_t columns) {
    const int64_t rows = 3;
    float *y = guarded((size_t)(rows * columns) * 4, false), *generic = guarded((size_t)(rows * columns) * 4, false);
    vlm_gated_args a = {.columns = columns, .x = floats(2 * rows * columns, -8, 8), .x_stride = 2 * columns, .y = y, .y_stride = columns};
    for (int activation = 0; activation < VLM_ACTIVATIONS; activation++)
        for (int set = 0; set < set_count; set++) {
            a.activation = (vlm_activation)activation;
            vlm_gated(&a, 0, 1, sets[set].isa);
            vlm_gated(&a, 1, rows, sets[set].isa);
            if (set == 0) memcpy(generic, y, (size_t)(rows * columns) * 4);
            expect_near(set, "gated", y, generic, rows * columns, 2e-6);
            digest_floats("elements", set, y, rows * columns);
        }
    release_all();
}

static void check_conversions(int64_t count) {
    const float *x = wide(count, 3e38f);
    uint8_t *bytes = guarded((size_t)count, false);
    uint16_t *halves = guarded((size_t)count * 2, false), *first = guarded((size_t)count * 2, false);
    float *y = guarded((size_t)count * 4, false), *generic = guarded((size_t)count * 4, false);
    for (int64_t i = 0; i < count; i++) bytes[i] = (uint8_t)dice(0, 255);
    for (int set = 0; set < set_count; set++) {
        vlm_f32_to_bf16(x, halves, 0, count, sets[set].isa);
        if (set == 0) memcpy(first, halves, (size_t)count * 2);
        expect_bytes(set, "f32_to_bf16", halves, first, (size_t)count * 2);
        for (int of_bytes = 0; of_bytes < 2; of_bytes++) {
            if (of_bytes) vlm_u8_to_f32(bytes, y, 0, count, sets[set].isa);
            else vlm_bf16_to_f32(first, y, 0, count, sets[set].isa);
            if (set == 0) memcpy(generic + 0, y, (size_t)count * 4);
            for (int64_t i = 0; of_bytes && i < count; i++) generic[i] = bytes[i];
            if (of_bytes || set == 0) expect_near(set, "u8_to_f32", y, generic, count, 0);
            digest_floats("conversions", set, y, count);
        }
    }
    release_all();
}

static void check_rotary(void) {
    const int64_t rows = 7, pairs = 13, heads = 3, dim = 30;
    int32_t *positions = guarded((size_t)rows * 4, false);
    for (int64_t t = 0; t < rows; t++) positions[t] = (int32_t)dice(0, 100000);
    float *table[2], *y = guarded((size_t)(rows * heads * dim) * 4, false);
    for (int i = 0; i < 2; i++) table[i] = guarded((size_t)(rows * pairs) * 4, false);
    const vlm_rotary_table_args t = {.pairs = pairs, .positions = positions, .positions_stride = rows, .inv_freq = floats(pairs, 0, 1), .scale = 1.25f,
                                     .cos = table[0], .sin = table[1]};
    const vlm_rotary_args a = {.heads = heads, .head_dim = dim, .rotary_dim = 2 * pairs, .x = floats(rows * heads * dim, -1, 1),
                               .x_stride = heads * dim, .y = y, .y_stride = heads * dim, .cos = table[0], .sin = table[1]};
    for (int set = 0; set < set_count; set++) {
        vlm_rotary_table(&t, 0, rows, sets[set].isa);
        vlm_rotary(&a, 0, rows, sets[set].isa);
        for (int i = 0; i < 2; i++) digest_floats("rotary", set, table[i], rows * pairs);
        digest_floats("rotary", set, y, rows * heads * dim);
    }
    release_all();
}

static void check_adapter(int64_t rank, int64_t inputs, int64_t outputs) {
    const vlm_adapter adapter = {.rank = rank, .down = floats(rank * inputs, -1, 1), .up = floats(rank * outputs, -1, 1)};
    const float *x = floats(inputs, -1, 1), *before = floats(outputs, -1, 1);
    float *h = guarded((size_t)rank * 4, false), *y = guarded((size_t)outputs * 4, false), *generic[2];
    generic[0] = guarded((size_t)rank * 4, false);
    generic[1] = guarded((size_t)outputs * 4, false);
    for (int set = 0; set < set_count; set++) {
        expect_ok(vlm_adapter_down(&adapter, x, inputs, 0, rank / 2, h, sets[set].isa), set, "adapter_down");
        expect_ok(vlm_adapter_down(&adapter, x, inputs, rank / 2, rank, h, sets[set].isa), set, "adapter_down");
        if (set == 0) memcpy(generic[0], h, (size_t)rank * 4);
        expect_near(set, "adapter_down", h, generic[0], rank, 2e-5);
        digest_floats("adapters", set, h, rank);
        memcpy(y, before, (size_t)outputs * 4);
        expect_ok(vlm_adapter_up(&adapter, h, outputs, 0, outputs / 2, y, sets[set].isa), set, "adapter_up");
        expect_ok(vlm_adapter_up(&adapter, h, outputs, outputs / 2, outputs, y, sets[set].isa), set, "adapter_up");
        if (set == 0) memcpy(generic[1], y, (size_t)outputs * 4);
        expect_near(set, "adapter_up", y, generic[1], outputs, 2e-5);
        digest_floats("adapters", set, y, outputs);
    }
    release_all();
}

void check_rowwise(void) {
    seed(500);
    for (int i = 0; i < COUNTS; i++) {
        for (int form = 0; form < 8; form++) check_norm(counts[i], form & 1, form & 2, form & 4);
        check_elements(counts[i]);
        check_gated(counts[i]);
        check_conversions(counts[i]);
        check_adapter(1 + i, counts[i], counts[COUNTS - 1 - i]);
    }
    check_elements(4000);
    check_rotary();
}

// Each rate that a set can run, a little of it.
void check_rates(void) {
    enum { BYTES = 4096 };
    void *buffer = guarded(BYTES, true);
    for (int set = 0; set < set_count; set++)
        for (int rate = 0; rate < VLM_RATES; rate++) {
            const double work = vlm_rate_work((vlm_rate)rate, BYTES, sets[set].isa);
            if (work < 0 || (rate <= VLM_RATE_F32_FMA && work == 0)) fail(set, "rate %d does %g", rate, work);
            if (work > 0) vlm_rate_run((vlm_rate)rate, 3, buffer, BYTES, sets[set].isa);
        }
    release_all();
}
