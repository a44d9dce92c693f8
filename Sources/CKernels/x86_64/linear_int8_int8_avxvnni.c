#include "../math_scalar.h"

#if VLM_X86_64
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avxvnni"))), apply_to = function)
#include "simd_avx2.h"
#include "../vectors/math_body.inl"
#include "../vectors/linear_blocks.inl"
#include "../vectors/linear_int8_pieces.inl"
#include "../vectors/row_pointers.inl"

enum { X_BYTES = 1, THIN_INPUTS = 512, INPUTS = 512 };
#include "linear_int8_int8_256.inl"

VLM_INLINE void add_step(const uint8_t *w, const row_pointers *at, int64_t stride, __m256i dot[][VECTORS], const int rows, const int vectors) {
  __m256i v[VECTORS];
#pragma clang loop unroll(full)
  for (int n = 0; n < vectors; n++) v[n] = _mm256_load_si256((const void *)(w + 32 * n));
#pragma clang loop unroll(full)
  for (int m = 0; m < rows; m++) {
    __m256i value = four(row_pointer(at, stride, m, 0));
#pragma clang loop unroll(full)
    for (int n = 0; n < vectors; n++) dot[m][n] = _mm256_dpbusd_avx_epi32(dot[m][n], v[n], value);
  }
}

static void thin_block(const vlm_linear_args *a, const linear_block *b) {
  int8_block(a, b, &(int8_plan){.tiles = tiles[a->is_far], .tile_rows = TILE_ROWS, .inputs = THIN_INPUTS,
                                .ahead = PREFETCH});
}

static void tall_block(const vlm_linear_args *a, const linear_block *b) {
  int8_block(a, b, &(int8_plan){.tiles = tiles[0], .tile_rows = TILE_ROWS, .inputs = INPUTS});
}

void vlm_linear_int8_int8_6x16_avxvnni(const vlm_linear_args *a, int64_t begin, int64_t end, void *scratch) {
  if (a->rows <= VLM_LINEAR_FEW_ROWS) linear_blocks(a, begin, end, scratch, thin_block, (linear_cut){1, a->inputs});
  else linear_blocks(a, begin, end, scratch, tall_block, (linear_cut){LINEAR_PANELS, INPUTS});
}
#pragma clang attribute pop
#endif
