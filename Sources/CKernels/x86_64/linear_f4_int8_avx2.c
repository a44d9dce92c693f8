#include "../math_scalar.h"

#if VLM_X86_64
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "simd_avx2.h"
#include "../vectors/math_body.inl"
#include "../vectors/linear_blocks.inl"
#include "../vectors/row_pointers.inl"
#include "../vectors/prefetch.inl"
#include "../vectors/linear_f4_int8_blocks.inl"
#include "linear_f4_int8_256.inl"

// Scales in both halves of words.
VLM_INLINE __m256i factor(const uint8_t *scales, __m256i unit, const int group) {
  v_f32 inverse = _mm256_castsi256_ps(_mm256_sub_epi32(_mm256_set1_epi32(254 << 23), unit));
  __m256i whole = _mm256_cvtps_epi32(v_mul(v_scales_f4(scales, group == 16), inverse));
  return _mm256_blend_epi16(whole, _mm256_slli_epi32(whole, 16), 0xaa);
}

VLM_INLINE __m256i add_scaled(__m256i total, __m256i dot, __m256i factor) { return _mm256_add_epi32(total, _mm256_madd_epi16(dot, factor)); }

// In each word the dot's two halves have room in 16 bits: with what they begin with they are below 8 · 12 · 128 + 16 · 8 · 128 and 8 · 28 · 128.
VLM_INLINE void add_dot(const tile_run *run, const uint8_t *w, const row_pointers *at, __m256i dot[], const bool is_unpacked, const int rows) {
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++) dot[m] = four(row_pointer(at, run->x_stride, m, offsetof(vlm_f4_dot, start)));
#pragma clang loop unroll(full)
  for (int k = 0; k < VLM_F4_DOT; k += 8, w += is_unpacked ? 2 * STEP_BYTES : STEP_BYTES) {
    __m256i a, b;
    if (is_unpacked) {
      a = _mm256_load_si256((const void *)w);
      b = _mm256_load_si256((const void *)(w + STEP_BYTES));
    } else {
      split32(w, &a, &b);
    }
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) {
      dot[m] = _mm256_add_epi16(dot[m], _mm256_maddubs_epi16(a, four(row_pointer(at, run->x_stride, m, k))));
      dot[m] = _mm256_add_epi16(dot[m], _mm256_maddubs_epi16(b, four(row_pointer(at, run->x_stride, m, k + 4))));
    }
  }
}

void vlm_linear_f4_int8_6x8_avx2(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) { linear_f4_int8(a, begin, end, scratch); }
#pragma clang attribute pop
#endif
