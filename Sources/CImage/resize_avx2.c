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

AVX2 void cimage_row_avx2(const uint8_t *in, uint8_t *out, const cimage_axis *axis) {
    const __m256i spread = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
    const __m128i shift = _mm_cvtsi32_si128(axis->precision);
    const __m128i half = _mm_set1_epi32(1 << (axis->precision - 1));
    for (int32_t i = 0; i < axis->size_out; i++) {
        const int16_t *weights = axis->weights16 + (int64_t)i * axis->stride;
        const int32_t start = axis->starts[i], count = axis->counts[i];
        const uint8_t *pixels = in + 3 * (int64_t)start;
        __m256i sums = _mm256_setzero_si256();
        int32_t j = 0;
        // Four pixels are twelve bytes, but a load takes sixteen: stop where it would leave the row.
        for (; j < count && start + j + 6 <= axis->size_in; j += 4) {
            __m256i values = pair_pixels(_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(pixels + 3 * j))));
            __m256i factors = _mm256_castsi128_si256(_mm_loadl_epi64((const __m128i *)(weights + j)));
            sums = _mm256_add_epi32(sums, _mm256_madd_epi16(values, _mm256_permutevar8x32_epi32(factors, spread)));
        }
        __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
        for (; j < count; j++) {
            __m128i value = _mm_setr_epi32(pixels[3 * j], pixels[3 * j + 1], pixels[3 * j + 2], 0);
            sum = _mm_add_epi32(sum, _mm_mullo_epi32(value, _mm_set1_epi32(weights[j])));
        }
        sum = _mm_sra_epi32(_mm_add_epi32(sum, half), shift);
        sum = _mm_packus_epi16(_mm_packs_epi32(sum, sum), sum);
        uint32_t packed = (uint32_t)_mm_cvtsi128_si32(sum);
        out[3 * i] = (uint8_t)packed;
        out[3 * i + 1] = (uint8_t)(packed >> 8);
        out[3 * i + 2] = (uint8_t)(packed >> 16);
    }
}

AVX2 int64_t cimage_column_avx2(const uint8_t *rows, int64_t ring, int64_t bytes, uint8_t *out, const cimage_axis *axis,
                                int32_t y) {
    const __m128i shift = _mm_cvtsi32_si128(axis->precision);
    const __m256i half = _mm256_set1_epi32(1 << (axis->precision - 1));
    const __m256i zero = _mm256_setzero_si256();
    const int16_t *weights = axis->weights16 + (int64_t)y * axis->stride;
    const int32_t start = axis->starts[y], count = axis->counts[y];
    const int64_t first_slot = start % ring;
    int64_t x = 0;
    for (; x + 32 <= bytes; x += 32) {
        __m256i a = half, b = half, c = half, d = half;
        int64_t slot = first_slot;
        // The stride is even and weights behind `count` are zero, so the last pair may take any row as its second.
        for (int32_t j = 0; j < count; j += 2) {
            const int64_t next = slot + 1 == ring ? 0 : slot + 1;
            const __m256i first = _mm256_loadu_si256((const __m256i *)(rows + slot * bytes + x));
            const __m256i second = _mm256_loadu_si256((const __m256i *)(rows + next * bytes + x));
            const __m256i factors = _mm256_set1_epi32((int32_t)((uint32_t)(uint16_t)weights[j + 1] << 16 | (uint16_t)weights[j]));
            slot = next + 1 == ring ? 0 : next + 1;
            const __m256i low_pairs = _mm256_unpacklo_epi8(first, second);
            const __m256i high_pairs = _mm256_unpackhi_epi8(first, second);
            a = _mm256_add_epi32(a, _mm256_madd_epi16(_mm256_unpacklo_epi8(low_pairs, zero), factors));
            b = _mm256_add_epi32(b, _mm256_madd_epi16(_mm256_unpackhi_epi8(low_pairs, zero), factors));
            c = _mm256_add_epi32(c, _mm256_madd_epi16(_mm256_unpacklo_epi8(high_pairs, zero), factors));
            d = _mm256_add_epi32(d, _mm256_madd_epi16(_mm256_unpackhi_epi8(high_pairs, zero), factors));
        }
        const __m256i low = _mm256_packs_epi32(_mm256_sra_epi32(a, shift), _mm256_sra_epi32(b, shift));
        const __m256i high = _mm256_packs_epi32(_mm256_sra_epi32(c, shift), _mm256_sra_epi32(d, shift));
        _mm256_storeu_si256((__m256i *)(out + x), _mm256_packus_epi16(low, high));
    }
    return x;
}
#endif
