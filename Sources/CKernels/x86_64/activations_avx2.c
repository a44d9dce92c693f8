#include "../math_scalar.h"

#if VLM_X86_64
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "simd_avx2.h"

// How numbers become int8: times `inverse`, and back times `scale`.
typedef struct {
  float scale;
  v_f32 inverse;
} rounding;

static inline rounding rounding_of(const float *x, int64_t count) {
  v_f32 greatest = v_zero();
  for (int64_t k = 0; k < count; k += 8) greatest = v_max(v_abs(v_load(x + k)), greatest);
  float most = v_most(greatest);
  return most > 1e-30f ? (rounding){most / 127.0f, v_set1(127.0f / most)} : (rounding){0, v_zero()};
}

static inline int32_t sum_of(__m256i v) {
  __m128i x = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  x = _mm_add_epi32(x, _mm_shuffle_epi32(x, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(x, _mm_shuffle_epi32(x, 0xb1)));
}

// Rounds a multiple of 16 numbers; returns their sum.
static inline int32_t round_numbers(const float *x, int64_t count, rounding r, int8_t *q) {
  const v_f32 most = v_set1(127), least = v_set1(-127);
  __m256i sum = _mm256_setzero_si256();
  for (int64_t k = 0; k < count; k += 16) {
    __m256i low = _mm256_cvtps_epi32(v_max(v_min(v_mul(v_load(x + k), r.inverse), most), least));
    __m256i high = _mm256_cvtps_epi32(v_max(v_min(v_mul(v_load(x + k + 8), r.inverse), most), least));
    __m256i pairs = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xd8);
    _mm_storeu_si128((void *)(q + k), _mm_packs_epi16(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1)));
    sum = _mm256_add_epi32(sum, _mm256_add_epi32(low, high));
  }
  return sum_of(sum);
}

#define SUFFIXED(name) name##_avx2
#include "../activations_int8.inl"

static inline uint32_t greatest_bits(const float *x, int64_t count) {
  __m256i most = _mm256_setzero_si256();
  for (int64_t k = 0; k < count; k += 8) most = _mm256_max_epu32(most, _mm256_castps_si256(v_abs(v_load_part(v_first(count - k), x + k))));
  // Whole numbers have the order of the magnitudes, those that are no numbers above all.
  __m128i x4 = _mm_max_epu32(_mm256_castsi256_si128(most), _mm256_extracti128_si256(most, 1));
  x4 = _mm_max_epu32(x4, _mm_shuffle_epi32(x4, 0x4e));
  return (uint32_t)_mm_cvtsi128_si32(_mm_max_epu32(x4, _mm_shuffle_epi32(x4, 0xb1)));
}

static inline __m256i whole_numbers(const float *x, int64_t count, v_f32 inverse) {
  const v_f32 magic = v_set1(VLM_I16_MAGIC);
  return _mm256_sub_epi32(_mm256_castps_si256(v_fma(v_load_part(v_first(count), x), inverse, magic)), _mm256_castps_si256(magic));
}

// Codes of `count` numbers and zeros up to a multiple of 16.
static inline void round_codes(const float *x, int64_t count, float inverse, int16_t *q) {
  const v_f32 factor = v_set1(inverse);
  for (int64_t k = 0; k < count; k += 16) {
    __m256i pairs = _mm256_packs_epi32(whole_numbers(x + k, count - k, factor), whole_numbers(x + k + 8, count - k - 8, factor));
    _mm256_storeu_si256((void *)(q + k), _mm256_permute4x64_epi64(pairs, 0xd8));
  }
}

#include "../activations_int16.inl"
#pragma clang attribute pop
#endif
