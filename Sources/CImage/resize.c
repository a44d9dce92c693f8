#include "cimage.h"

#include "resize_avx2.h"

static inline uint8_t clamp(int64_t value) { return value < 0 ? 0 : value > 255 ? 255 : (uint8_t)value; }

cimage_isa cimage_detect_isa(void) {
#if CIMAGE_HAS_AVX2
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2")) return CIMAGE_AVX2;
#endif
    return CIMAGE_GENERIC;
}

static void row_generic(const uint8_t *in, uint8_t *out, const cimage_axis *axis) {
    const int64_t half = (int64_t)1 << (axis->precision - 1);
    for (int32_t i = 0; i < axis->size_out; i++) {
        const int32_t *weights = axis->weights + (int64_t)i * axis->stride;
        const uint8_t *pixels = in + 3 * (int64_t)axis->starts[i];
        int64_t red = half, green = half, blue = half;
        for (int32_t j = 0; j < axis->counts[i]; j++) {
            int64_t weight = weights[j];
            red += weight * pixels[3 * j];
            green += weight * pixels[3 * j + 1];
            blue += weight * pixels[3 * j + 2];
        }
        out[3 * i] = clamp(red >> axis->precision);
        out[3 * i + 1] = clamp(green >> axis->precision);
        out[3 * i + 2] = clamp(blue >> axis->precision);
    }
}

static void column_generic(const uint8_t *rows, int64_t ring, int64_t bytes, int64_t first, uint8_t *out,
                           const cimage_axis *axis, int32_t y) {
    const int64_t half = (int64_t)1 << (axis->precision - 1);
    const int32_t *weights = axis->weights + (int64_t)y * axis->stride;
    for (int64_t x = first; x < bytes; x++) {
        int64_t sum = half;
        for (int32_t j = 0; j < axis->counts[y]; j++)
            sum += (int64_t)weights[j] * rows[((axis->starts[y] + j) % ring) * bytes + x];
        out[x] = clamp(sum >> axis->precision);
    }
}

void cimage_resize_row(const uint8_t *in, uint8_t *out, const cimage_axis *axis, cimage_isa isa) {
#if CIMAGE_HAS_AVX2
    if (isa == CIMAGE_AVX2 && axis->weights16) {
        cimage_row_avx2(in, out, axis);
        return;
    }
#endif
    row_generic(in, out, axis);
}

void cimage_resize_column(const uint8_t *rows, int64_t ring, int64_t bytes, uint8_t *out, const cimage_axis *axis,
                          int32_t y, cimage_isa isa) {
    int64_t done = 0;
#if CIMAGE_HAS_AVX2
    if (isa == CIMAGE_AVX2 && axis->weights16) done = cimage_column_avx2(rows, ring, bytes, out, axis, y);
#endif
    column_generic(rows, ring, bytes, done, out, axis, y);
}

// One row of pixels of one patch to its three planes.
static inline void separate(const uint8_t *pixels, int64_t count, uint8_t *red, uint8_t *green, uint8_t *blue) {
    for (int64_t x = 0; x < count; x++) {
        red[x] = pixels[3 * x];
        green[x] = pixels[3 * x + 1];
        blue[x] = pixels[3 * x + 2];
    }
}

void cimage_cut_patch(const uint8_t *rgb, int64_t stride, int64_t patch, int64_t plane, uint8_t *out) {
    for (int64_t y = 0; y < patch; y++, rgb += stride, out += patch) {
        separate(rgb, patch, out, out + plane, out + 2 * plane);
    }
}
