// Vectors of 8 f32 on AVX2 with FMA and F16C; the same names as simd_avx512.h.
#include <immintrin.h>

#define V_WIDTH 8
typedef __m256 v_f32;
typedef __m256i v_mask;

static inline v_mask v_first(int64_t n) {
  int32_t count = n > 8 ? 8 : n < 0 ? 0 : (int32_t)n;
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static inline v_f32 v_zero(void) { return _mm256_setzero_ps(); }
static inline v_f32 v_set1(float x) { return _mm256_set1_ps(x); }
static inline v_f32 v_load(const float *p) { return _mm256_loadu_ps(p); }
static inline v_f32 v_load_part(v_mask m, const float *p) { return _mm256_maskload_ps(p, m); }
static inline void v_store(float *p, v_f32 x) { _mm256_storeu_ps(p, x); }
static inline void v_store_part(float *p, v_mask m, v_f32 x) { _mm256_maskstore_ps(p, m, x); }
static inline v_f32 v_add(v_f32 a, v_f32 b) { return _mm256_add_ps(a, b); }
static inline v_f32 v_sub(v_f32 a, v_f32 b) { return _mm256_sub_ps(a, b); }
static inline v_f32 v_mul(v_f32 a, v_f32 b) { return _mm256_mul_ps(a, b); }
static inline v_f32 v_div(v_f32 a, v_f32 b) { return _mm256_div_ps(a, b); }
static inline v_f32 v_min(v_f32 a, v_f32 b) { return _mm256_min_ps(a, b); }
static inline v_f32 v_max(v_f32 a, v_f32 b) { return _mm256_max_ps(a, b); }
static inline v_f32 v_fma(v_f32 a, v_f32 b, v_f32 c) { return _mm256_fmadd_ps(a, b, c); }
static inline v_f32 v_fnma(v_f32 a, v_f32 b, v_f32 c) { return _mm256_fnmadd_ps(a, b, c); }
static inline v_f32 v_abs(v_f32 a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
static inline v_f32 v_round(v_f32 a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }

// a · 2ⁿ for whole n in −252...254, in two steps so that neither factor leaves the range of f32.
static inline v_f32 v_scale2(v_f32 a, v_f32 n) {
  __m256i e = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(e, 1), bias = _mm256_set1_epi32(127);
  __m256i low = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
  __m256i high = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(e, half), bias), 23);
  return _mm256_mul_ps(_mm256_mul_ps(a, _mm256_castsi256_ps(low)), _mm256_castsi256_ps(high));
}
// a · 2ⁿ for normal results, n the low bits of the mantissa of t.
static inline v_f32 v_scale2_bits(v_f32 a, v_f32 t) {
  return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), _mm256_slli_epi32(_mm256_castps_si256(t), 23)));
}
static inline v_f32 v_copysign(v_f32 a, v_f32 s) {
  v_f32 sign = _mm256_set1_ps(-0.0f);
  return _mm256_or_ps(_mm256_andnot_ps(sign, a), _mm256_and_ps(sign, s));
}
static inline v_f32 v_select(v_mask m, v_f32 yes, v_f32 no) { return _mm256_blendv_ps(no, yes, _mm256_castsi256_ps(m)); }
static inline v_mask v_less(v_f32 a, v_f32 b) { return _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_LT_OQ)); }
static inline v_mask v_greater(v_f32 a, v_f32 b) { return _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_GT_OQ)); }
static inline v_mask v_equal(v_f32 a, v_f32 b) { return _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_EQ_OQ)); }
static inline v_mask v_at_least(v_f32 a, v_f32 b) { return _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_GE_OQ)); }
static inline v_mask v_is_nan(v_f32 a) { return _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q)); }
static inline uint32_t v_bits(v_mask m) { return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(m)); }
static inline float v_most(v_f32 a) {
  __m128 x = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  x = _mm_max_ps(x, _mm_movehl_ps(x, x));
  return _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)));
}

// Sum of the lanes in f64.
static inline double v_sum_f64(v_f32 a) {
  __m256d x = _mm256_add_pd(_mm256_cvtps_pd(_mm256_castps256_ps128(a)), _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1)));
  __m128d y = _mm_add_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1));
  return _mm_cvtsd_f64(_mm_add_sd(y, _mm_unpackhi_pd(y, y)));
}

static inline v_f32 v_from_bf16(const uint16_t *p) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)p)), 16));
}
// The even and the odd ones of 16.
static inline void v_split_bf16(const uint16_t *p, v_f32 *even, v_f32 *odd) {
  const __m256i v = _mm256_loadu_si256((const void *)p);
  *even = _mm256_castsi256_ps(_mm256_slli_epi32(v, 16));
  *odd = _mm256_castsi256_ps(_mm256_and_si256(v, _mm256_set1_epi32((int)0xffff0000)));
}
static inline v_f32 v_from_u8(const uint8_t *p) { return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)p))); }
static inline v_f32 v_from_f16(const uint16_t *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const void *)p)); }

// Rounds to nearest even; NaN stays NaN.
static inline void v_to_bf16(uint16_t *p, v_f32 x) {
  __m256i u = _mm256_castps_si256(x), high = _mm256_srli_epi32(u, 16), odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
  __m256i r = _mm256_srli_epi32(_mm256_add_epi32(u, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
  r = _mm256_blendv_epi8(r, _mm256_or_si256(high, _mm256_set1_epi32(0x40)), v_is_nan(x));
  _mm_storeu_si128((void *)p, _mm_packus_epi32(_mm256_castsi256_si128(r), _mm256_extracti128_si256(r, 1)));
}

// Transposes 8 rows of 8: out row c holds column c of the rows.
static inline void v_transpose(const v_f32 in[8], v_f32 out[8]) {
  v_f32 t[8], s[8];
  for (int i = 0; i < 4; i++) {
    t[2 * i] = _mm256_unpacklo_ps(in[2 * i], in[2 * i + 1]);
    t[2 * i + 1] = _mm256_unpackhi_ps(in[2 * i], in[2 * i + 1]);
  }
  for (int i = 0; i < 2; i++)
    for (int j = 0; j < 2; j++) {
      s[4 * i + 2 * j] = _mm256_shuffle_ps(t[4 * i + j], t[4 * i + 2 + j], 0x44);
      s[4 * i + 2 * j + 1] = _mm256_shuffle_ps(t[4 * i + j], t[4 * i + 2 + j], 0xee);
    }
  for (int c = 0; c < 4; c++) {
    out[c] = _mm256_permute2f128_ps(s[c], s[4 + c], 0x20);
    out[4 + c] = _mm256_permute2f128_ps(s[c], s[4 + c], 0x31);
  }
}

// The 32 codes of an input, 2⁻⁸ times: the low bytes of words are outputs 0 ..< 16, the high ones 16 ..< 32.
static inline void v_widen_f8(const uint8_t *codes, v_f32 w[4]) {
  const __m128i bits = _mm_set1_epi16((short)0xbf80);
#pragma clang loop unroll(full)
  for (int n = 0; n < 2; n++) {
    __m128i v = _mm_loadu_si128((const void *)(codes + 16 * n));
    w[n] = _mm256_cvtph_ps(_mm_and_si128(_mm_srai_epi16(_mm_slli_epi16(v, 8), 1), bits));
    w[2 + n] = _mm256_cvtph_ps(_mm_and_si128(_mm_srai_epi16(v, 1), bits));
  }
}

// Twice input j of a step of e2m1, of 8 outputs.
static inline v_f32 v_twice_f4(const uint8_t *codes, const int j) {
  const v_f32 magnitudes = _mm256_setr_ps(0, 1, 2, 3, 4, 6, 8, 12);
  const int shift = j < 4 ? 8 * j : 8 * (j - 4) + 4;
  __m256i v = _mm256_loadu_si256((const void *)codes);
  return v_copysign(_mm256_permutevar8x32_ps(magnitudes, _mm256_srli_epi32(v, shift)), _mm256_castsi256_ps(_mm256_slli_epi32(v, 28 - shift)));
}

// Scales of 8 outputs of an F4 panel: e4m3 2⁻⁸-fold, or e8m0.
static inline v_f32 v_scales_f4(const uint8_t *codes, const bool e4m3) {
  __m128i bytes = _mm_loadl_epi64((const void *)codes);
  if (!e4m3) return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu8_epi32(bytes), 23));
  return _mm256_cvtph_ps(_mm_and_si128(_mm_slli_epi16(_mm_cvtepi8_epi16(bytes), 7), _mm_set1_epi16((short)0xbf80)));
}
