#include "../math_scalar.h"

#if VLM_X86_64
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "simd_avx2.h"
#include "../vectors/math_body.inl"
#include "../vectors/linear_blocks.inl"
#include "../vectors/row_pointers.inl"
#include "../vectors/linear_int4_int8_blocks.inl"

#define VECTORS(rows) ((rows) <= 2 ? 4 : 1)
#include "linear_int4_int8_256.inl"

// The dots of CHUNK inputs, of 8 outputs: their products are summed in 16 bits, where 8 sums of two products of at most 15 · 128 have room; then
// in 32 bits.
VLM_INLINE void add_vector(const uint8_t *w, const row_pointers *at, int64_t stride, __m256i dot[], const bool split, const int rows) {
  const __m256i one = _mm256_set1_epi16(1);
  __m256i sum[TILE_ROWS];
#pragma clang loop unroll(full)
  for (int i = 0; i < CHUNK / 8; i++, w += split ? 2 * STEP_BYTES : STEP_BYTES) {
    __m256i a, b;
    if (split) {
      a = _mm256_loadu_si256((const void *)w);
      b = _mm256_loadu_si256((const void *)(w + STEP_BYTES));
    } else {
      split32(w, &a, &b);
    }
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) {
      __m256i first = _mm256_maddubs_epi16(a, four(row_pointer(at, stride, m, 8 * i)));
      __m256i second = _mm256_maddubs_epi16(b, four(row_pointer(at, stride, m, 8 * i + 4)));
      sum[m] = _mm256_add_epi16(i == 0 ? first : _mm256_add_epi16(sum[m], first), second);
    }
  }
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++) dot[m] = _mm256_add_epi32(dot[m], _mm256_madd_epi16(sum[m], one));
}

// The vectors take turns, so that memory is read in its order.
VLM_INLINE void add_chunk(const uint8_t *w, const row_pointers *at, int64_t stride, __m256i dot[][TILE_ROWS], const bool split, const int rows,
                          const int vectors) {
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) add_vector(w + 32 * v, at, stride, dot[v], split, rows);
}

void vlm_linear_int4_int8_6x8_avx2(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) { linear_int8(a, begin, end, scratch); }
#pragma clang attribute pop
#endif
