// Vectors of 16 f32 on AVX-512; the same names as simd_avx2.h, so that bodies (*_body.inl) are written once.
#include <immintrin.h>

#define V_WIDTH 16
typedef __m512 v_f32;
typedef __mmask16 v_mask;

static inline v_mask v_first(int64_t n) { return n >= 16 ? 0xffff : n <= 0 ? 0 : (v_mask)((1u << n) - 1); }
static inline v_f32 v_zero(void) { return _mm512_setzero_ps(); }
static inline v_f32 v_set1(float x) { return _mm512_set1_ps(x); }
static inline v_f32 v_load(const float *p) { return _mm512_loadu_ps(p); }
static inline v_f32 v_load_part(v_mask m, const float *p) { return _mm512_maskz_loadu_ps(m, p); }
static inline void v_store(float *p, v_f32 x) { _mm512_storeu_ps(p, x); }
static inline void v_store_part(float *p, v_mask m, v_f32 x) { _mm512_mask_storeu_ps(p, m, x); }
static inline v_f32 v_add(v_f32 a, v_f32 b) { return _mm512_add_ps(a, b); }
static inline v_f32 v_sub(v_f32 a, v_f32 b) { return _mm512_sub_ps(a, b); }
static inline v_f32 v_mul(v_f32 a, v_f32 b) { return _mm512_mul_ps(a, b); }
static inline v_f32 v_div(v_f32 a, v_f32 b) { return _mm512_div_ps(a, b); }
static inline v_f32 v_min(v_f32 a, v_f32 b) { return _mm512_min_ps(a, b); }
static inline v_f32 v_max(v_f32 a, v_f32 b) { return _mm512_max_ps(a, b); }
static inline v_f32 v_fma(v_f32 a, v_f32 b, v_f32 c) { return _mm512_fmadd_ps(a, b, c); }
static inline v_f32 v_fnma(v_f32 a, v_f32 b, v_f32 c) { return _mm512_fnmadd_ps(a, b, c); }
static inline v_f32 v_abs(v_f32 a) { return _mm512_abs_ps(a); }
static inline v_f32 v_round(v_f32 a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline v_f32 v_scale2(v_f32 a, v_f32 n) { return _mm512_scalef_ps(a, n); }  // a · 2ⁿ
// a · 2ⁿ for normal results, n the low bits of the mantissa of t.
static inline v_f32 v_scale2_bits(v_f32 a, v_f32 t) {
  return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a), _mm512_slli_epi32(_mm512_castps_si512(t), 23)));
}
static inline v_f32 v_copysign(v_f32 a, v_f32 s) {
  return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(_mm512_castps_si512(a), _mm512_castps_si512(s), _mm512_set1_epi32(INT32_MIN), 0xd8));
}
static inline v_f32 v_select(v_mask m, v_f32 yes, v_f32 no) { return _mm512_mask_blend_ps(m, no, yes); }
static inline v_mask v_less(v_f32 a, v_f32 b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
static inline v_mask v_greater(v_f32 a, v_f32 b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
static inline v_mask v_equal(v_f32 a, v_f32 b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
static inline v_mask v_at_least(v_f32 a, v_f32 b) { return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ); }
static inline v_mask v_is_nan(v_f32 a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q); }
static inline uint32_t v_bits(v_mask m) { return m; }
static inline float v_most(v_f32 a) { return _mm512_reduce_max_ps(a); }

// Sum of the lanes in f64.
static inline double v_sum_f64(v_f32 a) {
  return _mm512_reduce_add_pd(_mm512_add_pd(_mm512_cvtps_pd(_mm512_castps512_ps256(a)), _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1))));
}

static inline v_f32 v_from_bf16(const uint16_t *p) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)p)), 16));
}
// The even and the odd ones of 32.
static inline void v_split_bf16(const uint16_t *p, v_f32 *even, v_f32 *odd) {
  const __m512i v = _mm512_loadu_si512(p);
  *even = _mm512_castsi512_ps(_mm512_slli_epi32(v, 16));
  *odd = _mm512_castsi512_ps(_mm512_and_si512(v, _mm512_set1_epi32((int)0xffff0000)));
}
static inline v_f32 v_from_u8(const uint8_t *p) { return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)p))); }
static inline v_f32 v_from_f16(const uint16_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const void *)p)); }

// Rounds to nearest even; NaN stays NaN.
static inline void v_to_bf16(uint16_t *p, v_f32 x) {
  __m512i u = _mm512_castps_si512(x), odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
  __m512i r = _mm512_srli_epi32(_mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
  __m512i quiet = _mm512_or_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(0x40));
  _mm256_storeu_si256((void *)p, _mm512_cvtepi32_epi16(_mm512_mask_mov_epi32(r, v_is_nan(x), quiet)));
}

// Transposes 16 rows of 16: out row c holds column c of the rows.
static inline void v_transpose(const v_f32 in[16], v_f32 out[16]) {
  v_f32 t[16], s[16];
  for (int i = 0; i < 8; i++) {
    t[2 * i] = _mm512_unpacklo_ps(in[2 * i], in[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_ps(in[2 * i], in[2 * i + 1]);
  }
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 2; j++) {
      __m512d a = _mm512_castps_pd(t[4 * i + j]), b = _mm512_castps_pd(t[4 * i + 2 + j]);
      s[4 * i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
      s[4 * i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
    }
  for (int c = 0; c < 4; c++) {
    v_f32 a = _mm512_shuffle_f32x4(s[c], s[4 + c], 0x88), b = _mm512_shuffle_f32x4(s[c], s[4 + c], 0xdd);
    v_f32 d = _mm512_shuffle_f32x4(s[8 + c], s[12 + c], 0x88), e = _mm512_shuffle_f32x4(s[8 + c], s[12 + c], 0xdd);
    out[c] = _mm512_shuffle_f32x4(a, d, 0x88);
    out[8 + c] = _mm512_shuffle_f32x4(a, d, 0xdd);
    out[4 + c] = _mm512_shuffle_f32x4(b, e, 0x88);
    out[12 + c] = _mm512_shuffle_f32x4(b, e, 0xdd);
  }
}

// The 32 codes of an input, 2⁻⁸ times: the low bytes of words are outputs 0 ..< 16, the high ones 16 ..< 32.
static inline void v_widen_f8(const uint8_t *codes, v_f32 w[2]) {
  const __m256i bits = _mm256_set1_epi16((short)0xbf80), v = _mm256_loadu_si256((const void *)codes);
  w[0] = _mm512_cvtph_ps(_mm256_and_si256(_mm256_srai_epi16(_mm256_slli_epi16(v, 8), 1), bits));
  w[1] = _mm512_cvtph_ps(_mm256_and_si256(_mm256_srai_epi16(v, 1), bits));
}

// Twice input j of a step of e2m1, of 16 outputs.
static inline v_f32 v_twice_f4(const uint8_t *codes, const int j) {
  const v_f32 numbers = _mm512_setr_ps(0, 1, 2, 3, 4, 6, 8, 12, -0.0f, -1, -2, -3, -4, -6, -8, -12);
  const unsigned shift = (unsigned)(j < 4 ? 8 * j : 8 * (j - 4) + 4);
  return _mm512_permutexvar_ps(_mm512_srli_epi32(_mm512_loadu_si512(codes), shift), numbers);
}

// Scales of 16 outputs of an F4 panel: e4m3 2⁻⁸-fold, or e8m0.
static inline v_f32 v_scales_f4(const uint8_t *codes, const bool e4m3) {
  __m128i bytes = _mm_loadu_si128((const void *)codes);
  if (!e4m3) return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu8_epi32(bytes), 23));
  return _mm512_cvtph_ps(_mm256_and_si256(_mm256_slli_epi16(_mm256_cvtepi8_epi16(bytes), 7), _mm256_set1_epi16((short)0xbf80)));
}
