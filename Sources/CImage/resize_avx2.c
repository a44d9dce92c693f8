#include "resize_avx2.h"

#if CIMAGE_HAS_AVX2
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

// Lane 0 takes pixels 0 and 1, lane 1 pixels 2 and 3; each becomes (r r g g b b 0 0) as pairs of 16-bit values.
static inline AVX2 __m256i pair_pixels(__m256i pixels) {
    const __m256i order = _mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1, //
                                           6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
    return _mm256_shuffle_epi8(pixels, order);
}

#define INLINE static inline AVX2 __attribute__((always_inline))

// Four weights, each pair beside itself as `pair_pixels` wants it.
INLINE __m256i spread_weights(const int16_t *weights) {
    const __m256i spread = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
    return _mm256_permutevar8x32_epi32(_mm256_castsi128_si256(_mm_loadl_epi64((const __m128i *)weights)), spread);
}

INLINE __m128i fold(__m256i sums) { return _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1)); }

INLINE void row(const uint8_t *in, uint8_t *out, const cimage_axis *axis, int has_rest) {
    const __m128i shift = _mm_cvtsi32_si128(axis->precision);
    const __m128i half = _mm_set1_epi32(1 << (axis->precision - 1));
    for (int32_t i = 0; i < axis->size_out; i++) {
        const int64_t first = (int64_t)i * axis->stride;
        const int32_t start = axis->starts[i], count = axis->counts[i];
        const uint8_t *pixels = in + 3 * (int64_t)start;
        __m256i sums = _mm256_setzero_si256(), rests = _mm256_setzero_si256();
        int32_t j = 0;
        // Four pixels are twelve bytes, but a load takes sixteen: stop where it would leave the row.
        for (; j < count && start + j + 6 <= axis->size_in; j += 4) {
            __m256i values = pair_pixels(_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(pixels + 3 * j))));
            sums = _mm256_add_epi32(sums, _mm256_madd_epi16(values, spread_weights(axis->weights16 + first + j)));
            if (has_rest) rests = _mm256_add_epi32(rests, _mm256_madd_epi16(values, spread_weights(axis->rest16 + first + j)));
        }
        __m128i sum = fold(sums);
        if (has_rest) sum = _mm_add_epi32(_mm_slli_epi32(sum, 8), fold(rests));
        for (; j < count; j++) {
            __m128i value = _mm_setr_epi32(pixels[3 * j], pixels[3 * j + 1], pixels[3 * j + 2], 0);
            sum = _mm_add_epi32(sum, _mm_mullo_epi32(value, _mm_set1_epi32(axis->weights[first + j])));
        }
        sum = _mm_sra_epi32(_mm_add_epi32(sum, half), shift);
        sum = _mm_packus_epi16(_mm_packs_epi32(sum, sum), sum);
        uint32_t packed = (uint32_t)_mm_cvtsi128_si32(sum);
        out[3 * i] = (uint8_t)packed;
        out[3 * i + 1] = (uint8_t)(packed >> 8);
        out[3 * i + 2] = (uint8_t)(packed >> 16);
    }
}

AVX2 void cimage_row_avx2(const uint8_t *in, uint8_t *out, const cimage_axis *axis) {
    if (axis->rest16) row(in, out, axis, 1);
    else row(in, out, axis, 0);
}

// Two neighbouring weights in each 32 bits.
INLINE __m256i pair_weights(const int16_t *weights) {
    return _mm256_set1_epi32((int32_t)((uint32_t)(uint16_t)weights[1] << 16 | (uint16_t)weights[0]));
}

// Four times eight sums of two rows' bytes, in the order in which packing puts them back.
INLINE void add_pairs(__m256i sums[4], const __m256i pairs[4], __m256i factors) {
    for (int k = 0; k < 4; k++) sums[k] = _mm256_add_epi32(sums[k], _mm256_madd_epi16(pairs[k], factors));
}

INLINE int64_t column(const uint8_t *rows, int64_t ring, int64_t bytes, uint8_t *out, const cimage_axis *axis, int32_t y, int has_rest) {
    const __m128i shift = _mm_cvtsi32_si128(axis->precision);
    const __m256i half = _mm256_set1_epi32(1 << (axis->precision - 1));
    const __m256i zero = _mm256_setzero_si256();
    const int64_t first_weight = (int64_t)y * axis->stride;
    const int32_t start = axis->starts[y], count = axis->counts[y];
    const int64_t first_slot = start % ring;
    int64_t x = 0;
    for (; x + 32 <= bytes; x += 32) {
        __m256i sums[4] = {zero, zero, zero, zero}, rests[4] = {half, half, half, half};
        int64_t slot = first_slot;
        // The stride is even and weights behind `count` are zero, so the last pair may take any row as its second.
        for (int32_t j = 0; j < count; j += 2) {
            const int64_t next = slot + 1 == ring ? 0 : slot + 1;
            const __m256i first = _mm256_loadu_si256((const __m256i *)(rows + slot * bytes + x));
            const __m256i second = _mm256_loadu_si256((const __m256i *)(rows + next * bytes + x));
            slot = next + 1 == ring ? 0 : next + 1;
            const __m256i low = _mm256_unpacklo_epi8(first, second), high = _mm256_unpackhi_epi8(first, second);
            const __m256i pairs[4] = {_mm256_unpacklo_epi8(low, zero), _mm256_unpackhi_epi8(low, zero),
                                      _mm256_unpacklo_epi8(high, zero), _mm256_unpackhi_epi8(high, zero)};
            add_pairs(sums, pairs, pair_weights(axis->weights16 + first_weight + j));
            if (has_rest) add_pairs(rests, pairs, pair_weights(axis->rest16 + first_weight + j));
        }
        for (int k = 0; k < 4; k++) {
            if (has_rest) sums[k] = _mm256_slli_epi32(sums[k], 8);
            sums[k] = _mm256_sra_epi32(_mm256_add_epi32(sums[k], rests[k]), shift);
        }
        const __m256i low = _mm256_packs_epi32(sums[0], sums[1]), high = _mm256_packs_epi32(sums[2], sums[3]);
        _mm256_storeu_si256((__m256i *)(out + x), _mm256_packus_epi16(low, high));
    }
    return x;
}

AVX2 int64_t cimage_column_avx2(const uint8_t *rows, int64_t ring, int64_t bytes, uint8_t *out, const cimage_axis *axis,
                                int32_t y) {
    if (axis->rest16) return column(rows, ring, bytes, out, axis, y, 1);
    return column(rows, ring, bytes, out, axis, y, 0);
}
#endif
