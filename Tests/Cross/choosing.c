// What choosing a token asks of logits, and the screen of a wide layer.
#include "cross.h"

#include <math.h>
#include <string.h>

#include "vlm_screen.h"

static void check_rows_of(const float *x, int64_t count, const vlm_sampling_weights_args *rule) {
    const int64_t chunks = vlm_sampling_chunks(count), blocks = (count + VLM_SAMPLING_BLOCK - 1) / VLM_SAMPLING_BLOCK;
    float *y[2], *sums[2], *greatest[2];
    int32_t *places[2];
    for (int i = 0; i < 2; i++) {
        y[i] = guarded((size_t)count * 4, false);
        sums[i] = guarded((size_t)chunks * 4, false);
        greatest[i] = guarded((size_t)blocks * 4, false);
        places[i] = guarded((size_t)count * 4, false);
    }
    int64_t first = 0, found = 0;
    for (int set = 0; set < set_count; set++) {
        const int i = set > 0;
        const vlm_isa isa = sets[set].isa;
        vlm_sampling_weights_args a = *rule;
        a.x = x, a.count = count, a.y = y[i], a.sums = sums[i];
        memset(places[i], 0xff, (size_t)count * 4);
        vlm_sampling_weights(&a, 0, 1, isa);
        vlm_sampling_weights(&a, 1, chunks, isa);
        vlm_block_greatest(x, count, greatest[i], isa);
        const int64_t index = vlm_first_greatest(x, count, isa), holds = vlm_at_least(x, count, rule->limit, places[i], isa);
        if (set == 0) first = index, found = holds;
        if (index != first) fail(set, "first_greatest is %lld instead of %lld", (long long)index, (long long)first);
        if (holds != found) fail(set, "at_least finds %lld instead of %lld", (long long)holds, (long long)found);
        expect_bytes(set, "at_least", places[i], places[0], (size_t)count * 4);
        expect_near(set, "sampling_weights", y[i], y[0], count, 0);
        expect_near(set, "sums of weights", sums[i], sums[0], chunks, 0);
        expect_near(set, "block_greatest", greatest[i], greatest[0], blocks, 0);
        digest_floats("sampling", set, y[i], count);
        digest_floats("sampling", set, sums[i], chunks);
        digest_floats("sampling", set, greatest[i], blocks);
    }
}

void check_sampling(void) {
    static const int64_t counts[] = {1, 7, 8, 9, 33, 64, 100, 1023, 1024, 1025, 5000};
    static const vlm_sampling_weights_args rules[] = {
        {.temperature = 1, .limit = -INFINITY}, {.temperature = 0.3f, .limit = -5}, {.temperature = 1.7f, .limit = -INFINITY, .least = 0.01f},
        {.temperature = 1e-5f, .limit = -INFINITY}};
    seed(600);
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
        for (size_t r = 0; r < sizeof rules / sizeof *rules; r++) {
            vlm_sampling_weights_args rule = rules[r];
            float *x = floats(counts[c], -20, 20);
            for (int64_t i = 0; i < counts[c]; i += dice(1, 50)) x[i] = dice(0, 3) ? -INFINITY : dice(0, 1) ? NAN : -0.0f;
            // Several are the greatest.
            for (int64_t i = 0; i < counts[c]; i += dice(1, counts[c])) x[i] = 21;
            rule.top = 21;
            check_rows_of(x, counts[c], &rule);
            release_all();
        }
    float *nothing = floats(20, 0, 0);
    for (int i = 0; i < 20; i++) nothing[i] = i % 2 ? -INFINITY : NAN;
    check_rows_of(nothing, 20, &rules[0]);
    release_all();
}

static void check_screening(int64_t rows, int64_t inputs, int64_t outputs, float greatest) {
    const int64_t panels = vlm_panels(outputs);
    const float *source = floats(outputs * inputs, -greatest, greatest);
    float *x = floats(rows * inputs, -1, 1), *y[2], *lower[2], *upper[2];
    if (rows > 3) x[3 * inputs] = NAN, x[2 * inputs + inputs / 2] = INFINITY;
    uint8_t *weight = guarded(vlm_weight_bytes(VLM_WEIGHT_SCREEN, outputs, inputs, 0), true);
    const vlm_pack_rows_args pack = {.format = VLM_WEIGHT_SCREEN, .source_type = VLM_F32, .outputs = outputs, .inputs = inputs, .count = outputs,
                                     .source = source, .source_stride = inputs, .packed = weight};
    expect_ok(vlm_pack_rows(&pack), 0, "screen");
    for (int i = 0; i < 2; i++) {
        y[i] = guarded((size_t)(rows * outputs) * 4, false);
        lower[i] = guarded((size_t)(rows * panels) * 4, false);
        upper[i] = guarded((size_t)(rows * panels) * 4, false);
    }
    vlm_screen_args a = {.rows = rows, .inputs = inputs, .outputs = outputs, .x = x, .x_stride = inputs, .weight = weight, .y_stride = outputs,
                         .coded = guarded((size_t)rows * vlm_screen_row_bytes(inputs), true)};
    expect_ok(vlm_screen_code(&a, 0, rows, VLM_ISA_GENERIC), 0, "screen");
    for (int set = 0; set < set_count; set++) {
        const int i = set > 0;
        a.y = y[i], a.lower = lower[i], a.upper = upper[i], a.is_far = set % 2;
        expect_ok(vlm_screen(&a, panels / 2, panels, sets[set].isa), set, "screen");
        expect_ok(vlm_screen(&a, 0, panels / 2, sets[set].isa), set, "screen");
        // Sums are whole numbers, and their products rounded once.
        expect_near(set, "scores", y[i], y[0], rows * outputs, 0);
        expect_each_near(set, "lower bounds", lower[i], lower[0], rows * panels, 1e-5);
        expect_each_near(set, "upper bounds", upper[i], upper[0], rows * panels, 1e-5);
        digest_floats("screen", set, y[i], rows * outputs);
        digest_floats("screen", set, lower[i], rows * panels);
        digest_floats("screen", set, upper[i], rows * panels);
    }
    release_all();
}

void check_screen(void) {
    seed(700);
    for (int64_t rows = 1; rows <= 7; rows++) check_screening(rows, dice(1, 400), dice(1, 200), 1);
    check_screening(2, 1024, 64, 1e-3f);
    check_screening(1, 3, 33, 100);
    check_screening(1, VLM_SCREEN_INPUTS, 2, 1);
}
