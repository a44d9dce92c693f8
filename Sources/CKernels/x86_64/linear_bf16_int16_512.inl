// What linear_bf16_int16.inl takes, in registers of 512 bits.

#include "simd_avx512.h"
#include "../vectors/math_body.inl"
#include "../vectors/linear_blocks.inl"

enum { TILE_ROWS = 12 };
#define TILES(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12)
#define ROUNDING_TILES(DO) TILES(DO)

typedef __m512i v_i32, v_i16, v_pair;
static inline v_i16 i_load(const void *p) { return _mm512_loadu_si512(p); }
static inline void i_store(void *p, v_i16 x) { _mm512_storeu_si512(p, x); }
static inline v_i32 i_zero(void) { return _mm512_setzero_si512(); }
static inline v_i16 i_none(void) { return _mm512_setzero_si512(); }
static inline v_f32 i_floats(v_i32 x) { return _mm512_cvtepi32_ps(x); }

static inline v_pair i_set1(const void *p) {
  int32_t pair;
  __builtin_memcpy(&pair, p, 4);
  return _mm512_set1_epi32(pair);
}

static inline v_i16 i_magnitudes(v_i16 most, v_i16 words) {
  return _mm512_max_epu16(most, _mm512_and_si512(words, _mm512_set1_epi16(0x7fff)));
}

// The greater of each pair.
static inline v_f32 i_greatest(v_i16 pairs) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_max_epu16(pairs, _mm512_srli_epi32(pairs, 16)), 16));
}

static inline v_i16 i_codes(v_i16 words, v_f32 inverse) {
  const v_f32 magic = v_set1(VLM_I16_MAGIC);
  v_f32 even = _mm512_castsi512_ps(_mm512_slli_epi32(words, 16));
  v_f32 odd = _mm512_castsi512_ps(_mm512_and_si512(words, _mm512_set1_epi32((int)0xffff0000)));
  v_i16 low = _mm512_castps_si512(v_fma(even, inverse, magic)), high = _mm512_castps_si512(v_fma(odd, inverse, magic));
  return _mm512_mask_blend_epi16(0xaaaaaaaa, low, _mm512_slli_epi32(high, 16));
}
