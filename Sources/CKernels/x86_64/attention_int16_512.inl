// What attention_int16.inl and attention_int16_pack.inl take, in registers of 512 bits.

#include "simd_avx512.h"
#include "../vectors/math_body.inl"

enum { ROWS = VLM_ATTENTION_STEP };
#define ROW_CASES(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12)

typedef __m512i v_i32;
static inline v_i32 i_load(const void *p) { return _mm512_loadu_si512(p); }
static inline void i_store(void *p, v_i32 x) { _mm512_storeu_si512(p, x); }
static inline v_i32 i_zero(void) { return _mm512_setzero_si512(); }
static inline v_i32 i_ones(void) { return _mm512_set1_epi16(1); }
static inline v_f32 i_floats(v_i32 x) { return _mm512_cvtepi32_ps(x); }
static inline int32_t i_total(v_i32 x) { return _mm512_reduce_add_epi32(x); }
static inline v_i32 i_magnitudes(v_f32 x) { return _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(0x7fffffff)); }
static inline v_i32 i_most(v_i32 a, v_i32 b) { return _mm512_max_epi32(a, b); }
static inline float i_greatest(v_i32 x) { return vlm_from_bits((uint32_t)_mm512_reduce_max_epi32(x)); }
static inline void i_keep(int16_t *p, v_f32 x) { _mm256_storeu_si256((void *)p, _mm512_cvtepi32_epi16(_mm512_castps_si512(x))); }

static inline v_i32 i_set1(const void *p) {
  int32_t pair;
  __builtin_memcpy(&pair, p, 4);
  return _mm512_set1_epi32(pair);
}

static inline v_i32 i_join(v_f32 low, v_f32 high) {
  return _mm512_mask_blend_epi16(0xaaaaaaaa, _mm512_castps_si512(low), _mm512_slli_epi32(_mm512_castps_si512(high), 16));
}

static inline v_f32 v_code2(v_f32 x, v_f32 most) {
  v_f32 r = _mm512_reduce_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  v_f32 p = v_fma(v_set1(VLM_WEIGHT_CODE_MOST * VLM_EXP2_CODE_C3), r, v_set1(VLM_WEIGHT_CODE_MOST * VLM_EXP2_CODE_C2));
  p = v_fma(p, r, v_set1(VLM_WEIGHT_CODE_MOST * VLM_EXP2_CODE_C1));
  return v_add(v_scale2(v_fma(p, r, most), v_sub(x, r)), v_set1(VLM_I16_MAGIC));
}
