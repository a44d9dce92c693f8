// What linear_bf16_int16.inl takes, in registers of 256 bits.

#include "simd_avx2.h"
#include "../vectors/math_body.inl"
#include "../vectors/linear_blocks.inl"

enum { TILE_ROWS = 6 };
#define TILES(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6)
#define ROUNDING_TILES(DO) DO(1) DO(2) DO(3) DO(4)

typedef __m256i v_i32, v_i16, v_pair;
static inline v_i16 i_load(const void *p) { return _mm256_loadu_si256(p); }
static inline void i_store(void *p, v_i16 x) { _mm256_storeu_si256(p, x); }
static inline v_i32 i_zero(void) { return _mm256_setzero_si256(); }
static inline v_i16 i_none(void) { return _mm256_setzero_si256(); }
static inline v_f32 i_floats(v_i32 x) { return _mm256_cvtepi32_ps(x); }

static inline v_pair i_set1(const void *p) {
  int32_t pair;
  __builtin_memcpy(&pair, p, 4);
  return _mm256_set1_epi32(pair);
}

static inline v_i16 i_magnitudes(v_i16 most, v_i16 words) {
  return _mm256_max_epu16(most, _mm256_and_si256(words, _mm256_set1_epi16(0x7fff)));
}

// The greater of each pair.
static inline v_f32 i_greatest(v_i16 pairs) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_max_epu16(pairs, _mm256_srli_epi32(pairs, 16)), 16));
}

static inline v_i16 i_codes(v_i16 words, v_f32 inverse) {
  const v_f32 magic = v_set1(VLM_I16_MAGIC);
  v_f32 even = _mm256_castsi256_ps(_mm256_slli_epi32(words, 16));
  v_f32 odd = _mm256_castsi256_ps(_mm256_and_si256(words, _mm256_set1_epi32((int)0xffff0000)));
  v_i16 low = _mm256_castps_si256(v_fma(even, inverse, magic)), high = _mm256_castps_si256(v_fma(odd, inverse, magic));
  return _mm256_blend_epi16(low, _mm256_slli_epi32(high, 16), 0xaa);
}
