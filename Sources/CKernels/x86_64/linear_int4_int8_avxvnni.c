#include "../math_scalar.h"

#if VLM_X86_64
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avxvnni"))), apply_to = function)
#include "simd_avx2.h"
#include "../vectors/math_body.inl"
#include "../vectors/linear_blocks.inl"
#include "../vectors/row_pointers.inl"
#include "../vectors/linear_int4_int8_blocks.inl"

// As many sums at once as registers hold, since a sum waits five cycles for the one before.
#define VECTORS(rows) ((rows) <= 2 ? 4 : 2)
#include "linear_int4_int8_256.inl"

// Four inputs.
VLM_INLINE void add_step(const __m256i w[], const row_pointers *at, int64_t stride, const int offset, __m256i dot[][TILE_ROWS], const int rows,
                         const int vectors) {
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++) {
    __m256i x = four(row_pointer(at, stride, m, offset));
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) dot[v][m] = _mm256_dpbusd_avx_epi32(dot[v][m], w[v], x);
  }
}

VLM_INLINE void add_chunk(const uint8_t *w, const row_pointers *at, int64_t stride, __m256i dot[][TILE_ROWS], const bool split, const int rows,
                          const int vectors) {
#pragma clang loop unroll(full)
  for (int i = 0; i < CHUNK / 8; i++, w += split ? 2 * STEP_BYTES : STEP_BYTES) {
    __m256i first[4], second[4];
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      if (split) {
        first[v] = _mm256_load_si256((const void *)(w + 32 * v));
        second[v] = _mm256_load_si256((const void *)(w + STEP_BYTES + 32 * v));
      } else {
        split32(w + 32 * v, &first[v], &second[v]);
      }
    }
    add_step(first, at, stride, 8 * i, dot, rows, vectors);
    add_step(second, at, stride, 8 * i + 4, dot, rows, vectors);
  }
}

void vlm_linear_int4_int8_6x8_avxvnni(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) { linear_int8(a, begin, end, scratch); }
#pragma clang attribute pop
#endif
