#include "../math_scalar.h"

#if VLM_X86_64
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "simd_avx2.h"
#include "../vectors/math_body.inl"
#include "../vectors/linear_blocks.inl"
#include "../vectors/row_pointers.inl"
#include "../vectors/linear_f4_int8_blocks.inl"
#include "linear_f4_int8_256.inl"

// Scales in both halves of words.
VLM_INLINE __m256i factor(const uint8_t *scales, __m256i unit, const int group) {
  v_f32 inverse = _mm256_castsi256_ps(_mm256_sub_epi32(_mm256_set1_epi32(254 << 23), unit));
  __m256i whole = _mm256_cvtps_epi32(v_mul(v_scales_f4(scales, group == 16), inverse));
  return _mm256_blend_epi16(whole, _mm256_slli_epi32(whole, 16), 0xaa);
}

VLM_INLINE __m256i add_scaled(__m256i total, __m256i dot, __m256i factor) { return _mm256_add_epi32(total, _mm256_madd_epi16(dot, factor)); }

VLM_INLINE __m256i add_four(__m256i dot, __m256i w, __m256i x) { return _mm256_add_epi16(dot, _mm256_maddubs_epi16(w, x)); }

void vlm_linear_f4_int8_6x8_avx2(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) { linear_f4_int8(a, begin, end, scratch); }
#pragma clang attribute pop
#endif
