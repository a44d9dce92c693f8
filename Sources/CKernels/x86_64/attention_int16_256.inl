// What attention_int16.inl and attention_int16_pack.inl take, in registers of 256 bits.

#include "simd_avx2.h"
#include "../vectors/math_body.inl"

enum { ROWS = VLM_ATTENTION_STEP / 2 };
#define ROW_CASES(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6)

typedef __m256i v_i32;
static inline v_i32 i_load(const void *p) { return _mm256_loadu_si256(p); }
static inline void i_store(void *p, v_i32 x) { _mm256_storeu_si256(p, x); }
static inline v_i32 i_zero(void) { return _mm256_setzero_si256(); }
static inline v_i32 i_ones(void) { return _mm256_set1_epi16(1); }
static inline v_f32 i_floats(v_i32 x) { return _mm256_cvtepi32_ps(x); }
static inline v_i32 i_magnitudes(v_f32 x) { return _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0x7fffffff)); }
static inline v_i32 i_most(v_i32 a, v_i32 b) { return _mm256_max_epi32(a, b); }

static inline int32_t i_total(v_i32 x) {
  __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1)));
}

static inline float i_greatest(v_i32 x) {
  __m128i most = _mm_max_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
  most = _mm_max_epi32(most, _mm_shuffle_epi32(most, 0x4e));
  return vlm_from_bits((uint32_t)_mm_cvtsi128_si32(_mm_max_epi32(most, _mm_shuffle_epi32(most, 0xb1))));
}

static inline void i_keep(int16_t *p, v_f32 x) {
  const __m256i codes = _mm256_srai_epi32(_mm256_slli_epi32(_mm256_castps_si256(x), 16), 16);
  _mm_storeu_si128((void *)p, _mm_packs_epi32(_mm256_castsi256_si128(codes), _mm256_extracti128_si256(codes, 1)));
}

static inline v_i32 i_set1(const void *p) {
  int32_t pair;
  __builtin_memcpy(&pair, p, 4);
  return _mm256_set1_epi32(pair);
}

static inline v_i32 i_join(v_f32 low, v_f32 high) {
  return _mm256_blend_epi16(_mm256_castps_si256(low), _mm256_slli_epi32(_mm256_castps_si256(high), 16), 0xaa);
}

static inline v_f32 v_code2(v_f32 x, v_f32 most) {
  x = v_max(v_set1(-126), x);
  v_f32 shifted = v_add(x, v_set1(VLM_I16_MAGIC)), r = v_sub(x, v_sub(shifted, v_set1(VLM_I16_MAGIC)));
  v_f32 p = v_fma(v_set1(VLM_WEIGHT_CODE_MOST * VLM_EXP2_CODE_C3), r, v_set1(VLM_WEIGHT_CODE_MOST * VLM_EXP2_CODE_C2));
  p = v_fma(p, r, v_set1(VLM_WEIGHT_CODE_MOST * VLM_EXP2_CODE_C1));
  return v_add(v_scale2_bits(v_fma(p, r, most), shifted), v_set1(VLM_I16_MAGIC));
}
