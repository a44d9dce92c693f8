// Linear layers of every kind, and the forms of rows that they read.
#include "cross.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    vlm_linear_kind kind;
    int64_t rows, inputs, outputs, group;
    vlm_activation activation;
    bool has_residual;
} shape;

typedef struct {
    shape s;
    float *x, *bias, *residual, *y, *generic;
    uint8_t *weight, *packed, *memory;
    char name[96];
} layer;

static const char *const areas[VLM_LINEAR_KINDS] = {
    "linear_bf16_f32", "linear_bf16_bf16", "linear_f32_f32", "linear_int4_f32", "linear_int4_int8", "linear_f8_f32",
    "linear_f4_f32", "linear_f8_bf16", "linear_f4_int8", "linear_int8_f32", "linear_int8_int8", "linear_bf16_int16",
};

static bool is_same_everywhere(vlm_linear_kind kind) {
    return kind == VLM_LINEAR_INT8_INT8 || kind == VLM_LINEAR_F4_INT8 || kind == VLM_LINEAR_BF16_INT16;
}

// A byte of each code; `code` ≥ 0: this one.
static uint8_t *codes(int64_t count, int code, int most) {
    uint8_t *x = guarded((size_t)count, false);
    for (int64_t i = 0; i < count; i++) x[i] = (uint8_t)(code >= 0 ? code : dice(0, most));
    return x;
}

static void pack_int4(const layer *l, int code, int zero) {
    const int64_t groups = l->s.outputs * (l->s.inputs / l->s.group);
    uint16_t *scales = guarded((size_t)groups * 2, false);
    for (int64_t i = 0; i < groups; i++) scales[i] = (uint16_t)(code >= 0 ? 0x3c00 : dice(0x1400, 0x2e00));
    const vlm_pack_int4_args a = {.outputs = l->s.outputs, .inputs = l->s.inputs, .group = l->s.group, .count = l->s.outputs, .scales = scales,
                                  .q = codes(l->s.outputs * l->s.inputs, code, 15), .zeros = codes(groups, zero, 15), .packed = l->weight};
    expect_ok(vlm_pack_int4(&a), 0, l->name);
}

static void pack_int8(const layer *l, int code, int zero) {
    const int64_t groups = l->s.outputs * (l->s.inputs / l->s.group);
    uint16_t *zeros = guarded((size_t)groups * 2, false);
    for (int64_t i = 0; i < groups; i++) zeros[i] = (uint16_t)(zero >= 0 ? zero : dice(0, 256));
    const vlm_pack_int8_args a = {.outputs = l->s.outputs, .inputs = l->s.inputs, .group = l->s.group, .count = l->s.outputs, .zeros = zeros,
                                  .codes = codes(l->s.outputs * l->s.inputs, code, 255), .packed = l->weight,
                                  .scales = code >= 0 ? floats(groups, 1, 1) : floats(groups, 0.0001f, 0.01f)};
    expect_ok(vlm_pack_int8(&a), 0, l->name);
}

static void pack_f8(const layer *l, int code) {
    const int64_t groups = l->s.outputs * ((l->s.inputs + l->s.group - 1) / l->s.group);
    uint8_t *bytes = codes(l->s.outputs * l->s.inputs, code, 255);
    for (int64_t i = 0; i < l->s.outputs * l->s.inputs; i++)
        if ((bytes[i] & 0x7f) == 0x7f) bytes[i]--;
    const vlm_pack_f8_args a = {.outputs = l->s.outputs, .inputs = l->s.inputs, .group = l->s.group, .count = l->s.outputs, .codes = bytes,
                                .scales = floats(groups, 0.00001f, 0.001f), .packed = l->weight};
    expect_ok(vlm_pack_f8(&a), 0, l->name);
}

// `scale` < 0: scales near 1, in all of the format's fractions, of which a few are tiny or far greater.
static void pack_f4(const layer *l, int code, int scale) {
    const int64_t groups = l->s.outputs * (l->s.inputs / l->s.group);
    uint8_t *scales = codes(groups, scale, 255);
    for (int64_t i = 0; scale < 0 && i < groups; i++) {
        const bool is_odd = dice(0, 9) == 0;
        scales[i] = (uint8_t)(l->s.group == 16 ? (is_odd ? dice(0, 0x7e) : dice(0x30, 0x48)) : is_odd ? dice(90, 160) : dice(122, 130));
    }
    const vlm_pack_f4_args a = {.outputs = l->s.outputs, .inputs = l->s.inputs, .group = l->s.group, .count = l->s.outputs, .scales = scales,
                                .codes = codes(l->s.outputs * l->s.inputs / 2, code, 255), .packed = l->weight,
                                .output_scales = code >= 0 ? floats(l->s.outputs, 1, 1) : floats(l->s.outputs, 0.001f, 0.1f)};
    expect_ok(vlm_pack_f4(&a), 0, l->name);
}

// `code` ≥ 0: all this, or for 2 all −1.
static void pack_rows(const layer *l, int code) {
    const float least = code < 0 || code == 2 ? -1 : (float)code, most = code < 0 ? 1 : least;
    const vlm_pack_rows_args a = {.format = vlm_linear_format(l->s.kind), .source_type = VLM_F32, .outputs = l->s.outputs, .inputs = l->s.inputs,
                                  .count = l->s.outputs, .source = floats(l->s.outputs * l->s.inputs, least, most), .source_stride = l->s.inputs,
                                  .packed = l->weight};
    expect_ok(vlm_pack_rows(&a), 0, l->name);
}

// Random weights, or all of one code and zero (of F4: scale).
static void pack(const layer *l, int code, int zero) {
    switch (vlm_linear_format(l->s.kind)) {
        case VLM_WEIGHT_INT4: pack_int4(l, code, zero); break;
        case VLM_WEIGHT_INT8: pack_int8(l, code, zero); break;
        case VLM_WEIGHT_F8: pack_f8(l, code); break;
        case VLM_WEIGHT_F4: pack_f4(l, code, zero); break;
        default: pack_rows(l, code); break;
    }
}

static layer make(shape s, int code, int zero) {
    layer l = {.s = s};
    const int rows = vlm_linear_rows(s.kind);
    snprintf(l.name, sizeof l.name, "%s %lld×%lld→%lld group %lld activation %d", areas[s.kind], (long long)s.rows, (long long)s.inputs,
             (long long)s.outputs, (long long)s.group, (int)s.activation);
    l.x = floats(s.rows * s.inputs, -1, 1);
    l.bias = floats(s.outputs, -1, 1);
    l.residual = floats(s.rows * s.outputs, -1, 1);
    l.y = guarded((size_t)(s.rows * s.outputs) * 4, false);
    l.generic = guarded((size_t)(s.rows * s.outputs) * 4, false);
    l.weight = guarded(vlm_weight_bytes(vlm_linear_format(s.kind), s.outputs, s.inputs, s.group), true);
    l.packed = rows < 0 ? NULL : guarded((size_t)s.rows * vlm_row_bytes((vlm_row_format)rows, s.inputs, s.group), true);
    l.memory = guarded(vlm_linear_scratch_bytes(), true);
    pack(&l, code, zero);
    return l;
}

static vlm_linear_args arguments(const layer *l) {
    return (vlm_linear_args){.kind = l->s.kind, .activation = l->s.activation, .rows = l->s.rows, .inputs = l->s.inputs, .outputs = l->s.outputs,
                             .group = l->s.group, .x = l->x, .x_stride = l->s.inputs, .packed = l->packed, .weight = l->weight, .bias = l->bias,
                             .residual = l->s.has_residual ? l->residual : NULL, .residual_stride = l->s.outputs, .y = l->y,
                             .y_stride = l->s.outputs};
}

static void pack_x(const layer *l, int64_t rows, int set) {
    if (!l->packed) return;
    const vlm_pack_activations_args a = {.format = (vlm_row_format)vlm_linear_rows(l->s.kind), .rows = rows, .inputs = l->s.inputs,
                                         .group = l->s.group, .x = l->x, .x_stride = l->s.inputs, .packed = l->packed};
    expect_ok(vlm_pack_activations(&a, 0, rows / 2, sets[set].isa), set, l->name);
    expect_ok(vlm_pack_activations(&a, rows / 2, rows, sets[set].isa), set, l->name);
}

// In two ranges of items; y is the result.
static void run(const layer *l, int64_t rows, bool is_far, int set) {
    vlm_linear_args a = arguments(l);
    a.rows = rows;
    a.is_far = is_far;
    const int64_t items = vlm_linear_items(&a, sets[set].isa), middle = items / 3;
    memset(l->y, 0xff, (size_t)(l->s.rows * l->s.outputs) * 4);
    pack_x(l, rows, set);
    expect_ok(vlm_linear(&a, middle, items, l->memory, sets[set].isa), set, l->name);
    expect_ok(vlm_linear(&a, 0, middle, l->memory, sets[set].isa), set, l->name);
}

// Every set against generic, for near and for far memory, which are the same.
static void compare(const layer *l, double tolerance) {
    const int64_t count = l->s.rows * l->s.outputs;
    float *far = guarded((size_t)count * 4, false);
    for (int set = 0; set < set_count; set++) {
        run(l, l->s.rows, false, set);
        if (set == 0) memcpy(l->generic, l->y, (size_t)count * 4);
        memcpy(far, l->y, (size_t)count * 4);
        if (set > 0) run(l, l->s.rows, true, set);
        expect_near(set, l->name, l->y, far, count, 0);
        expect_near(set, l->name, l->y, l->generic, count, tolerance);
        digest_floats(areas[l->s.kind], set, l->y, count);
    }
}

static int64_t group_of(vlm_linear_kind kind) {
    switch (vlm_linear_format(kind)) {
        case VLM_WEIGHT_INT4: case VLM_WEIGHT_INT8: return (int64_t)32 << dice(0, 2);
        case VLM_WEIGHT_F4: return (int64_t)16 << dice(0, 1);
        default: return (int64_t)16 << dice(0, 3);
    }
}

static shape random_shape(vlm_linear_kind kind, int64_t rows) {
    const vlm_weight_format format = vlm_linear_format(kind);
    const bool is_whole = format == VLM_WEIGHT_INT4 || format == VLM_WEIGHT_INT8 || format == VLM_WEIGHT_F4;
    shape s = {.kind = kind, .rows = rows, .group = group_of(kind), .outputs = dice(1, 100), .has_residual = dice(0, 1)};
    s.activation = dice(0, 2) ? VLM_ACTIVATION_NONE : (vlm_activation)dice(0, VLM_ACTIVATIONS - 1);
    s.inputs = is_whole ? s.group * dice(1, rows < 20 ? 12 : 3) : dice(1, rows < 20 ? 900 : 200);
    // Rows of 8-bit weights may have one scale.
    if (format == VLM_WEIGHT_INT8 && rows % 2 == 1) s.group = s.inputs += 16;
    return s;
}

static void check_shapes(vlm_linear_kind kind) {
    static const int64_t rows[] = {1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 16, 17, 24, 25, 37, 50, 200, 530};
    seed(kind + 7);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const shape s = random_shape(kind, rows[i]);
        layer l = make(s, -1, -1);
        compare(&l, is_same_everywhere(kind) && s.activation == VLM_ACTIVATION_NONE ? 0 : 2e-5);
        release_all();
    }
    // Several blocks of rows; several of inputs; more panels than have their sums in scratch at once.
    static const int64_t blocks[][3] = {{197, 128, 40}, {27, 1152, 40}, {27, 128, 290}, {45, 1152, 40}, {33, 128, 600}};
    for (int i = 0; i < 5; i++) {
        const int64_t group = vlm_linear_format(kind) == VLM_WEIGHT_F4 ? 16 : 64;
        layer l = make((shape){.kind = kind, .rows = blocks[i][0], .inputs = blocks[i][1], .outputs = blocks[i][2], .group = group}, -1, -1);
        compare(&l, is_same_everywhere(kind) ? 0 : 2e-5);
        release_all();
    }
}

// Rows with numbers that are not finite, or very great or small, and those beside them.
static void check_extremes(vlm_linear_kind kind) {
    seed(kind + 70);
    layer l = make((shape){.kind = kind, .rows = extreme_count + 3, .inputs = 256, .outputs = 40, .group = 32}, -1, -1);
    for (int i = 0; i < extreme_count; i++) l.x[(i + 1) * l.s.inputs + 5 * i] = extremes[i];
    for (int set = 0; set < set_count; set++) {
        run(&l, l.s.rows, false, set);
        if (set == 0) memcpy(l.generic, l.y, (size_t)(l.s.rows * l.s.outputs) * 4);
        for (int64_t t = 0; t < l.s.rows; t++) {
            const float *y = l.y + t * l.s.outputs, *expected = l.generic + t * l.s.outputs;
            // Sums that leave the range of f32 on their way do not end the same.
            if (t > 0 && t <= extreme_count && isfinite(extremes[t - 1]) && fabsf(extremes[t - 1]) > 1e35f) continue;
            expect_near(set, l.name, y, expected, l.s.outputs, is_same_everywhere(kind) ? 0 : 2e-5);
            digest_floats(areas[kind], set, y, l.s.outputs);
        }
    }
    release_all();
}

// Every product and every sum of products is as far from zero as it can be: whole numbers, so all versions have the same bits.
static void check_room(vlm_linear_kind kind, int64_t inputs, int64_t group, int code, int zero) {
    seed(1);
    layer l = make((shape){.kind = kind, .rows = inputs > 1024 ? 3 : 7, .inputs = inputs, .outputs = 33, .group = group}, code, zero);
    for (int64_t i = 0; i < l.s.rows * inputs; i++) l.x[i] = i / inputs % 2 == 0 ? 127 : -127;
    compare(&l, is_same_everywhere(kind) ? 0 : 1e-6);
    release_all();
}

static void check_rooms(void) {
    static const int eight[][2] = {{255, 0}, {0, 256}, {255, 255}, {0, 0}, {255, 128}, {1, 128}}, four[][2] = {{15, 0}, {0, 15}, {15, 15}, {0, 0}};
    static const int64_t sizes[][2] = {{64, 32}, {256, 128}, {656, 656}};
    for (size_t i = 0; i < sizeof eight / sizeof *eight; i++)
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) check_room(VLM_LINEAR_INT8_INT8, sizes[j][0], sizes[j][1], eight[i][0], eight[i][1]);
    for (int i = 0; i < 2; i++) check_room(VLM_LINEAR_INT8_INT8, 1 << 16, 1 << 16, eight[i][0], eight[i][1]);
    for (size_t i = 0; i < sizeof four / sizeof *four; i++)
        for (int64_t group = 32; group <= 128; group *= 2) check_room(VLM_LINEAR_INT4_INT8, 2 * group, group, four[i][0], four[i][1]);
    for (int64_t inputs = 1; inputs < 600; inputs += 85)
        for (int i = 0; i < 3; i++) check_room(VLM_LINEAR_BF16_INT16, inputs, 0, i, 0);
    static const int codes[] = {0x77, 0xff, 0}, sixteen[] = {0x38, 0x7e, 0xfe, 1, 0}, thirty_two[] = {127, 160, 1, 0, 254, 255};
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 5; j++) check_room(VLM_LINEAR_F4_INT8, 160, 16, codes[i], sixteen[j]);
        for (int j = 0; j < 6; j++) check_room(VLM_LINEAR_F4_INT8, 160, 32, codes[i], thirty_two[j]);
    }
}

// A row is the same bits among any number of rows; the residual may be the result.
static void check_rows(vlm_linear_kind kind) {
    const vlm_weight_format format = vlm_linear_format(kind);
    const int64_t group = format == VLM_WEIGHT_F4 ? 16 : 64, most = 70;
    seed(kind + 300);
    layer l = make((shape){.kind = kind, .rows = most, .inputs = 192, .outputs = 70, .group = group, .has_residual = true}, -1, -1);
    for (int set = 0; set < set_count; set++) {
        run(&l, most, false, set);
        memcpy(l.generic, l.y, (size_t)(most * l.s.outputs) * 4);
        for (int64_t rows = 1; rows < most; rows += rows < 13 ? 1 : rows < 30 ? 6 : 9) {
            run(&l, rows, rows % 2, set);
            expect_near(set, l.name, l.y, l.generic, rows * l.s.outputs, 0);
        }
        vlm_linear_args a = arguments(&l);
        a.residual = l.y;
        memcpy(l.y, l.residual, (size_t)(most * l.s.outputs) * 4);
        pack_x(&l, most, set);
        expect_ok(vlm_linear(&a, 0, vlm_linear_items(&a, sets[set].isa), l.memory, sets[set].isa), set, l.name);
        expect_near(set, "residual in place", l.y, l.generic, most * l.s.outputs, 0);
    }
    release_all();
}

// int4 over int8 is the same bits on every set with vectors.
static void check_vectors_of_int4(void) {
    seed(17);
    for (int64_t rows = 1; rows < 40; rows += 3) {
        shape s = random_shape(VLM_LINEAR_INT4_INT8, rows);
        s.activation = VLM_ACTIVATION_NONE;
        layer l = make(s, -1, -1);
        for (int set = 1; set < set_count; set++) {
            run(&l, rows, false, set);
            if (set == 1) memcpy(l.generic, l.y, (size_t)(rows * s.outputs) * 4);
            else expect_near(set, l.name, l.y, l.generic, rows * s.outputs, 0);
        }
        release_all();
    }
}

void check_linear(void) {
    for (int kind = 0; kind < VLM_LINEAR_KINDS; kind++) {
        check_shapes((vlm_linear_kind)kind);
        check_extremes((vlm_linear_kind)kind);
        check_rows((vlm_linear_kind)kind);
    }
    check_rooms();
    check_vectors_of_int4();
}

// Rows in each form are the same bytes on every set.
void check_packing(void) {
    static const char *const names[VLM_ROW_FORMATS] = {"rows_bf16", "rows_int8", "rows_int8_blocks", "rows_int16_blocks"};
    for (int i = 0; i < 3 * VLM_ROW_FORMATS * 6; i++) {
        const int format = i % VLM_ROW_FORMATS;
        seed(900 + (uint64_t)i);
        const int64_t group = 16 * dice(1, 9), inputs = format == VLM_ROWS_BF16 ? dice(1, 300) : format == VLM_ROWS_INT16_BLOCKS ? dice(1, 700) : format == VLM_ROWS_INT8 ? group * dice(1, 5) : 16 * dice(1, 40);
        const int64_t rows = 5;
        float *x = floats(rows * inputs, -3, 3);
        if (i % 2) for (int64_t j = 0; j < rows * inputs; j += dice(1, 40)) x[j] = extremes[dice(0, extreme_count - 1)];
        const size_t bytes = (size_t)rows * vlm_row_bytes((vlm_row_format)format, inputs, group);
        uint8_t *first = guarded(bytes, true);
        for (int set = 0; set < set_count; set++) {
            uint8_t *packed = set ? guarded(bytes, true) : first;
            const vlm_pack_activations_args a = {.format = (vlm_row_format)format, .rows = rows, .inputs = inputs, .group = group, .x = x,
                                                 .x_stride = inputs, .packed = packed};
            expect_ok(vlm_pack_activations(&a, 0, 2, sets[set].isa), set, names[format]);
            expect_ok(vlm_pack_activations(&a, 2, rows, sets[set].isa), set, names[format]);
            expect_bytes(set, names[format], packed, first, bytes);
            digest_bytes(names[format], set, packed, bytes);
        }
        release_all();
    }
}
